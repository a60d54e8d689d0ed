"""A segment in float64, equation by equation: what float32 cannot hold in between.

Each equation's cotangents are rescaled, so that only what underflows float64 within one
equation is lost. Dropout masks and whatever else was computed before stay as they are.
What is inside a loop, a branch or a kernel of the user's stays in its own dtype; the
rule of a custom_jvp or custom_vjp is run in float64 as well.
"""

import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jax.extend.core import primitives

from depthbench.research.signal import slopes
from depthbench.research.signal.equality import alone, derivative, is_float
from depthbench.research.signal.equations import CUSTOM, GROUPS, Equation, body_of
from depthbench.research.signal.scaled import NONE, Scaled

# Parameters of equations that say which dtype is computed in.
DTYPES = ("new_dtype", "preferred_element_type", "dtype")
TRUE = 900  # binary places that float64 has on either side of 1, with room
NARROW = {"bitcast_convert_type", "reduce_precision", "random_bits"}


def backward(
    equations: Sequence[Equation],
    values: dict[int, Any],
    cotangents: dict[int, Scaled],
    wanted: Sequence[int],
    moving: frozenset[int],
) -> list[Scaled]:
    """The cotangents of what is `wanted`, of equations that read these values.

    cotangents: of what the equations write, as far as it has some.
    moving: the values that have a gradient.
    """
    with jax.enable_x64(True):
        known = {value: _widened(array) for value, array in values.items()}
        for e in equations:
            made = evaluated(e.eqn, [_read(a, known) for a in e.reads])
            known.update(zip(e.writes, made, strict=True))
        pulled = {
            v: (_widened(s.array), int(s.exponent)) for v, s in cotangents.items()
        }
        for e in reversed(equations):
            if any(value in pulled for value in e.writes):
                _pull(e, known, pulled, moving)
        return [_scaled(*pulled.get(v, (known[v] * 0, 0))) for v in wanted]


def _read(atom: Any, known: dict[int, Any]) -> Any:
    if isinstance(atom, int):
        return known[atom]
    return _widened(jnp.asarray(atom.val, atom.aval.dtype))


def _widened(array: Any) -> Any:
    real = jnp.issubdtype(array.dtype, jnp.floating)
    return array.astype(jnp.float64) if real else array


def _pull(e: Equation, known: dict, pulled: dict, moving: frozenset[int]) -> None:
    """Adds to `pulled` what comes through one equation."""
    reads = [_read(a, known) for a in e.reads]
    places = [i for i, a in enumerate(e.reads) if isinstance(a, int) and a in moving]
    if not places:
        return
    given = [pulled.get(value) for value in e.writes]
    common = max(exponent for _, exponent in filter(None, given))
    if e.eqn.primitive is primitives.custom_vjp_call_p and abs(common) < TRUE:
        common = 0  # its rule may be of any kind, and is given true cotangents
    arrays = [
        known[value] * 0 if pair is None else _times(pair[0], pair[1] - common)
        for value, pair in zip(e.writes, given, strict=True)
        if is_float(known[value])
    ]
    for place, g in zip(places, _cotangents(e.eqn, reads, places, arrays), strict=True):
        value = e.reads[place]
        pulled[value] = _added(pulled.get(value), *_unit(g, common))


def _cotangents(
    eqn: core.JaxprEqn, reads: list, places: list[int], cotangents: list
) -> list:
    if (slope := slopes.of(eqn)) is not None:
        return [cotangents[0] * slope(reads[0])]
    if eqn.primitive in CUSTOM:
        floats = [i for i, a in enumerate(reads) if is_float(a)]
        out = _run(derivative_of(eqn), [*reads, *cotangents])
        return [out[floats.index(place)] for place in places]

    def some(*moved):
        given = list(reads)
        for place, value in zip(places, moved, strict=True):
            given[place] = value
        return [out for out in evaluated(eqn, given) if is_float(out)]

    out, pull = jax.vjp(some, *(reads[place] for place in places))
    return list(pull([c.astype(o.dtype) for c, o in zip(cotangents, out, strict=True)]))


