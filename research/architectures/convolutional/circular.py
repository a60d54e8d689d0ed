"""Convolutional nets of equal layers; their hidden state is [batch, *space, channels].

The plain ones are the mlp with convolutions for products, z' = W * φ(norm(z)) + b. With
CIRCULAR padding every pixel sees as many others, and mean-field theory (Xiao et al.
2018, arXiv:1806.05393) has the mlp's recursions for lengths and gradients; with zeros
at the border it has none.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthbench.research.architectures.contract import (
    Architecture,
    Settings,
    Stage,
    Weights,
)
from depthbench.research.architectures.convolution import Padding
from depthbench.research.architectures.dense import mlp
from depthbench.research.architectures.dense.highway import GATE_BIAS
from depthbench.research.architectures.layers import (
    Conv,
    Head,
    Norm,
    as_image,
    as_sequence,
    identity,
)

IMAGE, SEQUENCE = (3, 3), (3,)  # the kernels


class Layer(mlp.Layer):
    kernel: tuple[int, ...] = IMAGE
    padding: Padding = "CIRCULAR"

    @nn.compact
    def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
        h = self.activation(Norm(self.normalizer)(z, train))
        conv = Conv(z.shape[-1], self.weights, self.kernel, padding=self.padding)
        return conv(h)


class HighwayLayer(mlp.Layer):
    """h' = T φ(W * h + b) + (1 − T) h, with T = sigmoid(W_T * h + b_T)."""

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        n = Norm(self.normalizer)(h, train)
        new = self.activation(Conv(h.shape[-1], self.weights)(n))
        gate = Conv(h.shape[-1], self.weights, name="gate")(n)
        gate = jax.nn.sigmoid(gate + GATE_BIAS)
        return gate * new + (1 - gate) * h


class ResidualLayer(Layer):
    """z' = z + α W * φ(norm(z)) + α b; scale is α."""

    scale: Any = 1.0

    @nn.compact
    def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
        parts = self.activation, self.weights, self.normalizer
        branch = Layer(*parts, self.kernel, self.padding)(z, train)
        return z + jnp.asarray(self.scale, z.dtype) * branch


class Stem(nn.Module):
    """The first hidden state, by a convolution of the image or sequence."""

    width: int
    weights: Weights
    kernel: tuple[int, ...] = IMAGE
    padding: Padding = "CIRCULAR"
    activation: Callable[[jax.Array], jax.Array] = identity

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        x = as_image(x) if len(self.kernel) == 2 else as_sequence(x)
        conv = Conv(
            self.width, self.weights, self.kernel, padding=self.padding, first=True
        )
        return self.activation(conv(x))


def mean_over_space(h: jax.Array) -> jax.Array:
    """[batch, channels] of [batch, *space, channels]."""
    return jnp.mean(h, axis=tuple(range(1, h.ndim - 1)))


def of_places(net: Architecture) -> Architecture:
    """The net, its head linear in every place's channels: of their mean, as it is, none
    can say where something was."""
    phi = net.stages[0].layer.activation
    flat = lambda z: phi(z).reshape(len(z), -1)
    return net._replace(head=net.head.clone(activation=flat))


def _plain(
    name: str,
    settings: Settings,
    kernel: tuple[int, ...],
    padding: Padding,
    kind: Callable[..., nn.Module] = Layer,
    **more: Any,
) -> Architecture:
    """kind: of layer, with what it has more of."""
    phi = settings.activation
    parts = phi, settings.weights, settings.normalizer, kernel, padding
    layer = kind(*parts, **more)
    stem = Stem(settings.width, settings.weights, kernel, padding)
    head = Head(
        settings.outputs, lambda z: mean_over_space(phi(z)), settings.normalizer
    )
    return Architecture(name, stem, (Stage(layer, settings.depth),), head)


def build(settings: Settings) -> Architecture:
    """3×3 convolutions of an image that continues on its other side."""
    return _plain("cnn", settings, IMAGE, "CIRCULAR")


def build_same(settings: Settings) -> Architecture:
    """3×3 convolutions of an image that has zeros around it."""
    return _plain("cnn_same", settings, IMAGE, "SAME")


def build_1d(settings: Settings) -> Architecture:
    """Convolutions over three steps of a sequence that is closed to a circle."""
    return _plain("cnn_1d", settings, SEQUENCE, "CIRCULAR")


def build_residual_1d(settings: Settings) -> Architecture:
    """The same on branches that are divided by √depth (Hayou et al. 2021)."""
    scale = jnp.asarray(settings.active_depth, jnp.float32) ** -0.5
    name = "residual_cnn_1d_scaled"
    return _plain(name, settings, SEQUENCE, "CIRCULAR", ResidualLayer, scale=scale)


def build_highway(settings: Settings) -> Architecture:
    """Highway layers of 3×3 convolutions, with zeros around the image."""
    phi = settings.activation
    layer = HighwayLayer(phi, settings.weights, settings.normalizer)
    stem = Stem(settings.width, settings.weights, padding="SAME", activation=phi)
    head = Head(settings.outputs, mean_over_space, settings.normalizer)
    return Architecture("highway_cnn", stem, (Stage(layer, settings.depth),), head)
