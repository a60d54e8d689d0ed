"""Recurrent encoder-decoders, with and without attention.

Sources: Cho et al. 2014, arXiv:1406.1078, section 2.2: the last state c of an encoder is
read by the decoder at every step, and begins it as tanh(V c). Sutskever, Vinyals & Le
2014, arXiv:1409.3215: in layers. Bahdanau, Cho & Bengio 2015, arXiv:1409.0473, section 3
and appendix A: in place of c a mean of all states of an encoder that reads both ways,
with weights that the decoder's state makes anew at every step.

The hidden state is that of `encoder_decoder`: of `depth` layers the first half change
`memory`, the second `target`. Every decoding layer looks at the memory, as a
Transformer's does; the papers have one such layer, or, in Sutskever et al., begin each
from the encoder's of the same height.
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
from depthbench.research.architectures.layers import Dense, Norm, drawn, product
from depthbench.research.architectures.recurrent import cells, stacked
from depthbench.research.architectures.recurrent.cells import (
    Projection,
    Recurrent,
    by_gate,
)
from depthbench.research.architectures.recurrent.sequence import over_time
from depthbench.research.architectures.recurrent.tied import Last
from depthbench.research.architectures.transformer.encoder_decoder import State, Stem
from depthbench.research.catalogues.normalizers import Normalizer

CELL = cells.GRU
Pair = tuple[jax.Array, jax.Array]  # kernel, bias


class Unbiased(nn.Module):
    """A kernel [fan_in, features] at its size, without a bias."""

    features: int
    weights: Weights
    first: bool = False

    @nn.compact
    def __call__(self, fan_in: int, dtype: Any) -> jax.Array:
        shape = (fan_in, self.features)
        kernel, _, sigma_w = drawn(self, shape, dtype, with_bias=False)
        return kernel if sigma_w is None else sigma_w * kernel


class Encoder(nn.Module):
    """A layer of GRUs that reads the memory, in one direction or in both."""

    phi: Callable[[jax.Array], jax.Array]
    weights: Weights
    normalizer: Normalizer
    directions: int

    @nn.compact
    def __call__(self, h: State, train: bool = True) -> State:
        how = (CELL, self.phi, self.weights, self.normalizer, self.directions)
        return {**h, "memory": stacked.Layer(*how)(h["memory"], train)}


class Decoder(nn.Module):
    """A layer of GRUs that reads the target, and at every step the same vector."""

    phi: Callable[[jax.Array], jax.Array]
    weights: Weights
    normalizer: Normalizer

    @nn.compact
    def __call__(self, h: State, train: bool = True) -> State:
        context = h["memory"][:, -1]
        x = jnp.swapaxes(Norm(self.normalizer)(h["target"], train), 0, 1)
        same = jnp.broadcast_to(context[None], (len(x), *context.shape))
        start = jnp.tanh(Dense(context.shape[-1], self.weights, name="start")(context))
        recurrent, inputs = _kernels(self.weights, x)
        x = jnp.concatenate([x, same], axis=-1)
        after = over_time(CELL, self.phi, recurrent, inputs, x, start=start)
        return {**h, "target": jnp.swapaxes(after, 0, 1)}


class Looking(nn.Module):
    """The same, which at every step looks at the memory by additive attention.

    The shares [batch, time, steps of memory] that the memory has are sown as
    `intermediates` under "shares".
    """

    phi: Callable[[jax.Array], jax.Array]
    weights: Weights
    normalizer: Normalizer

    @nn.compact
    def __call__(self, h: State, train: bool = True) -> State:
        memory = h["memory"]
        width = memory.shape[-1]
        x = jnp.swapaxes(Norm(self.normalizer)(h["target"], train), 0, 1)
        # The half that has read back to the first word.
        begun = Dense(width, self.weights, name="start")(memory[:, 0, width // 2 :])
        (kernel, bias), (into, shift) = _kernels(self.weights, x)
        now = product(x, into[:width]) + shift[None, None]
        key = Dense(width, self.weights, name="key")(memory)
        query = Unbiased(width, self.weights, name="query")(width, x.dtype)
        score = Unbiased(1, self.weights, name="score")(width, x.dtype)

        def step(s: jax.Array, now: jax.Array):
            heard = jnp.tanh(key + (s @ query)[:, None]) @ score
            shares = jax.nn.softmax(heard[..., 0], axis=-1)
            context = jnp.squeeze(shares[:, None] @ memory, 1)
            part = s @ kernel + bias[None]
            s = CELL.step(lambda _: part, s, now + context @ into[width:], self.phi)
            return s, (s, shares)

        _, (after, shares) = jax.lax.scan(step, jnp.tanh(begun), now)
        self.sow("intermediates", "shares", jnp.swapaxes(shares, 0, 1))
        return {**h, "target": jnp.swapaxes(after, 0, 1)}


def _kernels(weights: Weights, x: jax.Array) -> tuple[Pair, Pair]:
    """(recurrent, inputs): a GRU's, which reads a vector beside each of x [..., width]."""
    width = x.shape[-1]
    gates = by_gate(weights, CELL.gates)
    kernel, bias, sigma_w = Recurrent(CELL, width, gates)(x.dtype)
    inputs = Projection(CELL, width, weights)(2 * width, x.dtype)
    return (kernel if sigma_w is None else sigma_w * kernel, bias[0]), inputs


def _build(name: str, settings: Settings, directions: int, decoder) -> Architecture:
    how = (settings.activation, settings.weights, settings.normalizer)
    half = settings.depth // 2
    stages = (Stage(Encoder(*how, directions), half), Stage(decoder(*how), half))
    every = lambda h: h["target"]
    read = every if settings.every_step else lambda h: h["target"][:, -1]
    stem = Stem(settings.width, settings.weights, positions=False)
    head = Last(settings.outputs, settings.normalizer, read)
    return Architecture(name, stem, stages, head)


def build(settings: Settings) -> Architecture:
    """A decoder that is given the source as one vector."""
    return _build("seq2seq", settings, 1, Decoder)


def build_attention(settings: Settings) -> Architecture:
    """A decoder that looks at all of the source at every step."""
    return _build("seq2seq_attention", settings, 2, Looking)