def derivative_of(eqn: core.JaxprEqn) -> core.ClosedJaxpr:
    """The rule's equations, in the dtypes of the equation."""
    with jax.enable_x64(False):
        return derivative(eqn)


def evaluated(eqn: core.JaxprEqn, reads: list) -> list:
    """What an equation gives for values that are wider than its own."""
    if eqn.primitive in GROUPS or eqn.primitive in CUSTOM:
        return _run(body_of(eqn), reads)
    inner = next(iter(core.jaxprs_in_params(eqn.params)), None)
    if inner is not None or eqn.primitive.name in NARROW:
        return _narrow(eqn, reads)
    params = {
        name: _wide_dtype(value) if name in DTYPES else value
        for name, value in eqn.params.items()
    }
    try:
        made = eqn.primitive.bind(*reads, **params)
    except (TypeError, ValueError, NotImplementedError):
        # A primitive that takes no float64, as of a GPU's kernel.
        return _narrow(eqn, reads)
    made = made if eqn.primitive.multiple_results else [made]
    return [_widened(out) for out in made]


def _narrow(eqn: core.JaxprEqn, reads: list) -> list:
    """What it gives in its own dtypes."""
    dtypes = [aval.dtype for aval in alone(eqn).in_avals]
    own = [
        value.astype(dtype) if is_float(value) else value
        for value, dtype in zip(reads, dtypes, strict=True)
    ]
    with jax.enable_x64(False):
        made = core.jaxpr_as_fun(alone(eqn))(*own)
    return [_widened(out) for out in made]


def _wide_dtype(value: Any) -> Any:
    floating = value is not None and jnp.issubdtype(value, jnp.floating)
    return jnp.dtype("float64") if floating else value


def _run(jaxpr: Any, reads: Iterable) -> list:
    """What a jaxpr, closed or open, gives for values that are wider than its own."""
    consts = [_widened(jnp.asarray(c)) for c in getattr(jaxpr, "consts", ())]
    jaxpr = getattr(jaxpr, "jaxpr", jaxpr)
    known = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *reads), strict=True))

    def value(a: Any) -> Any:
        return known[a] if isinstance(a, core.Var) else _read(a, {})

    for eqn in jaxpr.eqns:
        made = evaluated(eqn, [value(a) for a in eqn.invars])
        known.update(zip(eqn.outvars, made, strict=True))
    return [value(a) for a in jaxpr.outvars]


def _unit(array: Any, exponent: int) -> tuple[Any, int]:
    """The array with magnitudes that add up to between ½ and 1, and its exponent."""
    size = float(jnp.sum(jnp.abs(array)))
    if size == 0 or not math.isfinite(size):
        return array, exponent
    more = math.frexp(size)[1]
    return _times(array, -more), exponent + more


def _times(array: Any, exponent: int) -> Any:
    half = max(min(exponent // 2, 1000), -1000)
    rest = max(min(exponent - half, 1000), -1000)
    return array * 2.0**half * 2.0**rest


def _added(before: tuple[Any, int] | None, array: Any, exponent: int) -> Any:
    if before is None:
        return array, exponent
    if not np.any(before[0]):
        return array, exponent
    if not np.any(array):
        return before
    common = max(before[1], exponent)
    both = _times(before[0], before[1] - common) + _times(array, exponent - common)
    return _unit(both, common)


@functools.partial(jax.jit, inline=True)
def _norm(array: Any) -> Any:
    return jnp.sqrt(jnp.sum(jnp.square(array)))


def _scaled(array: Any, exponent: int) -> Scaled:
    """In float32, for the segments around."""
    array, exponent = _unit(array, exponent)
    exponent = exponent if np.any(array) else NONE
    norm = np.float32(_norm(array))
    size = np.array([norm, exponent, NONE], np.float32)
    own = (np.int32(exponent), np.int32(NONE))
    return Scaled(array.astype(jnp.float32), *own, size)
