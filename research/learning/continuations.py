"""Sequences that a net of next symbols goes on with, drawn symbol by symbol.

The loop is compiled: in each of its turns the net reads the last symbols, a window as
long as those it was trained on, and one symbol is drawn of what it gives for the next.
Divided by a temperature below 1, logits make likely symbols likelier; at 0 it would be
the likeliest each time (Ackley, Hinton & Sejnowski 1985, Cognitive Science 9:147).
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Logits = Callable[[Any, Any], Any]  # (variables, windows) -> [count, places, symbols]


def drawn(
    logits: Logits,
    variables: Any,
    windows: np.ndarray,
    length: int,
    temperatures: np.ndarray,
    seed: int = 0,
) -> np.ndarray:
    """So many symbols after each window [count, places], as [count, length].

    logits: what is known of the symbol after each place. temperatures: of each window's
    continuation, above 0.
    """
    run = _loop(logits, length)
    key = jax.random.key(seed)
    heat = jnp.asarray(temperatures, jnp.float32)
    return np.asarray(run(variables, jnp.asarray(windows, jnp.int32), heat, key))


@functools.lru_cache(maxsize=64)
def _loop(logits: Logits, length: int) -> Callable:
    @jax.jit
    def run(variables, windows, temperatures, key):
        def turn(windows, key):
            last = logits(variables, windows)[:, -1]
            symbol = jax.random.categorical(key, last / temperatures[:, None])
            after = jnp.concatenate([windows[:, 1:], symbol[:, None]], axis=1)
            return after, symbol

        keys = jax.random.split(key, length)
        return jax.lax.scan(turn, windows, keys)[1].T

    return run
