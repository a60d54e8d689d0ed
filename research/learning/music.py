"""Chorales for nets: tokens as one-hot inputs, batches, and notes drawn from a net."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.architectures import contract
from depthbench.research.datasets.chorales import START, TOKENS, VOICES
from depthbench.research.learning import feed
from depthbench.research.learning.fits import FittedNet, Net
from depthbench.research.learning.system import Batch

INPUTS = TOKENS + VOICES  # of a step: the token before, and whose turn it is


def batch_of(tokens: Any) -> Batch:
    """Inputs [examples, time, INPUTS] and targets of windows of tokens.

    >>> batch_of(jnp.array([[5, 6, 7, 8]]))["inputs"][0].argmax(axis=1).tolist()
    [0, 5, 6, 7]
    """
    before = jnp.pad(tokens[:, :-1], ((0, 0), (1, 0)), constant_values=START)
    turn = jnp.broadcast_to(jnp.arange(tokens.shape[1]) % VOICES, tokens.shape)
    hot = jax.nn.one_hot(before, TOKENS), jax.nn.one_hot(turn, VOICES)
    return {"inputs": jnp.concatenate(hot, axis=-1), "targets": tokens}


@functools.cache
def drawn(batch: int) -> feed.Feeds:
    """Batches of windows drawn from data["tokens"]."""

    def feeds(data: Batch, first: Any) -> feed.Feed:
        def chosen(key, step):
            count = data["tokens"].shape[0]
            return batch_of(data["tokens"][feed.numbers_drawn(key, batch, count)])

        return chosen

    return feeds


def nats(fit: FittedNet, tokens: np.ndarray) -> float:
    """The mean of −log p of each note after those before it in its window."""
    return float(np.mean(surprises(fit, tokens)))


def surprises(fit: FittedNet, tokens: np.ndarray) -> np.ndarray:
    """As `nats`, of each window [windows]."""
    x = np.asarray(batch_of(tokens)["inputs"])
    log_p = jax.nn.log_softmax(fit.outputs(x), axis=-1)
    picked = np.take_along_axis(np.asarray(log_p), tokens[:, :, None], axis=2)
    return -np.mean(picked[..., 0], axis=1, dtype=np.float64)


def sampled(fit: FittedNet, start: np.ndarray, chords: int, seed: int) -> np.ndarray:
    """Tokens [pieces, VOICES × chords] that go on from `start` [pieces, given].

    One compiled loop: each token is drawn by what the net gives after those of as many
    chords before it as it was trained on.
    """
    time = fit.net.task.shape[0]
    pieces, given = start.shape
    length = VOICES * chords
    tokens = jnp.zeros((pieces, max(length, time)), jnp.int32)
    tokens = tokens.at[:, :given].set(start)
    key = jax.random.key(seed)
    made = _sampler(fit.net, length)(fit.variables, tokens, given, key)
    return np.asarray(made)[:, :length]


@functools.lru_cache(maxsize=8)
def _sampler(net: Net, length: int) -> Callable:
    time = net.task.shape[0]

    @jax.jit
    def run(variables, tokens, given, key):
        def step(place, tokens):
            # Windows begin with a chord, as those do that the net has learned from.
            last = place - time + 1
            start = jnp.maximum(0, (last + VOICES - 1) // VOICES * VOICES)
            window = jax.lax.dynamic_slice_in_dim(tokens, start, time, axis=1)
            inputs = batch_of(window)["inputs"]
            outputs, _ = contract.apply(net.parts.net, variables, inputs, train=False)
            asked = jax.lax.dynamic_index_in_dim(
                outputs, place - start, axis=1, keepdims=False
            )
            asked = asked.at[:, START].set(-jnp.inf)  # never within a piece
            one = jax.random.categorical(jax.random.fold_in(key, place), asked)
            return jax.lax.dynamic_update_slice_in_dim(
                tokens, one[:, None].astype(tokens.dtype), place, axis=1
            )

        return jax.lax.fori_loop(given, length, step, tokens)

    return run
