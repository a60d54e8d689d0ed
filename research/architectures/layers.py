"""The parts that architectures share: dense maps, normalisers, stems and heads."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import errors
from flax import linen as nn

from depthbench.research.architectures.contract import Settings, Weights
from depthbench.research.architectures.convolution import Padding, convolve
from depthbench.research.architectures.remaking import moments, remade
from depthbench.research.catalogues.initializers import DRAWS
from depthbench.research.catalogues.normalizers import (
    EPSILON,
    NORMALIZERS,
    Normalizer,
    Statistics,
)


def parameter(
    layer: nn.Module, name: str, draw: Callable, shape: tuple[int, ...], dtype: Any
) -> jax.Array:
    """The layer's parameter of this name; draw(key, shape, dtype) where there is none.

    As `layer.param`, which traces the draw of every parameter at every call, to learn
    its shape: a third of what it takes to trace a layer.
    """
    if not layer.has_variable("params", name):
        return layer.param(name, draw, shape, dtype)
    value = layer.get_variable("params", name)
    if value.shape != shape:
        where = "/".join(layer.path)
        raise errors.ScopeParamShapeError(name, where, value.shape, shape)
    return value


def drawn(layer: Any, shape: tuple[int, ...], dtype: Any, with_bias: bool = True):
    """(kernel, bias, σ_w to multiply the product by): a layer's parameters, declared.

    shape: [*space, fan_in channels, features]. The bias is at its size; σ_w is None
    where the kernel already is. layer: has `weights` and `first`.
    """
    draw, gains = layer.weights.draw, layer.weights.gains
    sample = (layer.first and draw.first) or draw.kernel
    gains = (layer.first and layer.weights.first) or gains
    area = math.prod(shape[:-2])
    fans = (area * shape[-2], area * shape[-1])
    ntk = layer.weights.ntk
    inner = lambda: (1.0, 1.0) if ntk else gains(*fans)  # needed at the draw alone
    sigma_w, sigma_b = gains(*fans) if ntk else (None, None)
    kernel = parameter(
        layer, "kernel", lambda *a: sized(inner()[0], sample, *a), shape, dtype
    )
    if not with_bias:
        return kernel, 0.0, sigma_w
    bias = parameter(
        layer, "bias", lambda *a: sized(inner()[1], draw.bias, *a), shape[-1:], dtype
    )
    return kernel, bias if sigma_b is None else sigma_b * bias, sigma_w


def sized(sigma: Any, draw: Callable, key: Any, shape: tuple, dtype: Any) -> jax.Array:
    """σ times a draw; zeros without one where σ is the number 0, as most biases' is.

    Draws are most of what fresh weights take to compile: each is a program by itself,
    which all nets share that are drawn `piecewise`.
    """
    if isinstance(sigma, int | float) and sigma == 0:
        return jnp.zeros(shape, dtype)
    return _program(draw, tuple(shape), dtype)(sigma, key)


@functools.lru_cache(maxsize=1024)
def _program(draw: Callable, shape: tuple[int, ...], dtype: Any) -> Callable:
    # With σ within, XLA joins it with what else the draw is multiplied by, as it does
    # where all of a net is one program: the bits are the same.
    return jax.jit(lambda sigma, key: sigma * draw(key, shape, dtype))


@functools.cache
def normal(deviation: float) -> Callable:
    """Draws of a deviation of their own, whatever the initialiser: as jax's `normal`."""
    draw = nn.initializers.normal(deviation)
    return lambda key, shape, dtype: sized(1.0, draw, key, shape, dtype)


class Dense(nn.Module):
    """x W + b, with kernel and bias drawn and scaled as `weights` says."""

    features: int
    weights: Weights
    first: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel, bias, sigma_w = drawn(self, (x.shape[-1], self.features), x.dtype)
        bias = jnp.expand_dims(bias, tuple(range(x.ndim - 1)))
        if sigma_w is not None:  # scale the product: it is smaller than the kernel
            return sigma_w * product(x, kernel) + bias
        return product(x, kernel) + bias


def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """x W of x [..., in].

    Rows are laid in one matrix: the kernel's gradient is then one product of matrices,
    where of a batch of sequences XLA transposes both factors first.
    """
    rows = x.reshape(-1, x.shape[-1]) @ kernel
    return rows.reshape(*x.shape[:-1], kernel.shape[-1])


class Affine(nn.Module):
    """(kernel [fan_in, features], bias [features]) at their size: a Dense's parameters.

    For layers that join several in one product, or make it step by step.
    """

    features: int
    weights: Weights
    first: bool = False

    @nn.compact
    def __call__(self, fan_in: int, dtype: Any) -> tuple[jax.Array, Any]:
        kernel, bias, sigma_w = drawn(self, (fan_in, self.features), dtype)
        return kernel if sigma_w is None else sigma_w * kernel, bias


class Conv(nn.Module):
    """A convolution of [batch, *space, channels], drawn and scaled as `weights` says.

    kernel: its size in each dimension of space: (3,) for sequences, (3, 3) for images.
    padding: "SAME", "VALID", "CIRCULAR", or (before, after) for each dimension.
    """

    features: int
    weights: Weights
    kernel: tuple[int, ...] = (3, 3)
    strides: tuple[int, ...] | int = 1
    padding: Padding = "SAME"
    groups: int = 1
    first: bool = False
    bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*self.kernel, x.shape[-1] // self.groups, self.features)
        kernel, bias, sigma_w = drawn(self, shape, x.dtype, self.bias)
        strides = self.strides
        if isinstance(strides, int):
            strides = (strides,) * len(self.kernel)
        y = convolve(x, kernel, strides, self.padding, self.groups)
        y = y if sigma_w is None else sigma_w * y
        if self.bias:
            y = y + jnp.expand_dims(bias, tuple(range(y.ndim - 1)))
        return y


