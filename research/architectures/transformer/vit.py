"""The vision Transformer: Dosovitskiy et al. 2021, arXiv:2010.11929.

Patches are read as a sequence behind a class token, by Pre-LN blocks with learned
positions. Patches are 16 a side as in the paper, or smaller where an image would
otherwise have fewer than 4 × 4 of them: 2 × 2 on 8 × 8.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthbench.research.architectures.contract import (
    Architecture,
    Settings,
    Stage,
    Weights,
)
from depthbench.research.architectures.layers import Conv, as_image
from depthbench.research.architectures.transformer.transformer import (
    PRE_LN,
    block_of,
    head_of,
    learned_positions,
)

LARGEST_PATCH, LEAST_PATCHES = 16, 4


class Patches(nn.Module):
    """[batch, 1 + patches, width] from images; the class token is the first."""

    width: int
    weights: Weights

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        x = as_image(x)
        side = min(LARGEST_PATCH, max(1, min(x.shape[1:3]) // LEAST_PATCHES))
        patch = (side, side)
        h = Conv(self.width, self.weights, patch, patch, first=True)(x)
        h = h.reshape(h.shape[0], -1, self.width)
        token = self.param("token", nn.initializers.zeros, (1, 1, self.width), h.dtype)
        token = jnp.broadcast_to(token, (h.shape[0], 1, self.width))
        h = jnp.concatenate([token, h], axis=1)
        return h + learned_positions(self, h)


def class_token(h: jax.Array) -> jax.Array:
    return h[:, 0]


def build(settings: Settings) -> Architecture:
    """Pre-LN encoders over patches; the head reads the class token."""
    stage = Stage(block_of(settings, PRE_LN), settings.depth)
    head = head_of(settings, PRE_LN, class_token)
    return Architecture(
        "vit", Patches(settings.width, settings.weights), (stage,), head
    )
