"""A net that draws: the colour of each place, from the place and a vector.

Watters, Matthey, Burgess & Lerchner 2019, arXiv:1901.07017 (the spatial broadcast
decoder): a vector is laid on every place of an image beside the place's coordinates, and
convolutions that keep the size go on from there. Here these are 1 × 1, so that a pixel is
a function of its own place and the vector alone; and there is a line, a column and their
squares, with which the first layers can be near to a point.
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
from depthbench.research.architectures.convolutional.dcgan import Painted, canvas
from depthbench.research.architectures.dense import mlp
from depthbench.research.architectures.layers import Dense

ENDS = 3**0.5  # of coordinates, whose mean square is then near 1


def places(side: int) -> jax.Array:
    """The row and column of each place from −√3 to √3, and their squares less 1
    [side, side, 4].

    >>> places(2)[0, 1].round(2).tolist()
    [-1.7300000190734863, 1.7300000190734863, 2.0, 2.0]
    """
    line = jnp.linspace(-ENDS, ENDS, side)
    at = jnp.stack(jnp.meshgrid(line, line, indexing="ij"), axis=-1)
    return jnp.concatenate([at, jnp.square(at) - 1], axis=-1)


class Broadcast(nn.Module):
    """A flattened input on every place [batch, side, side, width]: the sum of a dense map
    of it and one of the place."""

    width: int
    side: int
    weights: Weights

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        said = Dense(self.width, self.weights, True)(x.reshape(len(x), -1))
        at = places(self.side).astype(x.dtype)
        where = Dense(self.width, self.weights, True)(at)
        return said[:, None, None] + where[None]


def build(settings: Settings) -> Architecture:
    """From a vector to the numbers of a square image, by equal layers at each place."""
    phi, weights, norm = settings.activation, settings.weights, settings.normalizer
    stem = Broadcast(settings.width, canvas(settings.outputs)[0], weights)
    head = Painted(settings.outputs, phi, norm)
    stage = Stage(mlp.Layer(phi, weights, norm), settings.depth)
    return Architecture("broadcast_decoder", stem, (stage,), head)
