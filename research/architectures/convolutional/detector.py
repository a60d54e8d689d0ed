"""A detection net: a trunk of convolutions on a grid of cells, and outputs of each cell.

Redmon et al. 2016, arXiv:1506.02640: the image is divided into cells, and each cell's
outputs say whether an object's centre is in it, which object, and its box. Here a cell is
4 × 4 pixels: two convolutions of stride 2 go before the trunk, whose layers are all
alike, and 1 × 1 convolutions give the outputs, as of YOLOv2 (arXiv:1612.08242). YOLO's
dense layers would have to learn each place by itself.
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
from depthbench.research.architectures.convolutional import circular
from depthbench.research.architectures.layers import Conv, Norm, as_image, linear_head
from depthbench.research.catalogues.normalizers import Normalizer


class Stem(nn.Module):
    """The cells [batch, height / 4, width / 4, width], by two convolutions of stride 2."""

    width: int
    activation: Callable[[jax.Array], jax.Array]
    weights: Weights
    normalizer: Normalizer

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        z = Conv(self.width, self.weights, strides=2, first=True)(as_image(x))
        h = self.activation(Norm(self.normalizer)(z, train))
        return Conv(self.width, self.weights, strides=2)(h)


class GridHead(nn.Module):
    """Outputs of each cell [batch, cells, outputs], row by row, or their mean over cells.

    each: whether every cell has a target of its own.
    """

    outputs: int
    activation: Callable[[jax.Array], jax.Array]
    normalizer: Normalizer
    each: bool

    @nn.compact
    def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
        h = self.activation(Norm(self.normalizer)(z, train))
        cells = h.reshape(h.shape[0], -1, h.shape[-1])
        if not self.each:
            cells = jnp.mean(cells, axis=1)
        return linear_head(self.outputs)(cells, train)


def build(settings: Settings) -> Architecture:
    """A trunk without skips, z' = W * φ(norm(z)) + b with zeros around the grid."""
    return _detector("detector", _layer(circular.Layer, settings), settings)


def build_residual(settings: Settings) -> Architecture:
    """A trunk with skips, whose branches are divided by √depth."""
    scale = jnp.asarray(settings.active_depth, jnp.float32) ** -0.5
    layer = _layer(circular.ResidualLayer, settings).clone(scale=scale)
    return _detector("detector_residual", layer, settings)


def _layer(kind: type[circular.Layer], settings: Settings) -> circular.Layer:
    phi, weights, norm = settings.activation, settings.weights, settings.normalizer
    return kind(phi, weights, norm, circular.IMAGE, "SAME")


def _detector(name: str, layer: circular.Layer, settings: Settings) -> Architecture:
    phi, weights, norm = settings.activation, settings.weights, settings.normalizer
    stem = Stem(settings.width, phi, weights, norm)
    head = GridHead(settings.outputs, phi, norm, settings.every_step)
    return Architecture(name, stem, (Stage(layer, settings.depth),), head)
