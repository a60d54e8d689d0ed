"""Activations: one entry each, and nothing else to edit to add one."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from research.catalogue import Catalogue
from research.lazy import lazy

jax = lazy("jax")
jnp = lazy("jax.numpy")


class Activation(NamedTuple):
    """A nonlinearity φ, applied to every element.

    phi: the function, on an array of any shape; differentiable by jax.
    kinks: the points where φ or φ′ is not smooth; the theory's quadrature splits there.
    """

    name: str
    phi: Callable[[Any], Any]
    source: str
    kinks: tuple[float, ...] = ()

    def __call__(self, x: Any) -> Any:
        return self.phi(x)


# Klambauer et al. 2017: a unit Gaussian keeps mean 0 and variance 1.
SELU_ALPHA = 1.6732632423543772848
SELU_LAMBDA = 1.0507009873554804934

ACTIVATIONS: Catalogue[Activation] = Catalogue(
    "activation",
    [
        Activation(
            "linear",
            lambda x: x,
            "Saxe, McClelland & Ganguli 2013, arXiv:1312.6120 (deep linear networks)",
        ),
        Activation(
            "sigmoid",
            lambda x: jax.nn.sigmoid(x),
            "Rumelhart, Hinton & Williams 1986, Nature 323:533",
        ),
        Activation(
            "tanh",
            lambda x: jnp.tanh(x),
            "LeCun, Bottou, Orr & Müller 1998, Efficient BackProp",
        ),
        Activation(
            "lecun_tanh",
            lambda x: 1.7159 * jnp.tanh(2 / 3 * x),
            "LeCun, Bottou, Orr & Müller 1998, Efficient BackProp",
        ),
        Activation(
            "hard_tanh",
            lambda x: jax.nn.hard_tanh(x),
            "Collobert 2004, Large Scale Machine Learning (thesis, Paris VI)",
            kinks=(-1.0, 1.0),
        ),
        Activation(
            "hard_sigmoid",
            lambda x: jnp.clip((x + 1) / 2, 0, 1),
            "Courbariaux, Bengio & David 2015, arXiv:1511.00363",
            kinks=(-1.0, 1.0),
        ),
        Activation(
            "softsign",
            lambda x: jax.nn.soft_sign(x),
            "Bergstra, Desjardins, Lamblin & Bengio 2009, U. Montréal tech. report 1337",
            kinks=(0.0,),
        ),
        Activation(
            "erf",
            lambda x: jax.lax.erf(x),
            "Williams 1997, Computing with infinite networks, NIPS 9",
        ),
        Activation(
            "sin",
            lambda x: jnp.sin(x),
            "Sitzmann et al. 2020, arXiv:2006.09661 (with ω = 1)",
        ),
        Activation(
            "relu",
            lambda x: jax.nn.relu(x),
            "Nair & Hinton 2010, ICML; Glorot, Bordes & Bengio 2011, AISTATS",
            kinks=(0.0,),
        ),
        Activation(
            "leaky_relu",
            lambda x: jax.nn.leaky_relu(x, 0.01),
            "Maas, Hannun & Ng 2013, ICML workshop (slope 0.01)",
            kinks=(0.0,),
        ),
        Activation(
            "relu6",
            lambda x: jax.nn.relu6(x),
            "Krizhevsky 2010, Convolutional Deep Belief Networks on CIFAR-10",
            kinks=(0.0, 6.0),
        ),
        Activation(
            "relu_squared",
            lambda x: jnp.square(jax.nn.relu(x)),
            "So et al. 2021, Primer, arXiv:2109.08668",
            kinks=(0.0,),
        ),
        Activation(
            "elu",
            lambda x: jax.nn.elu(x),
            "Clevert, Unterthiner & Hochreiter 2016, arXiv:1511.07289 (α = 1)",
            kinks=(0.0,),
        ),
        Activation(
            "selu",
            lambda x: (
                SELU_LAMBDA
                * jnp.where(x > 0, x, SELU_ALPHA * jnp.expm1(jnp.minimum(x, 0)))
            ),
            "Klambauer, Unterthiner, Mayr & Hochreiter 2017, arXiv:1706.02515",
            kinks=(0.0,),
        ),
        Activation(
            "celu",  # α = 1 would be ELU again
            lambda x: jax.nn.celu(x, 2.0),
            "Barron 2017, arXiv:1704.07483 (α = 2)",
            kinks=(0.0,),
        ),
        Activation(
            "softplus",
            lambda x: jax.nn.softplus(x),
            "Dugas, Bengio, Bélisle, Nadeau & Garcia 2001, NIPS 13",
        ),
        Activation(
            "gelu",
            lambda x: jax.nn.gelu(x, approximate=False),
            "Hendrycks & Gimpel 2016, arXiv:1606.08415",
        ),
        Activation(
            "silu",
            lambda x: jax.nn.silu(x),
            "Elfwing, Uchibe & Doya 2018, arXiv:1702.03118",
        ),
        Activation(
            "mish",
            lambda x: x * jnp.tanh(jax.nn.softplus(x)),
            "Misra 2019, arXiv:1908.08681",
        ),
        Activation(
            "hard_swish",
            lambda x: x * jnp.clip(x + 3, 0, 6) / 6,
            "Howard et al. 2019, Searching for MobileNetV3, arXiv:1905.02244, section 5.2",
            kinks=(-3.0, 3.0),
        ),
    ],
)


def slope(phi: Callable, x: Any) -> tuple[Any, Any]:
    """φ(x) and φ′(x), each of x's shape, in one pass."""
    return jax.jvp(phi, (x,), (jnp.ones_like(x),))


@functools.cache
def steepest(activation: Activation) -> float:
    """The largest |φ′| on [-8, 8], the yardstick for what counts as saturated."""
    x = jnp.linspace(-8.0, 8.0, 1601) + 0.0025  # no grid point on a kink
    return float(jnp.max(jnp.abs(slope(activation.phi, x)[1])))


@functools.cache
def kinked_at_zero(activation: Activation) -> bool:
    """Whether φ′ jumps at 0: a state that underflows then has another gradient."""
    near = jnp.array([-1e-3, 1e-3], jnp.float32)
    left, right = slope(activation.phi, near)[1]
    return bool(jnp.abs(left - right) > 0.1)
