"""Autoencoders: the input through a narrow code and back.

Dense: Hinton & Salakhutdinov 2006, Science 313:504, which halves widths from 1000 to a
code. Convolutional: Masci et al. 2011, ICANN, with steps of two in place of pooling.
Half of `depth` layers encode; each of them is a stage, as each changes the state's
shape. `outputs` is how many numbers are to be reconstructed of an example (dense) or of
a pixel (convolutional): settings do not say what an input's shape is.
"""

import functools
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
from depthbench.research.architectures.layers import (
    Conv,
    Dense,
    Norm,
    as_image,
    pre_activation_ends,
)
from depthbench.research.catalogues.initializers import DRAWS
from depthbench.research.catalogues.normalizers import Normalizer


class Layer(nn.Module):
    """W φ(norm(z)) + b, to another width."""

    width: int
    activation: Callable[[jax.Array], jax.Array]
    weights: Weights
    normalizer: Normalizer

    @nn.compact
    def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
        h = self.activation(Norm(self.normalizer)(z, train))
        return Dense(self.width, self.weights)(h)


class Down(Layer):
    """Half the height and width; raises ValueError where they are odd."""

    @nn.compact
    def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
        if z.shape[1] % 2 or z.shape[2] % 2:
            raise ValueError(
                f"an image of {z.shape[1:3]} cannot be halved and restored"
            )
        h = self.activation(Norm(self.normalizer)(z, train))
        return Conv(self.width, self.weights, strides=2)(h)


class Up(Layer):
    """Twice the height and width, each pixel repeated before the convolution."""

    @nn.compact
    def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
        h = self.activation(Norm(self.normalizer)(z, train))
        return Conv(self.width, self.weights)(doubled(h))


def doubled(h: jax.Array) -> jax.Array:
    """Images [batch, height, width, channels] with each pixel four times."""
    return jnp.repeat(jnp.repeat(h, 2, axis=1), 2, axis=2)


class ImageStem(nn.Module):
    """Images [batch, height, width, channels] after one convolution."""

    width: int
    weights: Weights

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        return Conv(self.width, self.weights, first=True)(as_image(x))


class ImageHead(nn.Module):
    """An image [batch, height, width, outputs] from the last state."""

    outputs: int
    activation: Callable[[jax.Array], jax.Array]
    normalizer: Normalizer

    @nn.compact
    def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
        h = self.activation(Norm(self.normalizer)(z, train))
        lecun = Weights(DRAWS["normal"], lambda fan_in, fan_out: (1.0, 0.0))
        return Conv(self.outputs, lecun, (1, 1))(h)


def build(settings: Settings) -> Architecture:
    """Dense: widths are halved down to the code, and doubled again."""
    down = [settings.width >> n for n in range(settings.depth // 2 + 1)]
    widths = [max(1, width) for width in down[1:] + down[-2::-1]]
    how = (settings.activation, settings.weights, settings.normalizer)
    stages = tuple(Stage(Layer(width, *how), 1) for width in widths)
    stem, head = pre_activation_ends(settings)
    return Architecture("autoencoder", stem, stages, head)


@functools.cache
def through(code: int) -> Callable[[Architecture], Architecture]:
    """What makes the middle layer of a dense autoencoder one of so many units.

    Others stay as wide as they are; equal codes are the same function.
    """

    def changed(net: Architecture) -> Architecture:
        stages = list(net.stages)
        middle = len(stages) // 2 - 1
        layer = stages[middle].layer
        assert isinstance(layer, Layer)
        stages[middle] = stages[middle]._replace(layer=layer.clone(width=code))
        return net._replace(stages=tuple(stages))

    return changed


def build_convolutional(settings: Settings) -> Architecture:
    """Convolutional: sides are halved as channels are doubled, and back."""
    channels = [settings.width << n for n in range(settings.depth // 2 + 1)]
    how = (settings.activation, settings.weights, settings.normalizer)
    down = [Stage(Down(width, *how), 1) for width in channels[1:]]
    up = [Stage(Up(width, *how), 1) for width in channels[-2::-1]]
    stem = ImageStem(settings.width, settings.weights)
    head = ImageHead(settings.outputs, settings.activation, settings.normalizer)
    return Architecture("conv_autoencoder", stem, (*down, *up), head)
