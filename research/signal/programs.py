"""The compiled programs of segments: forward, and back with the cotangents rescaled.

A derivative is linear in its cotangents, but for a custom_vjp's, which may clip them:
such a rule is given them as they are, where float32 holds them.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core
from jax.extend.core import primitives

from research.signal.equations import holds
from research.signal.scaled import NONE, Scaled, scaled, times, together

FEW = 16  # cotangents that a program brings to one scale itself
TRUE = 40  # binary places beside 1 within which a rule is given true cotangents


class SegmentProgram:
    """What a segment does, compiled once for all equal ones.

    moved, made: which of what it reads and returns gradients are of.
    """

    def __init__(
        self, closed: core.ClosedJaxpr, moved: tuple[int, ...], made: tuple[int, ...]
    ):
        self.closed, self.moved, self.made = closed, moved, made
        self._run = core.jaxpr_as_fun(closed)
        self._ruled = holds(closed.jaxpr, primitives.custom_vjp_call_p)
        self.forward = jax.jit(self._forward)
        self._back = jax.jit(self._backward)

    def _forward(self, reads: list[Any]) -> list[Any]:
        return self._run(*reads)

    def backward(
        self, reads: list[Any], cotangents: list[Scaled]
    ) -> tuple[list[Scaled], jax.Array]:
        """(cotangents of what is moved; whether one may have lost what it is made of)."""
        if len(cotangents) <= FEW:
            return self._back(reads, cotangents)
        # Those of a thousand slices are brought to one scale by one small program.
        common = _largest([c.exponent for c in cotangents])
        return self._back(reads, [_aligned(c, common) for c in cotangents], common)

    def _backward(self, reads, cotangents, common=None):

        def some(*moved):
            given = list(reads)
            for place, value in zip(self.moved, moved, strict=True):
                given[place] = value
            out = self._run(*given)
            return [out[place] for place in self.made]

        if common is None:
            cotangents, common = together(cotangents)
        arrays = cotangents
        if self._ruled:
            true = jnp.where(jnp.abs(common) <= TRUE, common, 0)
            arrays = [times(a, true).astype(a.dtype) for a in arrays]
            common = common - true
        _, pull = jax.vjp(some, *(reads[place] for place in self.moved))
        pulled = [scaled(g, common) for g in pull(arrays)]
        lost = [_lost(s, common) for s in pulled]
        return pulled, jnp.any(jnp.stack(lost))


@jax.jit
def _largest(exponents: list[jax.Array]) -> jax.Array:
    largest = jnp.max(jnp.stack(exponents))
    return jnp.where(largest == NONE, 0, largest)


@jax.jit
def _aligned(cotangent: Scaled, common: jax.Array) -> jax.Array:
    array = cotangent.array
    return times(array, cotangent.exponent - common).astype(array.dtype)


def _lost(pulled: Scaled, common: jax.Array) -> jax.Array:
    """Whether a cotangent is so small, beside what it comes from, that some was lost."""
    # Two thirds of the way to the smallest number leave room for the steps between.
    low = jnp.finfo(pulled.array.dtype).minexp * 2 // 3
    small = (pulled.exponent == NONE) | (pulled.exponent - common < low)
    return small | ~jnp.isfinite(pulled.norm)
