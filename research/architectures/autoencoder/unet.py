"""The U-Net, with skips and without: Ronneberger et al. 2015, arXiv:1505.04597.

Its hidden state is a tree: the features `h`, and the `skips` that wait for the way back
up, deepest last. Each level changes the tree and so is a stage. `depth` counts
convolutions as the paper does, 5n + 3 for n levels: 23 for its four. Unlike there,
edges are padded, so that the output [batch, height, width, outputs] has the input's
size. It holds a value for each pixel: classes, or what is reconstructed.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthbench.research.architectures.autoencoder.bottleneck import ImageHead, doubled
from depthbench.research.architectures.contract import (
    Architecture,
    Settings,
    Stage,
    Weights,
)
from depthbench.research.architectures.layers import Conv, Norm, as_image, identity
from depthbench.research.catalogues.normalizers import NORMALIZERS, Normalizer

State = dict[str, Any]


class Stem(nn.Module):
    """The image itself: the first level's convolutions read it."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> State:
        return {"h": as_image(x), "skips": ()}


class Level(nn.Module):
    """Two 3 × 3 convolutions to `width` channels, each normalised and activated."""

    width: int
    activation: Callable[[jax.Array], jax.Array]
    weights: Weights
    normalizer: Normalizer
    first: bool = False  # reads the input

    def twice(self, h: jax.Array, train: bool) -> jax.Array:
        for number in range(2):
            first = self.first and number == 0
            h = Conv(self.width, self.weights, first=first)(h)
            h = self.activation(Norm(self.normalizer)(h, train))
        return h

    @nn.compact
    def __call__(self, state: State, train: bool = True) -> State:
        return {**state, "h": self.twice(state["h"], train)}


class DownLevel(Level):
    """A level that leaves a skip, and the largest of each 2 × 2 pixels.

    skips: whether the skip has channels; without any it tells the way up its sides alone.
    """

    skips: bool = True

    @nn.compact
    def __call__(self, state: State, train: bool = True) -> State:
        h = self.twice(state["h"], train)
        pooled = nn.max_pool(h, (2, 2), (2, 2), "SAME")
        skip = h if self.skips else h[..., :0]
        return {"h": pooled, "skips": (*state["skips"], skip)}


class UpLevel(Level):
    """A 2 × 2 convolution of the doubled image, beside the skip, and a level."""

    @nn.compact
    def __call__(self, state: State, train: bool = True) -> State:
        *skips, skip = state["skips"]
        h = doubled(state["h"])[:, : skip.shape[1], : skip.shape[2]]
        h = Conv(self.width, self.weights, (2, 2), name="up")(h)
        h = self.twice(jnp.concatenate([skip, h], axis=-1), train)
        return {"h": h, "skips": tuple(skips)}


class Head(nn.Module):
    outputs: int

    @nn.compact
    def __call__(self, state: State, train: bool = True) -> jax.Array:
        return ImageHead(self.outputs, identity, NORMALIZERS["none"])(state["h"])


def build(settings: Settings) -> Architecture:
    """Levels down, one at the bottom, and as many up; channels double on the way."""
    return _unet("unet", settings, skips=True)


def build_plain(settings: Settings) -> Architecture:
    """The same where nothing but the bottom's features comes back up.

    The first convolution after each doubling reads half as many channels.
    """
    return _unet("unet_plain", settings, skips=False)


def _unet(name: str, settings: Settings, skips: bool) -> Architecture:
    levels = (settings.depth - 3) // 5
    channels = [settings.width << n for n in range(levels + 1)]
    how = (settings.activation, settings.weights, settings.normalizer)
    down = [
        DownLevel(width, *how, first=n == 0, skips=skips)
        for n, width in enumerate(channels[:-1])
    ]
    up = [UpLevel(width, *how) for width in channels[-2::-1]]
    layers = (*down, Level(channels[-1], *how), *up)
    stages = tuple(Stage(layer, 1) for layer in layers)
    return Architecture(name, Stem(), stages, Head(settings.outputs))
