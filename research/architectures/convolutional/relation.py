"""A relation net: all pairs of an image's parts go through one net, and are added up.

Santoro et al. 2017, arXiv:1706.01427, equation 1: f(Σ g(oᵢ, oⱼ, q)) over pairs of
objects. Objects are the cells of what convolutions make of the image, with their places.
Here there are at most 4 × 4; `depth` layers of g are counted, f is the head; pairs are
averaged, so that their number does not change the size of what f reads; and a question q
is not given beside the image but as further channels of it, equal in all pixels, so that
every object knows it. Objects that are known are read as they are, [objects, features],
as the source's state descriptions. The net without the module has the same convolutions,
and as many dense layers of the objects side by side.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthbench.research.architectures.contract import (
    Architecture,
    Settings,
    Stage,
    Weights,
)
from depthbench.research.architectures.dense import mlp
from depthbench.research.architectures.layers import (
    Conv,
    Dense,
    Head,
    Norm,
    as_image,
    pre_activation_ends,
)
from depthbench.research.catalogues.normalizers import Normalizer

MOST = 4  # objects across, and down


class Objects(nn.Module):
    """Cells of the image [batch, cells, width + 2]: features, and place from −1 to 1.

    What has no pixels, [batch, objects, features], are objects already.
    """

    width: int
    activation: Callable[[jax.Array], jax.Array]
    weights: Weights
    normalizer: Normalizer

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        if x.ndim == 3:
            return x
        h = Conv(self.width, self.weights, strides=2, first=True)(as_image(x))
        h = self.activation(Norm(self.normalizer)(h, train))
        h = Conv(self.width, self.weights)(h)
        h = self.activation(Norm(self.normalizer)(h, train))
        step = tuple(-(-side // MOST) for side in h.shape[1:3])
        h = Conv(self.width, self.weights, step, step)(h)
        h = self.activation(Norm(self.normalizer)(h, train))
        place = jnp.broadcast_to(
            places(*h.shape[1:3]).astype(h.dtype), (*h.shape[:3], 2)
        )
        objects = jnp.concatenate([h, place], axis=-1)
        return objects.reshape(objects.shape[0], -1, objects.shape[-1])


def places(height: int, width: int) -> jax.Array:
    """Row and column of each cell, from −1 to 1 [height, width, 2]; 0 of a single one."""
    ends = [jnp.linspace(-1, 1, n) if n > 1 else jnp.zeros(1) for n in (height, width)]
    return jnp.stack(jnp.meshgrid(*ends, indexing="ij"), axis=-1)


class PairStem(nn.Module):
    """g's first layer, of all pairs [batch, cells, cells, width].

    The map of two objects side by side is the sum of a map of each: no pair is laid out.
    """

    width: int
    objects: Objects

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        objects = self.objects(x, train)
        halves = self.objects.weights
        one = Dense(self.width, halves, name="one")(objects)
        other = Dense(self.width, halves, name="other")(objects)
        return (one[:, :, None] + other[:, None, :]) * 0.5**0.5


class FlatStem(nn.Module):
    """The first dense layer, of all objects side by side [batch, width]."""

    width: int
    objects: Objects

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        objects = self.objects(x, train)
        return Dense(self.width, self.objects.weights)(
            objects.reshape(objects.shape[0], -1)
        )


class PairHead(nn.Module):
    """f: the mean of φ(g) over pairs, one hidden layer, and the outputs."""

    width: int
    outputs: int
    activation: Callable[[jax.Array], jax.Array]
    weights: Weights
    normalizer: Normalizer

    @nn.compact
    def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
        g = self.activation(Norm(self.normalizer)(z, train))
        z = Dense(self.width, self.weights)(jnp.mean(g, axis=(1, 2)))
        return Head(self.outputs, self.activation, self.normalizer)(z, train)


def build(settings: Settings) -> Architecture:
    """g has one layer and `depth` more, f one and the outputs."""
    width, phi, weights = settings.width, settings.activation, settings.weights
    stem = PairStem(width, _objects(settings))
    head = PairHead(width, settings.outputs, phi, weights, settings.normalizer)
    return Architecture("relation_net", stem, _layers(settings), head)


def build_without(settings: Settings) -> Architecture:
    """One dense layer of all objects, and `depth` more."""
    stem = FlatStem(settings.width, _objects(settings))
    head = pre_activation_ends(settings)[1]
    return Architecture("relation_net_without", stem, _layers(settings), head)


def _objects(settings: Settings) -> Objects:
    how = settings.activation, settings.weights, settings.normalizer
    return Objects(settings.width, *how)


def _layers(settings: Settings) -> tuple[Stage, ...]:
    layer = mlp.Layer(settings.activation, settings.weights, settings.normalizer)
    return (Stage(layer, settings.depth),)
