"""Residual multilayer perceptrons: z' = z + α (W φ(norm(z)) + b).

And those whose hidden state is the activation: h' = h + α φ(W norm(h) + b).
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthbench.research.architectures.contract import Architecture, Settings, Stage
from depthbench.research.architectures.dense import mlp
from depthbench.research.architectures.layers import (
    Dense,
    Head,
    Norm,
    Stem,
    identity,
    pre_activation_ends,
)


class Layer(mlp.Layer):
    """Pre-activation residual layer; `scale` is α, learned where `learned`."""

    scale: Any = 1.0
    learned: bool = False

    @nn.compact
    def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
        branch = mlp.Layer(self.activation, self.weights, self.normalizer)(z, train)
        if self.learned:
            alpha = self.param(
                "alpha", nn.initializers.constant(self.scale), (1,) * z.ndim, z.dtype
            )
            return z + alpha * branch
        return z + jnp.asarray(self.scale, z.dtype) * branch


def _build(name: str, settings: Settings, scale: Any, learned: bool) -> Architecture:
    layer = Layer(
        settings.activation, settings.weights, settings.normalizer, scale, learned
    )
    stem, head = pre_activation_ends(settings)
    return Architecture(name, stem, (Stage(layer, settings.depth),), head)


def build(settings: Settings) -> Architecture:
    """Branches as they are, α = 1 (He et al. 2016)."""
    return _build("residual_mlp", settings, 1.0, learned=False)


def build_scaled(settings: Settings) -> Architecture:
    """Branches divided by √depth (Hayou et al. 2021)."""
    scale = jnp.asarray(settings.active_depth, jnp.float32) ** -0.5
    return _build("residual_mlp_scaled", settings, scale, learned=False)


def build_rezero(settings: Settings) -> Architecture:
    """Branches behind a learned gate that starts at zero (Bachlechner et al. 2021)."""
    return _build("rezero_mlp", settings, 0.0, learned=True)


class ActivatedLayer(mlp.Layer):
    """A branch that ends with its activation; behind a gate that starts at 0 if gated."""

    gated: bool = False

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        n = Norm(self.normalizer)(h, train)
        branch = self.activation(Dense(h.shape[-1], self.weights)(n))
        if not self.gated:
            return h + branch
        zero = nn.initializers.zeros
        return h + self.param("alpha", zero, (1,) * h.ndim, h.dtype) * branch


def build_activated(settings: Settings) -> Architecture:
    """Branches that end with their activation, added as they are."""
    return _activated("residual_mlp_activated", settings, gated=False)


def build_rezero_activated(settings: Settings) -> Architecture:
    """The same behind learned gates that start at zero."""
    return _activated("rezero_mlp_activated", settings, gated=True)


def _activated(name: str, settings: Settings, gated: bool) -> Architecture:
    parts = settings.activation, settings.weights, settings.normalizer
    stem = Stem(settings.width, settings.weights, settings.activation)
    head = Head(settings.outputs, identity, settings.normalizer)
    stage = Stage(ActivatedLayer(*parts, gated), settings.depth)
    return Architecture(name, stem, (stage,), head)
