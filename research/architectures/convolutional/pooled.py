"""A detection net that looks closer, and whose evidence is pooled over all places.

A stroke and a triangle of six pixels are alike after two steps of two pixels; so the first
convolution sees every pixel, and the grid's cells are 2 × 2. What a shape is does not
depend on where it is, so the head reads the channels' mean and largest value over places,
beside every place's channels, which say where.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthbench.research.architectures.contract import Architecture, Weights
from depthbench.research.architectures.layers import Conv, Norm, as_image, linear_head
from depthbench.research.catalogues.normalizers import Normalizer


class Close(nn.Module):
    """Cells of 2 × 2 pixels, by a convolution of every pixel and one of stride 2."""

    width: int
    activation: Callable[[jax.Array], jax.Array]
    weights: Weights
    normalizer: Normalizer

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        z = Conv(self.width, self.weights, first=True)(as_image(x))
        h = self.activation(Norm(self.normalizer)(z, train))
        return Conv(self.width, self.weights, strides=2)(h)


class Pooled(nn.Module):
    """Outputs [batch, outputs], linear in each place's channels, their mean and largest."""

    outputs: int
    activation: Callable[[jax.Array], jax.Array]
    normalizer: Normalizer

    @nn.compact
    def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
        h = self.activation(Norm(self.normalizer)(z, train))
        over = h.mean(axis=(1, 2)), h.max(axis=(1, 2)), h.reshape(len(h), -1)
        return linear_head(self.outputs)(jnp.concatenate(over, axis=-1), train)


def closer(net: Architecture) -> Architecture:
    """A detection net with cells of 2 × 2 pixels and such a head. For `Task.change`."""
    stem, head = net.stem, net.head
    first = Close(stem.width, stem.activation, stem.weights, stem.normalizer)
    last = Pooled(head.outputs, head.activation, head.normalizer)
    return net._replace(name=f"closer_{net.name}", stem=first, head=last)
