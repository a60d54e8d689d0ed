"""Recurrent nets whose depth is time: one cell, a layer for each step it takes.

The input is read as a sequence, again from its start where there are more steps than
inputs. The hidden state starts at zero; the head reads the last one. In an LSTM the
state is (h, c).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthbench.research.architectures.contract import (
    Architecture,
    Fed,
    Settings,
    Stage,
    Tree,
    Weights,
)
from depthbench.research.architectures.layers import (
    Head,
    Norm,
    as_sequence,
    identity,
    product,
)
from depthbench.research.architectures.recurrent import cells
from depthbench.research.architectures.recurrent.cells import (
    Cell,
    Projection,
    Recurrent,
    by_gate,
)
from depthbench.research.catalogues.normalizers import Normalizer


class Reader(nn.Module):
    """Zeros, and the input's part of each of `steps` steps [steps, batch, …]."""

    cell: Cell
    width: int
    steps: int
    weights: Weights
    longest: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> Fed:
        x = as_sequence(x)
        project = Projection(
            self.cell, self.width, self.weights, first=True, longest=self.longest
        )
        kernel, bias = project(x.shape[-1], x.dtype)
        now = product(jnp.swapaxes(x[:, : self.steps], 0, 1), kernel) + bias[None, None]
        around = jnp.arange(self.steps) % now.shape[0]
        start = self.cell.start(x.shape[0], self.width, now.dtype)
        return Fed(start, now[around])


class Step(nn.Module):
    """One step of a cell; the normaliser comes before the product with the state."""

    cell: Cell
    activation: Callable[[jax.Array], jax.Array]
    weights: Weights
    normalizer: Normalizer

    @nn.compact
    def __call__(self, state: Tree, train: bool, now: jax.Array) -> Tree:
        width = self.cell.read(state).shape[-1]
        weights = by_gate(self.weights, self.cell.gates)
        kernel, bias, sigma_w = Recurrent(self.cell, width, weights)(now.dtype)
        norm = Norm(self.normalizer)

        def times(h, columns=slice(None)):
            product = norm(h, train) @ kernel[:, columns]
            product = product if sigma_w is None else sigma_w * product
            return product + bias[:, columns]

        return self.cell.step(times, state, now, self.activation)


class Last(nn.Module):
    """The outputs, from what `read` takes of the last state."""

    outputs: int
    normalizer: Normalizer
    read: Callable[[Tree], jax.Array]

    @nn.compact
    def __call__(self, state: Tree, train: bool = True) -> jax.Array:
        head = Head(self.outputs, identity, self.normalizer)
        return head(self.read(state), train)


def _build(
    name: str,
    cell: Cell,
    settings: Settings,
    longest: Any = None,
    recurrent: Callable[[Weights], Weights] = lambda weights: weights,
) -> Architecture:
    weights = settings.weights
    stem = Reader(cell, settings.width, settings.depth, weights, longest)
    layer = Step(cell, settings.activation, recurrent(weights), settings.normalizer)
    head = Last(settings.outputs, settings.normalizer, cell.read)
    return Architecture(name, stem, (Stage(layer, settings.depth, tied=True),), head)


def build_rnn(settings: Settings) -> Architecture:
    """h' = φ(W h + U x + b)."""
    return _build("rnn", cells.RNN, settings)


def build_identity(settings: Settings) -> Architecture:
    """The same, W the identity at first; the paper's φ is ReLU (Le et al. 2015)."""
    return _build("rnn_identity", cells.RNN, settings, recurrent=cells.identity_kernel)


def build_lstm(settings: Settings) -> Architecture:
    """Long short-term memory, its forget gate open by a bias of 1."""
    return _build("lstm", cells.LSTM, settings)


def build_chrono(settings: Settings) -> Architecture:
    """The same, with forget times spread up to the number of steps."""
    longest = settings.active_depth
    return _build("lstm_chrono", cells.LSTM, settings, longest)


def build_gru(settings: Settings) -> Architecture:
    """The gated recurrent unit, in the form of cuDNN and PyTorch."""
    return _build("gru", cells.GRU, settings)


def build_mgu(settings: Settings) -> Architecture:
    """The minimal gated unit: one gate that forgets and updates."""
    return _build("mgu", cells.MGU, settings)
