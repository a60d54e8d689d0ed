"""Arrays beside a power of two: 10^-6290 is a number like any other, and exactly so.

Scaling by a power of two rounds nothing, and exponents are integers, so that ten
thousand factors add up without an error.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

NONE = -(2**30)  # the exponent of zero: below all others
ALL = 2**23  # above all exponents
CLEAR = 20  # binary places by which what was lost has to be smaller than what remains
# The integers of a float's size, its mantissa's bits, its exponent's bias.
FORMS = {"float32": (jnp.int32, 23, 127), "float64": (jnp.int64, 52, 1023)}


class Scaled(NamedTuple):
    """An array times 2 ** exponent.

    array: its magnitudes add up to between 1 and 2, or to 0.
    lost: the binary logarithm of a bound on what underflowed on the way to it, NONE if
      nothing did, ALL where there is no bound.
    size: [3], what is read of it: the array's Euclidean norm, the exponent, and `lost`.
    """

    array: Any
    exponent: Any
    lost: Any
    size: Any


def scaled(array: jax.Array, exponent: Any = 0, lost: Any = NONE) -> Scaled:
    """The array times 2 ** exponent, brought to its scale."""
    array, dtype = _wide(array), array.dtype
    integers, mantissa, bias = FORMS[array.dtype.name]
    size = jnp.sum(jnp.abs(array))
    bits = jax.lax.bitcast_convert_type(size, integers)
    more = (bits >> mantissa).astype(jnp.int32) - bias
    usable = (size > 0) & jnp.isfinite(size)
    array = times(array, jnp.where(usable, -more, 0))
    norm = jnp.sqrt(jnp.vdot(array, array, precision=jax.lax.Precision.HIGHEST))
    total = jnp.where(size == 0, NONE, jnp.where(usable, exponent + more, exponent))
    total = total.astype(jnp.int32)
    return sized(array.astype(dtype), total, norm, jnp.asarray(lost, jnp.int32))


def sized(array: Any, exponent: Any, norm: Any, lost: Any) -> Scaled:
    """The Scaled of these parts."""
    # Exponents are exact in it: below 2^24, or NONE.
    size = jnp.stack([part.astype(norm.dtype) for part in (norm, exponent, lost)])
    return Scaled(array, exponent, lost, size)


def zero(array: Any) -> Scaled:
    """A zero of the shape and dtype of the array."""
    return scaled(jnp.zeros(array.shape, array.dtype))


def times(array: jax.Array, exponent: jax.Array) -> jax.Array:
    """The array times 2 ** exponent, in float32 or wider; 0 where that is too small."""
    array = _wide(array)
    far = 2 * FORMS[array.dtype.name][2] - 4
    exponent = jnp.clip(exponent, -far, far)
    half = exponent // 2
    return array * _power(half, array.dtype) * _power(exponent - half, array.dtype)


def _wide(array: jax.Array) -> jax.Array:
    return array if array.dtype.name in FORMS else array.astype(jnp.float32)


def _power(exponent: jax.Array, dtype: Any) -> jax.Array:
    """2 ** exponent, exactly, where that is a normal number."""
    integers, mantissa, bias = FORMS[dtype.name]
    bits = (exponent.astype(integers) + bias) << mantissa
    return jax.lax.bitcast_convert_type(bits, dtype)


def together(parts: Iterable[Scaled]) -> tuple[list[jax.Array], jax.Array]:
    """(the arrays under one exponent, the largest of theirs; that exponent)."""
    parts = list(parts)
    common = jnp.max(jnp.stack([p.exponent for p in parts]))
    common = jnp.where(common == NONE, 0, common)
    arrays = [times(p.array, p.exponent - common).astype(p.array.dtype) for p in parts]
    return arrays, common


@jax.jit
def total(first: Scaled, second: Scaled) -> Scaled:
    """The sum, signs and all."""
    (a, b), common = together((first, second))
    return scaled(a + b, common, jnp.maximum(first.lost, second.lost))


def log10_norm(sizes: Sequence[Any]) -> float:
    """log10 of the joint norm of what has these sizes [3], on the host.

    −inf of zeros, nan where one is not finite or may be wrong.
    """
    # A few numbers at a time: arrays would take longer than all else on the host.
    logs, most = [], NONE
    for norm, exponent, lost in (size.tolist() for size in sizes):
        if not math.isfinite(norm):
            return math.nan
        if norm > 0:
            logs.append(math.log2(norm) + exponent)
        most = max(most, lost)
    largest = max(logs, default=-math.inf)
    if most > NONE and most > largest - CLEAR:
        return math.nan
    if not logs:
        return -math.inf
    squares = sum(2 ** (2 * (log - largest)) for log in logs)
    return (largest + math.log2(squares) / 2) * math.log10(2)


def log10_norms(sizes: jax.Array) -> jax.Array:
    """`log10_norm` of the sizes [parts, 3], as an array; nan of zeros too."""
    norms, exponents, lost = sizes.T
    # Apart, until the end: a large exponent leaves a float few binary places.
    largest = jnp.max(exponents)
    parts = norms * jnp.exp2(jnp.clip(exponents - largest, -200.0, 0.0))
    log = jnp.log10(jnp.sqrt(jnp.sum(jnp.square(parts)))) + largest * math.log10(2)
    most = jnp.max(lost)
    clear = (most == NONE) | (most <= largest + jnp.log2(jnp.max(norms)) - CLEAR)
    good = clear & jnp.all(jnp.isfinite(norms)) & (jnp.max(norms) > 0)
    return jnp.where(good, log, jnp.nan)


def is_lost(cotangent: Scaled) -> Any:
    """Whether what was lost on the way to it is not small beside it."""
    return (cotangent.lost > NONE) & (cotangent.lost > cotangent.exponent - CLEAR)
