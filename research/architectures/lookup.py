"""Nets of sequences that read symbols by their numbers, each looked up in a table.

A table's row is what a one-hot vector's product with it would be, without the product:
of thousands of words it is the larger part of a small net's step. It is no architecture
of the catalogue, but a change of one, whose own stem reads what was looked up.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthbench.research.architectures.contract import Architecture
from depthbench.research.architectures.layers import normal

BEGINNING = 0.1  # the standard deviation of fresh vectors


class Lookup(nn.Module):
    """The stem's state of vectors that are learned for each symbol.

    They begin small: a rare word's vector takes few steps, each about as long as the
    learning rate, and keeps most of what it began as.
    """

    stem: nn.Module
    symbols: int
    size: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        shape, dtype = (self.symbols, self.size), jnp.result_type(float)
        table = self.param("table", normal(BEGINNING), shape, dtype)
        return self.stem(table[x.astype(jnp.int32)], train)


@functools.cache
def of_symbols(symbols: int, size: int) -> Callable[[Architecture], Architecture]:
    """A change of a net of sequences: it reads [batch, time] numbers below `symbols`.

    size: of a symbol's vector, which is what its stem then reads.
    """

    def change(net: Architecture) -> Architecture:
        return net._replace(stem=Lookup(net.stem, symbols, size))

    return change
