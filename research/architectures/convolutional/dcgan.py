"""A generator and a discriminator as mirror images: Radford et al. 2015, arXiv:1511.06434.

The generator lays a vector out on a quarter of the image's sides and doubles them twice;
the discriminator halves them twice, by steps of two. Half of `depth` layers are at each
size: the first of them changes it, the others keep it. Deviations: sides are doubled by
repetition and a convolution, where transposed ones leave checkers (Odena et al. 2016);
outputs are not squashed, as data are not in [−1, 1]; batch norm is one of the normalisers
that can be asked for, and not built in.
"""

from collections.abc import Sequence

import jax
from flax import linen as nn

from depthbench.research.architectures.autoencoder.bottleneck import (
    ImageHead,
    ImageStem,
    doubled,
)
from depthbench.research.architectures.contract import (
    Architecture,
    Settings,
    Stage,
    Weights,
)
from depthbench.research.architectures.dense import mlp
from depthbench.research.architectures.layers import Conv, Dense, Head, Norm

CHANNELS = (1, 3)  # of images: grey or coloured


def canvas(numbers: int) -> tuple[int, int]:
    """(side, channels) of the square image that has so many numbers, or a few more.

    >>> canvas(64), canvas(3 * 32 * 32), canvas(5)
    ((8, 1), (32, 3), (3, 1))
    """
    for channels in CHANNELS:
        side = round((numbers / channels) ** 0.5)
        if side * side * channels == numbers:
            return side, channels
    return int(numbers**0.5) + 1, 1


def _halved(side: int) -> int:
    return -(-side // 2)


class Projected(nn.Module):
    """A flattened input as an image [batch, side, side, width], by one dense map."""

    width: int
    side: int
    weights: Weights

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        pixels = self.side * self.side * self.width
        z = Dense(pixels, self.weights, first=True)(x.reshape(len(x), -1))
        return z.reshape(len(x), self.side, self.side, self.width)


class Kept(mlp.Layer):
    """A 3 × 3 convolution of φ(norm(z)), with zeros around it."""

    @nn.compact
    def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
        h = self.activation(Norm(self.normalizer)(z, train))
        return Conv(z.shape[-1], self.weights)(h)


class Enlarged(mlp.Layer):
    """The same to `width` channels and a side of `side`, twice as long or one less."""

    width: int = 1
    side: int = 1

    @nn.compact
    def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
        h = self.activation(Norm(self.normalizer)(z, train))
        return Conv(self.width, self.weights)(doubled(h)[:, : self.side, : self.side])


class HalvedImage(mlp.Layer):
    """The same to `width` channels, by steps of two."""

    width: int = 1

    @nn.compact
    def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
        h = self.activation(Norm(self.normalizer)(z, train))
        return Conv(self.width, self.weights, strides=2)(h)


class Painted(ImageHead):
    """The image's numbers [batch, outputs], row by row, from the last state."""

    @nn.compact
    def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
        channels = canvas(self.outputs)[1]
        head = ImageHead(channels, self.activation, self.normalizer)
        return head(z, train).reshape(len(z), -1)[:, : self.outputs]


def build_generator(settings: Settings) -> Architecture:
    """From a vector to the numbers of a square image; channels halve as sides double."""
    phi, width = settings.activation, settings.width
    how = (phi, settings.weights, settings.normalizer)
    side, _ = canvas(settings.outputs)
    half = _halved(side)
    changes = [Enlarged(*how, width // 2, half), Enlarged(*how, width // 4, side)]
    stem = Projected(width, _halved(half), settings.weights)
    head = Painted(settings.outputs, phi, settings.normalizer)
    return Architecture("generator", stem, _both(changes, settings), head)


def build_discriminator(settings: Settings) -> Architecture:
    """From an image to its score, of all pixels of the last state; channels double."""
    phi, width = settings.activation, settings.width // 4
    how = (phi, settings.weights, settings.normalizer)
    changes = [HalvedImage(*how, width * n) for n in (2, 4)]
    flat = lambda z: phi(z).reshape(len(z), -1)
    head = Head(settings.outputs, flat, settings.normalizer)
    stem = ImageStem(width, settings.weights)
    return Architecture("discriminator", stem, _both(changes, settings), head)


def _both(changes: Sequence[mlp.Layer], settings: Settings) -> tuple[Stage, ...]:
    """Half of the layers after each change of size, which is the first of them."""
    keep = Kept(settings.activation, settings.weights, settings.normalizer)
    kept = settings.depth // 2 - 1
    each = [(Stage(change, 1), Stage(keep, kept)) for change in changes]
    return tuple(stage for pair in each for stage in pair if stage.depth)
