"""Residual nets whose blocks are left out at random while they train.

Huang, Sun, Liu, Sedra & Weinberger 2016, arXiv:1603.09382. Block l of L is there with
probability p_l = 1 − l/L (1 − p_L), p_L = ½, and otherwise hands its input on: one draw
for a batch. Without a key (at test, and at initialisation) its branch is multiplied by
p_l, which it is on average.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from depthbench.research.architectures.contract import Architecture, Settings
from depthbench.research.architectures.layers import Norm
from depthbench.research.architectures.residual.resnet import (
    ResidualUnit,
    Stem,
    average_head,
    shortcut,
    three_groups,
)

LAST = 0.5  # p_L, section 3


def survival(blocks: int) -> np.ndarray:
    """p_l of l = 1 … blocks: falls in a line to LAST (equation 4)."""
    share = np.arange(1, blocks + 1) / blocks
    return (1 - share * (1 - LAST)).astype(np.float32)


class Block(ResidualUnit):
    """φ(h + b norm(conv(φ(norm(conv(h)))))), b = 1 with the probability, or 0."""

    @nn.compact
    def __call__(
        self, h: jax.Array, train: bool = True, probability: jax.Array | float = 1.0
    ) -> jax.Array:
        features = h.shape[-1] * self.widen
        y = self.convolution(features, self.widen)(h)
        y = self.activation(Norm(self.normalizer)(y, train))
        y = Norm(self.normalizer)(self.convolution(features)(y), train)
        there = jnp.asarray(probability, h.dtype)
        if train and self.has_rng("dropout"):
            draw = jax.random.bernoulli(self.make_rng("dropout"), probability)
            there = draw.astype(h.dtype)
        return self.activation(shortcut(h, self.widen) + there * y)


def build(settings: Settings) -> Architecture:
    """`resnet`, with blocks that survive less and less often towards its end."""
    parts = (settings.activation, settings.weights, settings.normalizer)
    stem = Stem(
        settings.width, settings.weights, settings.normalizer, settings.activation
    )
    stages = three_groups(Block(*parts), settings)
    ends = np.cumsum([stage.depth for stage in stages])
    chances = np.split(survival(int(ends[-1])), ends[:-1])
    stages = tuple(
        stage._replace(fed=each) for stage, each in zip(stages, chances, strict=True)
    )
    head = average_head(settings.outputs)
    return Architecture("resnet_stochastic", stem, stages, head)
