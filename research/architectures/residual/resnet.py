"""Residual networks for small images: depth 6n + 2 in three groups of n blocks.

A block is two 3×3 convolutions, so a stage's depth is a number of blocks, and with the
stem and the head 6n + 2 layers have weights (He et al. 2016, arXiv:1512.03385, section
4.2). A group begins with a block that halves the sides and doubles the channels: a stage
of its own, as it changes the state's shape.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthbench.research.architectures.contract import (
    Architecture,
    Settings,
    Stage,
    Weights,
)
from depthbench.research.architectures.layers import (
    Conv,
    Norm,
    as_image,
    identity,
    linear_head,
)
from depthbench.research.catalogues.normalizers import NORMALIZERS, Normalizer


def shortcut(h: jax.Array, widen: int) -> jax.Array:
    """h, or every `widen`-th pixel and zeros as further channels ("option A")."""
    more = h.shape[-1] * (widen - 1)
    return jnp.pad(h[:, ::widen, ::widen], [(0, 0)] * 3 + [(0, more)])


def centred(
    features: int, weights: Weights, size: int, strides: int, bias: bool
) -> Conv:
    """A convolution centred on every `strides`-th pixel; "SAME" is so only at 1."""
    around = ((size - 1) // 2, size // 2)
    return Conv(features, weights, (size, size), strides, (around, around), bias=bias)


def biased(normalizer: Normalizer) -> bool:
    """Whether convolutions have biases: not where a normaliser's shift follows."""
    return normalizer.statistics is None


class ResidualUnit(nn.Module):
    """What blocks have in common.

    widen: what channels are multiplied by, and sides divided by.
    """

    activation: Callable[[jax.Array], jax.Array]
    weights: Weights
    normalizer: Normalizer
    widen: int = 1

    def convolution(self, features: int, strides: int = 1, size: int = 3) -> Conv:
        bias = biased(self.normalizer)
        return centred(features, self.weights, size, strides, bias)


class PlainBlock(ResidualUnit):
    """φ(norm(conv(φ(norm(conv(h)))))): [batch, *sides, channels], sides ÷ widen."""

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        features = h.shape[-1] * self.widen
        y = self.convolution(features, self.widen)(h)
        y = self.activation(Norm(self.normalizer)(y, train))
        y = Norm(self.normalizer)(self.convolution(features)(y), train)
        return self.activation(self.joined(h, y))

    def joined(self, h: jax.Array, y: jax.Array) -> jax.Array:
        return y


class Block(PlainBlock):
    """φ(h + norm(conv(φ(norm(conv(h))))))."""

    def joined(self, h: jax.Array, y: jax.Array) -> jax.Array:
        return shortcut(h, self.widen) + y


class PreActivationBlock(ResidualUnit):
    """h + conv(φ(norm(conv(φ(norm(h)))))): nothing is in the shortcut's way.

    opens: the first block of a group, whose shortcut carries φ(norm(h)) instead: in the
      authors' code all that change the shape, in the paper also the net's first.
    """

    opens: bool = False

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        features = h.shape[-1] * self.widen
        active = self.activation(Norm(self.normalizer)(h, train))
        y = self.convolution(features, self.widen)(active)
        y = self.activation(Norm(self.normalizer)(y, train))
        y = self.convolution(features)(y)
        return shortcut(active if self.opens else h, self.widen) + y


class LinearStem(nn.Module):
    """A 3×3 convolution of an image [batch, height, width, channels]."""

    width: int
    weights: Weights
    normalizer: Normalizer

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        return self.convolution(x)

    def convolution(self, x: jax.Array) -> jax.Array:
        bias = biased(self.normalizer)
        return Conv(self.width, self.weights, first=True, bias=bias)(as_image(x))


class Stem(LinearStem):
    """φ(norm(conv(x)))."""

    activation: Callable[[jax.Array], jax.Array] = identity

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        return self.activation(Norm(self.normalizer)(self.convolution(x), train))


class Head(nn.Module):
    """The outputs, from channels averaged over the image: φ(norm(h)), mean, linear."""

    outputs: int
    activation: Callable[[jax.Array], jax.Array]
    normalizer: Normalizer

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        h = self.activation(Norm(self.normalizer)(h, train))
        return linear_head(self.outputs)(jnp.mean(h, (1, 2)), train)


def average_head(outputs: int) -> Head:
    """A linear map of the channels' averages."""
    return Head(outputs, identity, NORMALIZERS["none"])


def groups(
    block: nn.Module, openings: Sequence[nn.Module | None], blocks: Sequence[int]
) -> tuple[Stage, ...]:
    """Stages of equal blocks, each after a stage of its opening one if it has one.

    blocks: of each group, with the opening one.
    """
    stages = []
    for opening, count in zip(openings, blocks, strict=True):
        if opening is not None:
            stages.append(Stage(opening, 1, frugal=True))
            count -= 1
        if count:
            stages.append(Stage(block, count, frugal=True))
    return tuple(stages)


def blocks_of(depth: int) -> int:
    """n of a net of 6n + 2 layers."""
    return (depth - 2) // 6


def three_groups(
    block: nn.Module, settings: Settings, first: nn.Module | None = None
) -> tuple[Stage, ...]:
    """The groups of n blocks; first: the first group's opening block, if it has one."""
    wider = (first or block).clone(widen=2)
    return groups(block, (first, wider, wider), (blocks_of(settings.depth),) * 3)


def _post_activation(
    name: str, kind: type[ResidualUnit], settings: Settings
) -> Architecture:
    parts = (settings.activation, settings.weights, settings.normalizer)
    stem = Stem(
        settings.width, settings.weights, settings.normalizer, settings.activation
    )
    stages = three_groups(kind(*parts), settings)
    return Architecture(name, stem, stages, average_head(settings.outputs))


def build_plain(settings: Settings) -> Architecture:
    """The residual net without its shortcuts."""
    return _post_activation("plain_cnn", PlainBlock, settings)


def build(settings: Settings) -> Architecture:
    """Blocks whose sum is activated, shortcuts without parameters."""
    return _post_activation("resnet", Block, settings)


def build_v2(settings: Settings) -> Architecture:
    """Blocks that normalise and activate first, and an activated last sum."""
    parts = (settings.activation, settings.weights, settings.normalizer)
    first = PreActivationBlock(*parts, opens=True)
    return Architecture(
        "resnet_v2",
        LinearStem(settings.width, settings.weights, settings.normalizer),
        three_groups(PreActivationBlock(*parts), settings, first),
        Head(settings.outputs, settings.activation, settings.normalizer),
    )
