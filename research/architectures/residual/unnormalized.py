"""Residual networks that need no normaliser: their branches start at or near zero.

Depth, groups and shortcuts are those of `resnet`. At the start every block of all three
passes its input on. What sets SkipInit and ReZero apart, on convolutions, is the block:

- SkipInit (De & Smith 2020) takes the norms out of the pre-activation block, gives its
  convolutions biases, and multiplies: h + α conv(φ(conv(φ(h)))).
- ReZero (Bachlechner et al. 2021) multiplies the bare branch, x + α F(x): nothing is
  between the blocks, and its convolutions have no biases: h + α conv(φ(conv(h))).
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthbench.research.architectures.contract import Architecture, Settings, Weights
from depthbench.research.architectures.layers import Conv, Dense, as_image, scaled
from depthbench.research.architectures.residual.resnet import (
    Head,
    LinearStem,
    ResidualUnit,
    Stem,
    average_head,
    centred,
    shortcut,
    three_groups,
)


def scalar(layer: nn.Module, name: str, value: float, like: jax.Array) -> jax.Array:
    """A learned number, of a shape that broadcasts with `like`."""
    start = nn.initializers.constant(value)
    return layer.param(name, start, (1,) * like.ndim, like.dtype)


def zeroed(weights: Weights) -> Weights:
    """Kernels and biases that start at 0, and can learn: so they are no NTK products."""
    return weights._replace(gains=lambda fan_in, fan_out: (0.0, 0.0), ntk=False)


class FixupBlock(ResidualUnit):
    """φ(h + a conv(φ(conv(h + b₁) + b₂) + b₃) + b₄), with scalars a and b.

    branches: L, the residual branches of the net: the first convolution is scaled by
      L^(-1/(2m - 2)) with m = 2 layers a branch; the last starts at 0.
    """

    branches: Any = 1

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        features = h.shape[-1] * self.widen
        b = [scalar(self, f"bias_{n}", 0.0, h) for n in (1, 2, 3, 4)]
        inner = scaled(self.weights, self.branches**-0.5)
        y = centred(features, inner, 3, self.widen, bias=False)(h + b[0])
        y = self.activation(y + b[1])
        y = centred(features, zeroed(self.weights), 3, 1, bias=False)(y + b[2])
        y = scalar(self, "multiplier", 1.0, h) * y + b[3]
        return self.activation(shortcut(h, self.widen) + y)


class FixupStem(Stem):
    """φ(conv(x) + b)."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        h = Conv(self.width, self.weights, first=True, bias=False)(as_image(x))
        return self.activation(h + scalar(self, "bias", 0.0, h))


class FixupHead(nn.Module):
    """A linear map of the channels' averages plus a scalar; it starts at 0."""

    outputs: int
    weights: Weights

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        h = jnp.mean(h, (1, 2))
        h = h + scalar(self, "bias", 0.0, h)
        return Dense(self.outputs, zeroed(self.weights))(h)


class SkipInitBlock(ResidualUnit):
    """h + α conv(φ(conv(φ(h)))), with biases; α starts at 0."""

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        features = h.shape[-1] * self.widen
        y = self.convolution(features, self.widen)(self.activation(h))
        y = self.convolution(features)(self.activation(y))
        return shortcut(h, self.widen) + scalar(self, "alpha", 0.0, h) * y


class ReZeroBlock(ResidualUnit):
    """h + α conv(φ(conv(h))), without biases; α starts at 0."""

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        features = h.shape[-1] * self.widen
        y = centred(features, self.weights, 3, self.widen, bias=False)(h)
        y = self.activation(y)
        y = centred(features, self.weights, 3, 1, bias=False)(y)
        return shortcut(h, self.widen) + scalar(self, "alpha", 0.0, h) * y


def _parts(settings: Settings) -> tuple:
    return settings.activation, settings.weights, settings.normalizer


def build_fixup(settings: Settings) -> Architecture:
    """Post-activation blocks; their last convolutions and the head start at 0."""
    branches = (settings.active_depth - 2) / 2
    return Architecture(
        "resnet_fixup",
        FixupStem(
            settings.width, settings.weights, settings.normalizer, settings.activation
        ),
        three_groups(FixupBlock(*_parts(settings), branches=branches), settings),
        FixupHead(settings.outputs, settings.weights),
    )


def build_skipinit(settings: Settings) -> Architecture:
    """Pre-activation blocks behind a learned gate that starts at 0."""
    return Architecture(
        "resnet_skipinit",
        LinearStem(settings.width, settings.weights, settings.normalizer),
        three_groups(SkipInitBlock(*_parts(settings)), settings),
        Head(settings.outputs, settings.activation, settings.normalizer),
    )


def build_rezero(settings: Settings) -> Architecture:
    """Bare branches behind a learned gate that starts at 0."""
    return Architecture(
        "resnet_rezero",
        Stem(
            settings.width, settings.weights, settings.normalizer, settings.activation
        ),
        three_groups(ReZeroBlock(*_parts(settings)), settings),
        average_head(settings.outputs),
    )
