"""Initialisers: how weights and biases are drawn, and how large.

An initialiser is a draw (the distribution, scaled so that σ_w² = 1) and two variances:
weights have variance σ_w²/fan_in and biases σ_b², in the notation of Poole et al. 2016.

Each of them is two initialisers as jax has them, for a layer of your own in Flax or plain
JAX. A layer that is critical for tanh is

    critical = INITIALIZERS["critical"]
    nn.Dense(64, kernel_init=critical.kernel_init(TANH), bias_init=critical.bias_init(TANH))

>>> from depthbench.research.catalogues.activations import ACTIVATIONS
>>> draw = INITIALIZERS["critical"].kernel_init(ACTIVATIONS["tanh"])
>>> kernel = draw(jax.random.key(0), (256, 256))
>>> kernel.dtype, round(float(kernel.std() * 16), 1)  # σ_w = 1.47 at q* = 1
(dtype('float32'), 1.5)
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from depthbench.research.catalogues import modules
from depthbench.research.catalogues.catalogue import Catalogue, Own
from depthbench.research.lazy import lazily
from depthbench.research.theory.activation import Activation

with lazily():
    import jax
    import jax.nn.initializers as initializers
    import jax.numpy as jnp

    from depthbench.research.catalogues import orthonormal, plain
    from depthbench.research.theory import mean_field

Sample = Callable[[Any, tuple[int, ...], Any], Any]  # (key, shape, dtype) -> array


class Draw(NamedTuple):
    """Distributions of unit size: kernels of variance 1/fan_in, biases of variance 1.

    first: the kernel of the layer that reads the input, where it has a form of its own.
    """

    kernel: Sample
    bias: Sample
    first: Sample | None = None


def _scaled(distribution: Literal["normal", "truncated_normal", "uniform"]) -> Sample:
    """jax's kernels, drawn as a column: of more dimensions XLA unrolls loops, for long."""

    def sample(key, shape, dtype):
        draw = initializers.variance_scaling(shape[-1], "fan_in", distribution)
        return draw(key, (math.prod(shape), 1), dtype).reshape(shape)

    return sample


def _normal_bias(key, shape, dtype):
    return jax.random.normal(key, shape, dtype)


def _uniform_bias(key, shape, dtype):
    return jax.random.uniform(key, shape, dtype, -(3.0**0.5), 3.0**0.5)


def _orthogonal(key, shape, dtype):
    """A (semi-)orthogonal kernel [*space, in, out] of element variance 1/fan_in."""
    return _orthogonal_sampler(tuple(shape), dtype)(key)


@functools.cache
def _orthogonal_sampler(shape: tuple[int, ...], dtype: Any):
    stretch = max(1.0, shape[-1] / math.prod(shape[:-1])) ** 0.5

    def sample(key):
        if jax.default_backend() == "cpu":
            return initializers.orthogonal(stretch)(key, shape, dtype)
        return orthonormal.kernel(key, shape, dtype, stretch)

    return jax.jit(_one_at_a_time(sample))


def _one_at_a_time(sample: Callable) -> Callable:
    """One QR at a time: two batched ones side by side can dead-lock XLA's CPU threads."""
    if jax.default_backend() == "cpu":
        return jax.custom_batching.sequential_vmap(sample)
    return sample


