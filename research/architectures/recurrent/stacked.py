"""Recurrent nets whose depth is layers: each reads the whole sequence of the one below.

The hidden state is that sequence [batch, time, width]; the head reads its last step.
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
from depthbench.research.architectures.layers import Dense, Norm, as_sequence, identity
from depthbench.research.architectures.recurrent import cells
from depthbench.research.architectures.recurrent.cells import (
    Cell,
    Projection,
    Recurrent,
    by_gate,
)
from depthbench.research.architectures.recurrent.sequence import over_time
from depthbench.research.architectures.recurrent.tied import Last
from depthbench.research.catalogues.normalizers import Normalizer


class Features(nn.Module):
    """The input's features at every step, brought to the width of a state."""

    width: int
    weights: Weights

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        return Dense(self.width, self.weights, first=True)(as_sequence(x))


class Layer(nn.Module):
    """A cell run over a sequence [batch, time, width].

    directions: with 2, half of the units read from the last step to the first.
    recurrent: what the state's own kernels are drawn with, of `weights`.
    chrono: forget times are spread up to the number of steps.
    phi: not `activation`, since it is called in a scan, where probes cannot look.
    """

    cell: Cell
    phi: Callable[[jax.Array], jax.Array]
    weights: Weights
    normalizer: Normalizer
    directions: int = 1
    recurrent: Callable[[Weights], Weights] = lambda weights: weights
    chrono: bool = False

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        h = jnp.swapaxes(Norm(self.normalizer)(h, train), 0, 1)
        width = h.shape[-1] // self.directions
        weights = by_gate(self.recurrent(self.weights), self.cell.gates)
        longest = h.shape[0] if self.chrono else None
        read = []
        for direction in range(self.directions):
            project = Projection(self.cell, width, self.weights, longest=longest)
            inputs = project(h.shape[-1], h.dtype)
            kernel, bias, sigma_w = Recurrent(self.cell, width, weights)(h.dtype)
            recurrent = kernel if sigma_w is None else sigma_w * kernel, bias[0]
            backwards = direction == 1
            read.append(over_time(self.cell, self.phi, recurrent, inputs, h, backwards))
        return jnp.swapaxes(jnp.concatenate(read, axis=-1), 0, 1)


def _build(
    name: str, cell: Cell, settings: Settings, directions: int = 1, **more: Any
) -> Architecture:
    """more: as of Layer."""
    layer = Layer(
        cell,
        settings.activation,
        settings.weights,
        settings.normalizer,
        directions,
        **more,
    )

    def last(h):
        """Each direction's state after the whole sequence."""
        half = h.shape[-1] // directions
        ends = [h[:, -1, :half], h[:, 0, half:]]
        return jnp.concatenate(ends[:directions], axis=-1)

    stem = Features(settings.width, settings.weights)
    read = identity if settings.every_step else last
    head = Last(settings.outputs, settings.normalizer, read)
    return Architecture(name, stem, (Stage(layer, settings.depth),), head)


def build_rnn(settings: Settings) -> Architecture:
    """Layers of h' = φ(W h + U x + b)."""
    return _build("stacked_rnn", cells.RNN, settings)


def build_identity(settings: Settings) -> Architecture:
    """The same, each W the identity at first; φ is ReLU (Le et al. 2015)."""
    kernel = cells.identity_kernel
    return _build("stacked_rnn_identity", cells.RNN, settings, recurrent=kernel)


def build_lstm(settings: Settings) -> Architecture:
    """Layers of long short-term memory."""
    return _build("stacked_lstm", cells.LSTM, settings)


def build_chrono(settings: Settings) -> Architecture:
    """The same, with forget times spread up to the sequence's length."""
    return _build("stacked_lstm_chrono", cells.LSTM, settings, chrono=True)


def build_gru(settings: Settings) -> Architecture:
    """Layers of gated recurrent units."""
    return _build("stacked_gru", cells.GRU, settings)


def build_bidirectional(settings: Settings) -> Architecture:
    """Layers of two LSTMs of half the width, one from each end of the sequence."""
    return _build("bidirectional_lstm", cells.LSTM, settings, directions=2)
