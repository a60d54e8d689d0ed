"""Activations: one entry each; nothing else is edited to add one."""

from depthbench.research.catalogues.catalogue import Catalogue, Own
from depthbench.research.lazy import lazily
from depthbench.research.theory.activation import Activation

with lazily():
    import jax
    import jax.numpy as jnp

    from depthbench.research.catalogues import plain, rectifier


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
            lambda x: rectifier.relu(x),
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
            lambda x: jnp.square(rectifier.relu(x)),
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
            # Not minimum(x, 0), whose slope at 0 is a half, between no slopes of SELU's.
            lambda x: (
                SELU_LAMBDA
                * jnp.where(x > 0, x, SELU_ALPHA * jnp.expm1(jnp.where(x > 0, 0, x)))
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
    own=Own(
        Activation,
        "a function of arrays, elementwise",
        lambda name, phi: plain.activation(name, phi),
    ),
)
