"""Residual networks for images of 224 × 224: depths 18, 34 and 50, in four groups.

A stage's depth is a number of blocks: of two 3×3 convolutions, at depth 50 of 1×1, 3×3
and 1×1. Where the shape changes the shortcut is a 1×1 convolution ("option B").
Bottlenecks take their stride in the 3×3 convolution as torchvision's do ("v1.5"); the
paper's take it in the first 1×1.
"""

import jax
from flax import linen as nn

from depthbench.research.architectures.contract import Architecture, Settings
from depthbench.research.architectures.layers import Conv, Norm, as_image
from depthbench.research.architectures.residual.resnet import (
    ResidualUnit,
    Stem,
    average_head,
    biased,
    groups,
)

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


class PooledStem(Stem):
    """max(φ(norm(conv(x)))): a 7×7 convolution and a 3×3 maximum, at stride 2 each."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        bias = biased(self.normalizer)
        around = ((3, 3), (3, 3))
        h = Conv(self.width, self.weights, (7, 7), 2, around, first=True, bias=bias)(
            as_image(x)
        )
        h = self.activation(Norm(self.normalizer)(h, train))
        around = ((1, 1), (1, 1))  # which flax takes, though its types do not say so
        return nn.max_pool(h, (3, 3), (2, 2), around)  # pyright: ignore


class ProjectedBlock(ResidualUnit):
    """φ(shortcut + branch), with a branch of two 3×3 convolutions.

    strides: what sides are divided by. opens: the shortcut is a projection.
    """

    strides: int = 1
    opens: bool = False

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        features = h.shape[-1] * self.widen
        y = self.branch(h, features, train)
        if self.opens:
            h = self.normalized(h, features, self.strides, 1, train)
        return self.activation(h + y)

    def branch(self, h: jax.Array, features: int, train: bool) -> jax.Array:
        y = self.activation(self.normalized(h, features, self.strides, 3, train))
        return self.normalized(y, features, 1, 3, train)

    def normalized(
        self, h: jax.Array, features: int, strides: int, size: int, train: bool
    ) -> jax.Array:
        y = self.convolution(features, strides, size)(h)
        return Norm(self.normalizer)(y, train)


class Bottleneck(ProjectedBlock):
    """The same with 1×1, 3×3 and 1×1 convolutions, the first two a quarter as wide."""

    def branch(self, h: jax.Array, features: int, train: bool) -> jax.Array:
        inner = features // 4
        y = self.activation(self.normalized(h, inner, 1, 1, train))
        y = self.activation(self.normalized(y, inner, self.strides, 3, train))
        return self.normalized(y, features, 1, 1, train)


def build(settings: Settings) -> Architecture:
    """18 or 34 layers of basic blocks, or 50 of bottlenecks four times as wide."""
    parts = (settings.activation, settings.weights, settings.normalizer)
    kind = Bottleneck if settings.depth == 50 else ProjectedBlock
    halving = kind(*parts, widen=2, strides=2, opens=True)
    first = kind(*parts, widen=4, opens=True) if kind is Bottleneck else None
    stem = PooledStem(
        settings.width, settings.weights, settings.normalizer, settings.activation
    )
    stages = groups(
        kind(*parts), (first, halving, halving, halving), BLOCKS[settings.depth]
    )
    head = average_head(settings.outputs)
    return Architecture("resnet_imagenet", stem, stages, head)