def _delta_orthogonal(key, shape, dtype):
    """As orthogonal for dense kernels; for convolutions, all weight on the centre."""
    if len(shape) == 2:
        return _orthogonal(key, shape, dtype)
    centre = tuple((size - 1) // 2 for size in shape[:-2])
    return jnp.zeros(shape, dtype).at[centre].set(_orthogonal(key, shape[-2:], dtype))


def _even(size: int) -> int:
    if size % 2:
        raise ValueError(f"looks_linear needs even widths, not {size}")
    return size // 2


def _looks_linear(key, shape, dtype):
    """[[W, -W], [-W, W]] / √2: with ReLU between, the net is linear at the start."""
    *space, fan_in, fan_out = shape
    block = _orthogonal(key, (*space, _even(fan_in), _even(fan_out)), dtype)
    rows = jnp.concatenate([block, -block], axis=-1)
    return jnp.concatenate([rows, -rows], axis=-2) / 2.0**0.5


def _looks_linear_first(key, shape, dtype):
    """[W, -W] / √2: makes the mirrored state that the later layers keep."""
    block = _orthogonal(key, (*shape[:-1], _even(shape[-1])), dtype)
    return jnp.concatenate([block, -block], axis=-1) / 2.0**0.5


class Draws(dict[str, Draw]):
    """Draws by name, "module:name" of a user's own among them."""

    def __missing__(self, name: str) -> Draw:
        if not modules.is_name(name):
            raise KeyError(name)
        thing = modules.named(name)
        draw = thing if isinstance(thing, Draw) else _unit(name, thing)
        return self.setdefault(name, draw)


def _unit(name: str, thing: Any) -> Draw:
    """The draw of a function (key, shape, dtype), at unit size. Raises Mistake."""
    sample, rule = plain.initializer(name, thing), _measured(name, thing)

    def unit(key, shape, dtype):
        area = math.prod(shape[:-2])
        sigma_w2 = rule(area * shape[-2], area * shape[-1]).sigma_w2
        with modules.guarded(name):
            drawn = _one_at_a_time(lambda key: sample(key, shape, dtype))(key)
        return drawn / sigma_w2**0.5

    return Draw(unit, _normal_bias)


def _measured(name: str, thing: Any) -> "Rule":
    """The rule by which such a function draws, without biases. Raises Mistake."""
    sigma_w2, averaged = plain.sigma_w2(name, plain.initializer(name, thing))
    return fan_average(sigma_w2) if averaged else fan_in(sigma_w2)


def _named(name: str, thing: Any) -> "Initializer":
    """The entry of such a function. Whether its weights are independent is not known."""
    source = name.partition(":")[0]
    return Initializer(name, name, _measured(name, thing), source, independent=False)


DRAWS: dict[str, Draw] = Draws()
DRAWS |= {
    "normal": Draw(_scaled("normal"), _normal_bias),
    "truncated": Draw(_scaled("truncated_normal"), _normal_bias),
    "uniform": Draw(_scaled("uniform"), _uniform_bias),
    "orthogonal": Draw(_orthogonal, _normal_bias),
    "delta_orthogonal": Draw(_delta_orthogonal, _normal_bias),
    "looks_linear": Draw(_looks_linear, _normal_bias, _looks_linear_first),
}


class Variances(NamedTuple):
    """σ_w² and σ_b² of one layer: variance of weights × fan_in, and of biases."""

    sigma_w2: float
    sigma_b2: float


class Rule(NamedTuple):
    """How a layer's variances depend on its fans: numbers, so that they can be traced.

    σ_w² = sigma_w2 + average_w2 × 2 fan_in/(fan_in + fan_out), and
    σ_b² = sigma_b2 + shared_b2/fan_in.
    """

    sigma_w2: float = 0.0
    sigma_b2: float = 0.0
    average_w2: float = 0.0
    shared_b2: float = 0.0

    def __call__(self, fan_in: int, fan_out: int) -> Variances:
        """σ_w² and σ_b² of a layer of these fans."""
        share = 2 * fan_in / (fan_in + fan_out)
        return Variances(
            self.sigma_w2 + self.average_w2 * share,
            self.sigma_b2 + self.shared_b2 / fan_in,
        )

    def gains(self, fan_in: int, fan_out: int) -> tuple[Any, Any]:
        """(σ_w, σ_b) of a layer of these fans: what `contract.Weights` asks for.

        A σ_b that is the number 0 stays it, so that nobody draws what it multiplies.

        >>> [float(gain) for gain in fan_in(4.0).gains(10, 20)]
        [2.0, 0.0]
        """
        sigma_w2, sigma_b2 = self(fan_in, fan_out)
        none = isinstance(sigma_b2, int | float) and sigma_b2 == 0
        return jnp.sqrt(sigma_w2), 0.0 if none else jnp.sqrt(sigma_b2)


def fan_in(sigma_w2: float, sigma_b2: float = 0.0) -> Rule:
    """The same σ_w², σ_b² in every layer: weights of variance σ_w²/fan_in.

    >>> fan_in(2.0)(10, 30)
    Variances(sigma_w2=2.0, sigma_b2=0.0)
    """
    return Rule(sigma_w2, sigma_b2)


def fan_average(gain: float) -> Rule:
    """Weights of variance gain × 2/(fan_in + fan_out), as Glorot & Bengio ask.

    >>> fan_average(1.0)(10, 30)
    Variances(sigma_w2=0.5, sigma_b2=0.0)
    """
    return Rule(average_w2=gain)


# kaiming_uniform(a=√5): both weights and biases uniform on ±1/√fan_in.
PYTORCH = Rule(sigma_w2=1 / 3, shared_b2=1 / 3)


class Initializer(NamedTuple):
    """A draw and its variances; `rule` is "critical" where the theory sets them.

    independent: weights are independent to leading order, as mean-field theory assumes.
    """

    name: str
    draw: str
    rule: Rule | Literal["critical"]
    source: str
    independent: bool = True

    def hidden(self, activation: Activation) -> Rule:
        """The rule of every layer but the first.

        Raises NoCriticalPoint where the theory knows none for the activation.

        >>> from depthbench.research.catalogues.activations import ACTIVATIONS
        >>> round(INITIALIZERS["critical"].hidden(ACTIVATIONS["relu"]).sigma_w2, 9)
        2.0
        """
        if self.rule != "critical":
            return self.rule
        point = _critical(activation)
        return Rule(point.sigma_w2, point.sigma_b2)

    def first(self, activation: Activation) -> Rule:
        """The rule of the layer that reads the input, whose mean square is 1.

        A critical net starts at its fixed point: its first states have length q*.

        >>> from depthbench.research.catalogues.activations import ACTIVATIONS
        >>> INITIALIZERS["he_normal"].first(ACTIVATIONS["relu"]).sigma_w2
        2.0
        """
        if self.rule != "critical":
            return self.rule
        return Rule(_critical(activation).q_star)

    def kernel_init(self, activation: Activation, first: bool = False) -> Sample:
        """(key, shape, dtype) -> a kernel [*space, in, out]: a jax initialiser.

        first: of the layer that reads the input. Raises NoCriticalPoint.

        >>> from depthbench.research.catalogues.activations import ACTIVATIONS
        >>> draw = INITIALIZERS["he_normal"].kernel_init(ACTIVATIONS["relu"])
        >>> draw(jax.random.key(0), (3, 3, 16, 32), jnp.bfloat16).shape
        (3, 3, 16, 32)
        """
        draw, rule = DRAWS[self.draw], self._rule(activation, first)
        sample = (first and draw.first) or draw.kernel

        def init(key: Any, shape: Sequence[int], dtype: Any = None) -> Any:
            area = math.prod(shape[:-2])
            sigma_w, _ = rule.gains(area * shape[-2], area * shape[-1])
            return _in(sample, key, tuple(shape), dtype, sigma_w)

        return init

    def bias_init(
        self, activation: Activation, fan_in: int | None = None, first: bool = False
    ) -> Sample:
        """(key, shape, dtype) -> biases of variance σ_b²: a jax initialiser.

        fan_in: of the layer, whose shape of biases does not tell it. Raises ValueError
        where the rule asks for it and it is not given, and NoCriticalPoint.

        >>> from depthbench.research.catalogues.activations import ACTIVATIONS
        >>> draw = INITIALIZERS["he_normal"].bias_init(ACTIVATIONS["relu"])
        >>> bool(draw(jax.random.key(0), (3,)).any())
        False
        """
        rule = self._rule(activation, first)
        if rule.shared_b2 and fan_in is None:
            raise ValueError(f"{self.name}: its biases depend on fan_in: give it")
        _, sigma_b = rule.gains(fan_in or 1, 1)

        def init(key: Any, shape: Sequence[int], dtype: Any = None) -> Any:
            return _in(DRAWS[self.draw].bias, key, tuple(shape), dtype, sigma_b)

        return init

    def _rule(self, activation: Activation, first: bool) -> Rule:
        return self.first(activation) if first else self.hidden(activation)


def _in(sample: Sample, key: Any, shape: tuple[int, ...], dtype: Any, gain: Any) -> Any:
    """What is drawn, times a gain; of a short dtype, drawn in float32 and rounded once."""
    dtype = jnp.dtype(dtype or jnp.float32)
    wide = dtype if dtype.itemsize >= 4 else jnp.dtype(jnp.float32)
    return (sample(key, shape, wide) * jnp.asarray(gain, wide)).astype(dtype)


class NoCriticalPoint(ValueError):
    """The activation has no stable point of χ₁ = 1, so no critical initialisation."""


def _critical(activation: Activation) -> Any:
    point = mean_field.critical_point(activation)
    if not point.exists:
        raise NoCriticalPoint(point.reason)
    return point


_LECUN = "LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, section 4.6"
_GLOROT = "Glorot & Bengio 2010, AISTATS"
_HE = "He, Zhang, Ren & Sun 2015, arXiv:1502.01852"

INITIALIZERS: Catalogue[Initializer] = Catalogue(
    "initializer",
    [
        Initializer("lecun_normal", "normal", fan_in(1.0), _LECUN),
        Initializer("lecun_uniform", "uniform", fan_in(1.0), _LECUN),
        Initializer("lecun_truncated", "truncated", fan_in(1.0), _LECUN),
        Initializer("glorot_normal", "normal", fan_average(1.0), _GLOROT),
        Initializer("glorot_uniform", "uniform", fan_average(1.0), _GLOROT),
        Initializer("glorot_truncated", "truncated", fan_average(1.0), _GLOROT),
        Initializer("he_normal", "normal", fan_in(2.0), _HE),
        Initializer("he_uniform", "uniform", fan_in(2.0), _HE),
        Initializer("he_truncated", "truncated", fan_in(2.0), _HE),
        Initializer(
            "orthogonal",
            "orthogonal",
            fan_in(1.0),
            "Saxe, McClelland & Ganguli 2013, arXiv:1312.6120",
        ),
        Initializer(
            "delta_orthogonal",
            "delta_orthogonal",
            fan_in(1.0),
            "Xiao et al. 2018, arXiv:1806.05393, algorithm 2 (on dense layers: orthogonal)",
        ),
        Initializer(
            "looks_linear",
            "looks_linear",
            fan_in(2.0),
            "Balduzzi et al. 2017, The Shattered Gradients Problem, arXiv:1702.08591",
            independent=False,
        ),
        Initializer(
            "pytorch",
            "uniform",
            PYTORCH,
            "PyTorch, torch.nn.Linear: kaiming_uniform with a = √5",
        ),
        Initializer(
            "critical",
            "normal",
            "critical",
            "Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017, arXiv:1611.01232",
        ),
        Initializer(
            "critical_orthogonal",
            "orthogonal",
            "critical",
            "Pennington, Schoenholz & Ganguli 2017, arXiv:1711.04735",
        ),
        Initializer(  # the point itself is given by sigma_w2 and sigma_b2
            "free",
            "normal",
            fan_in(1.0),
            "Poole et al. 2016, arXiv:1606.05340 (any σ_w², σ_b²)",
        ),
    ],
    own=Own(
        Initializer,
        "a function (key, shape, dtype) that draws kernels, or one that makes it",
        _named,
    ),
)
