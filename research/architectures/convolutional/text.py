"""Kim's convolutional net of sentences, and deeper ones made of its layer.

Kim 2014, arXiv:1408.5882: windows of three, four and five words side by side, ReLU, and
of each feature the largest anywhere in the sentence. There it is one layer; here more of
them may lie below the maximum.
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
from depthbench.research.architectures.layers import (
    Conv,
    Dense,
    Head,
    Norm,
    as_sequence,
)
from depthbench.research.catalogues.normalizers import NORMALIZERS, Normalizer

WINDOWS = (3, 4, 5)  # steps that a feature sees at once


class Stem(nn.Module):
    """Each step's features, brought to the width of a layer."""

    width: int
    weights: Weights

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        return Dense(self.width, self.weights, first=True)(as_sequence(x))


class Layer(nn.Module):
    """h' = φ(norm of a third of the features from each window of h)."""

    activation: Callable[[jax.Array], jax.Array]
    weights: Weights
    normalizer: Normalizer

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        width = h.shape[-1]
        share = width // len(WINDOWS)
        sizes = [width - share * (len(WINDOWS) - 1), *[share] * (len(WINDOWS) - 1)]
        parts = [
            Conv(size, self.weights, (steps,), name=f"of_{steps}")(h)
            for size, steps in zip(sizes, WINDOWS, strict=True)
            if size
        ]
        z = Norm(self.normalizer)(jnp.concatenate(parts, axis=-1), train)
        return self.activation(z)


def largest(h: jax.Array) -> jax.Array:
    """The largest of each feature over all steps [batch, width]."""
    return jnp.max(h, axis=1)


def build(settings: Settings) -> Architecture:
    """Layers of windows of three, four and five steps; the head reads the maxima."""
    layer = Layer(settings.activation, settings.weights, settings.normalizer)
    stem = Stem(settings.width, settings.weights)
    head = Head(settings.outputs, largest, NORMALIZERS["none"])
    return Architecture("text_cnn", stem, (Stage(layer, settings.depth),), head)
