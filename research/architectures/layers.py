"""The parts that architectures share: dense maps, normalisers, stems and heads."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from research.architectures.contract import Settings, Weights
from research.initializers import DRAWS
from research.normalizers import EPSILON, Normalizer


class Dense(nn.Module):
    """x W + b, with kernel and bias drawn and scaled as `weights` says."""

    features: int
    weights: Weights
    first: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        draw, fan_in = self.weights.draw, x.shape[-1]
        sample = (self.first and draw.first) or draw.kernel
        gains = (self.first and self.weights.first) or self.weights.gains
        sigma_w, sigma_b = gains(fan_in, self.features)
        inner_w, inner_b = (1.0, 1.0) if self.weights.ntk else (sigma_w, sigma_b)
        kernel = self.param(
            "kernel", lambda *a: inner_w * sample(*a), (fan_in, self.features), x.dtype
        )
        bias = self.param(
            "bias", lambda *a: inner_b * draw.bias(*a), (self.features,), x.dtype
        )
        bias = jnp.expand_dims(bias, tuple(range(x.ndim - 1)))
        if self.weights.ntk:  # scale the product: it is smaller than the kernel
            return sigma_w * (x @ kernel) + sigma_b * bias
        return x @ kernel + bias


class Norm(nn.Module):
    """A normaliser with its learned scale and shift."""

    normalizer: Normalizer
    momentum: float = 0.9

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        if self.normalizer.statistics is None:
            return h
        shape = (1,) * (h.ndim - 1) + h.shape[-1:]
        scale = self.param("scale", nn.initializers.ones, shape, h.dtype)
        shift = self.param("shift", nn.initializers.zeros, shape, h.dtype)
        mean, variance = self.normalizer.statistics(h)
        if self.normalizer.running:
            kept = self.variable(
                "statistics",
                "kept",
                lambda: (jnp.zeros(shape, h.dtype), jnp.ones(shape, h.dtype)),
            )
            if not train:
                mean, variance = kept.value
            elif not self.is_initializing():
                kept.value = jax.tree.map(
                    lambda old, new: self.momentum * old + (1 - self.momentum) * new,
                    kept.value,
                    (mean, variance),
                )
        return (h - mean) * jax.lax.rsqrt(variance + EPSILON) * scale + shift


class Stem(nn.Module):
    """The first hidden state, from the flattened input."""

    width: int
    weights: Weights
    activation: Callable[[jax.Array], jax.Array] = lambda h: h

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        x = x.reshape(x.shape[0], -1)
        return self.activation(Dense(self.width, self.weights, first=True)(x))


class Head(nn.Module):
    """The outputs, from the last hidden state: activation, then LeCun-normal weights."""

    outputs: int
    activation: Callable[[jax.Array], jax.Array]
    normalizer: Normalizer

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        h = self.activation(Norm(self.normalizer)(h, train))
        lecun = Weights(DRAWS["normal"], lambda fan_in, fan_out: (1.0, 0.0))
        return Dense(self.outputs, lecun)(h)


def pre_activation_ends(settings: Settings) -> tuple[Stem, Head]:
    """Stem and head of nets whose hidden states are pre-activations z."""
    return (
        Stem(settings.width, settings.weights),
        Head(settings.outputs, settings.activation, settings.normalizer),
    )
