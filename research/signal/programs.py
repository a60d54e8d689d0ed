"""The compiled programs of segments: forward, and back with the cotangents rescaled.

A derivative is linear in its cotangents, but for a custom_vjp's, which may clip them:
such a rule is given them as they are, where float32 holds them.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core
from jax.extend.core import primitives

from depthbench.research.signal import readings, slopes
from depthbench.research.signal.equality import Key, holds_same
from depthbench.research.signal.equations import holds
from depthbench.research.signal.scaled import (
    ALL,
    NONE,
    Scaled,
    is_lost,
    scaled,
    times,
    together,
)

FEW = 16  # cotangents that a program brings to one scale itself
TRUE = 40  # binary places beside 1 within which a rule is given true cotangents
MOST = 512  # programs that are kept for the networks to come


class Function(NamedTuple):
    """What a segment computes, by places alone, so that equal ones are equal.

    moved, made: which of what it reads and returns gradients are of.
    end: the values of the state at its end, among what it returns, what it reads, and
      what is given beside; None if there is no state.
    batch: the number of examples.
    """

    moved: tuple[int, ...]
    made: tuple[int, ...]
    end: tuple[int, ...] | None
    batch: int | None


class Elementwise(NamedTuple):
    """What looks like one within a segment, and places of what it reads among `extra`."""

    closed: core.ClosedJaxpr
    reads: tuple[int, ...]


class SegmentProgram:
    """What a segment does, compiled once for all equal ones.

    closed: from what it reads to what it writes, and behind that what activations read.
    """

    def __init__(
        self,
        closed: core.ClosedJaxpr,
        function: Function,
        activations: Sequence[Elementwise] = (),
    ):
        self.closed, self.function = closed, function
        self.activations = tuple(activations)
        inner = sum(len(a.reads) for a in self.activations)
        self._writes = len(closed.jaxpr.outvars) - inner
        self._run = slopes.with_slopes(closed)
        self._ruled = holds(closed.jaxpr, primitives.custom_vjp_call_p)
        self.forward = jax.jit(self._forward)
        self._back = jax.jit(self._backward)

    def _forward(self, reads: list[Any], beside: list[Any]) -> tuple[list[Any], Any]:
        """(what it writes, the reading of the state at its end or None)."""
        out = self._run(*reads)
        made, inner = out[: self._writes], out[self._writes :]
        end, batch = self.function.end, self.function.batch
        if end is None:
            return made, None
        values = [*made, *reads, *beside]
        given = [(a.closed, [inner[i] for i in a.reads]) for a in self.activations]
        return made, readings.reading([values[i] for i in end], given, batch)

    def backward(
        self, reads: list[Any], cotangents: list[Scaled], reading: Any
    ) -> tuple[list[Scaled], jax.Array]:
        """(cotangents of what is moved, whether one lost here what it is made of).

        reading: that of the state at its end, or None. Where that is not finite, all is
          marked as lost, and so is what is made of what was lost before.
        """
        if len(cotangents) <= FEW:
            return self._back(reads, cotangents, reading)
        # Those of a thousand slices are brought to one scale by one small program.
        common, lost = _largest([c._replace(array=None) for c in cotangents])
        arrays = [_aligned(c, common) for c in cotangents]
        return self._back(reads, arrays, reading, (common, lost))

    def trace_back(self, reads: list[Any]) -> None:
        """Raises what jax raises where something has no derivative; of shapes alone."""
        if self.function.moved and self.function.made:
            shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in reads]
            jax.eval_shape(self._and_back, shapes)

    def _and_back(self, reads: list[Any]) -> Any:
        made, pull = self._pull(reads)
        return pull(made)  # any cotangents will do

    def _pull(self, reads: list[Any]) -> tuple[list[Any], Any]:
        """(what is made, the function from its cotangents to those of what is moved)."""

        def some(*moved):
            given = list(reads)
            for place, value in zip(self.function.moved, moved, strict=True):
                given[place] = value
            out = self._run(*given)
            return [out[place] for place in self.function.made]

        return jax.vjp(some, *(reads[place] for place in self.function.moved))

    def _backward(self, reads, cotangents, reading, scale=None):
        if scale is None:
            before = jnp.any(jnp.stack([is_lost(c) for c in cotangents]))
            arrays, common = together(cotangents)
        else:
            arrays, (common, before) = cotangents, scale
        if reading is not None:
            before = before | ~readings.is_finite(reading)
        if self._ruled:
            true = jnp.where(jnp.abs(common) <= TRUE, common, 0)
            arrays = [times(a, true).astype(a.dtype) for a in arrays]
            common = common - true
        _, pull = self._pull(reads)
        pulled = [_noted(scaled(g, common), common, before) for g in pull(arrays)]
        lost = jnp.stack([one.lost for one in pulled])
        return pulled, ~before & jnp.any(lost > NONE)


def shared(key: Key, make: Callable[[], SegmentProgram]) -> SegmentProgram:
    """The program of that key, that of an earlier network if it is of those last used."""
    if holds_same(key):  # equal to none of another network, and maybe large
        return make()
    with _lock:
        if key in _programs:
            _programs.move_to_end(key)
            return _programs[key]
    made = make()
    with _lock:
        made = _programs.setdefault(key, made)
        while len(_programs) > MOST:
            _programs.popitem(last=False)
    return made


_programs: OrderedDict[Key, SegmentProgram] = OrderedDict()
_lock = threading.Lock()


@jax.jit
def _largest(cotangents: list[Scaled]) -> tuple[jax.Array, jax.Array]:
    largest = jnp.max(jnp.stack([c.exponent for c in cotangents]))
    lost = jnp.any(jnp.stack([is_lost(c) for c in cotangents]))
    return jnp.where(largest == NONE, 0, largest), lost


@jax.jit
def _aligned(cotangent: Scaled, common: jax.Array) -> jax.Array:
    array = cotangent.array
    return times(array, cotangent.exponent - common).astype(array.dtype)


def _noted(pulled: Scaled, common: jax.Array, before: jax.Array) -> Scaled:
    """With what is lost: where it is so small, beside what it comes from, that some was.

    before: whether what it comes from was lost already.
    """
    # Two thirds of the way to the smallest number leave room for the steps between.
    low = common + jnp.finfo(pulled.array.dtype).minexp * 2 // 3
    lost = jnp.where(pulled.exponent < low, low, NONE)
    lost = jnp.where(before | ~jnp.isfinite(pulled.size[0]), ALL, lost)
    lost = lost.astype(jnp.int32)
    size = pulled.size.at[2].set(lost.astype(pulled.size.dtype))
    return pulled._replace(lost=lost, size=size)