def exact(dtype: Any) -> Any:
    """What positions, counts and statistics are computed in where products are in dtype.

    bfloat16 has the whole numbers to 256 and float16 to 2,048: float32, or finer.
    """
    return max(jnp.dtype(dtype), jnp.dtype("float32"), key=lambda kind: kind.itemsize)


class Norm(nn.Module):
    """A normaliser with its learned scale and shift; in float32 where h is coarser.

    The gradient keeps h as it came and its moments; all else is made again.
    """

    normalizer: Normalizer
    momentum: float = 0.9

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        statistics = self.normalizer.statistics
        if statistics is None:
            return h
        shape = (1,) * (h.ndim - 1) + h.shape[-1:]
        scale = parameter(self, "scale", nn.initializers.ones, shape, h.dtype)
        shift = parameter(self, "shift", nn.initializers.zeros, shape, h.dtype)
        if self.normalizer.running:
            return self.over_batch(statistics, h, scale, shift, train)
        return remade(functools.partial(_by_itself, statistics))(h, scale, shift)

    def over_batch(
        self, statistics: Statistics, h: jax.Array, scale, shift, train: bool
    ) -> jax.Array:
        """h normalised by its batch's mean and variance, or by those that were kept.

        Of h − c the result is the same for any constant c, which needs no gradient. The
        batch's mean leaves nothing but its own rounding to a second mean. Where h is
        coarser than its sums, the first example's saves that pass over h: it is less
        than √batch deviations from the batch's, by Cauchy and Schwarz, which costs sums
        of squares no more than batch roundings of float32. What other forms take on
        CPUs, and how exact they are: benchmarks/peers/README.md.
        """
        wide = exact(h.dtype)
        running = self.variable(
            "statistics",
            "kept",
            lambda: (jnp.zeros(scale.shape, wide), jnp.ones(scale.shape, wide)),
        )
        c, variance = running.value
        if not train:
            form = functools.partial(_about, lambda h: (jnp.zeros_like(c), variance))
            return remade(form)(h, c, scale, shift)[0]
        some = h if h.dtype == wide else h[:1].astype(wide)
        c = jax.lax.stop_gradient(moments(statistics, some)[0])
        form = functools.partial(_about, statistics)
        h, mean, variance = remade(form)(h, c, scale, shift)
        if not self.is_initializing():
            running.value = jax.tree.map(
                lambda old, new: self.momentum * old + (1 - self.momentum) * new,
                running.value,
                (c + mean, variance),
            )
        return h


def _by_itself(statistics: Statistics, h: jax.Array, scale, shift) -> jax.Array:
    """h normalised by moments of its own."""
    coarse = h.dtype
    h, scale, shift = (a.astype(exact(coarse)) for a in (h, scale, shift))
    mean, variance = moments(statistics, h)
    h = (h - mean) * jax.lax.rsqrt(variance + EPSILON) * scale + shift
    return h.astype(coarse)


def _about(statistics: Statistics, h: jax.Array, c, scale, shift):
    """(h normalised, mean and variance): by the moments of h − c.

    The way back is two sums over the batch, of g and of g (h − c).
    """
    coarse = h.dtype
    h, scale, shift = (a.astype(exact(coarse)) for a in (h, scale, shift))
    h = h - c
    mean, variance = moments(statistics, h)
    gain = jax.lax.rsqrt(variance + EPSILON) * scale
    return (h * gain + (shift - mean * gain)).astype(coarse), mean, variance


def as_image(x: jax.Array) -> jax.Array:
    """[batch, height, width, channels]. Raises ValueError where x is no image."""
    if x.ndim != 4:
        raise ValueError(
            f"an image has shape [height, width, channels], not {x.shape[1:]}"
        )
    return x


def as_sequence(x: jax.Array) -> jax.Array:
    """[batch, time, features]: an image's rows are its steps; a vector is one step."""
    if x.ndim == 2:
        return x[:, None]
    return x.reshape(*x.shape[:2], -1)


def scaled(weights: Weights, factor: Any) -> Weights:
    """The same weights with σ_w multiplied by a factor."""

    def gains(fan_in: int, fan_out: int) -> tuple[Any, Any]:
        sigma_w, sigma_b = weights.gains(fan_in, fan_out)
        return factor * sigma_w, sigma_b

    return weights._replace(gains=gains)


def identity(h: jax.Array) -> jax.Array:
    """h itself: what stands for no activation."""
    return h


class Stem(nn.Module):
    """The first hidden state, from the flattened input."""

    width: int
    weights: Weights
    activation: Callable[[jax.Array], jax.Array] = identity

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        x = x.reshape(x.shape[0], -1)
        return self.activation(Dense(self.width, self.weights, first=True)(x))


class Head(nn.Module):
    """The outputs, from the last hidden state: activation, then LeCun-normal weights.

    size: what those are multiplied by at the start.
    """

    outputs: int
    activation: Callable[[jax.Array], jax.Array]
    normalizer: Normalizer
    size: float = 1.0

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        h = self.activation(Norm(self.normalizer)(h, train))
        lecun = Weights(DRAWS["normal"], lambda fan_in, fan_out: (self.size, 0.0))
        return Dense(self.outputs, lecun)(h)


def linear_head(outputs: int) -> Head:
    """The outputs as nothing but a linear map of features [batch, features]."""
    return Head(outputs, identity, NORMALIZERS["none"])


def pre_activation_ends(settings: Settings) -> tuple[Stem, Head]:
    """Stem and head of nets whose hidden states are pre-activations z."""
    return (
        Stem(settings.width, settings.weights),
        Head(settings.outputs, settings.activation, settings.normalizer),
    )
