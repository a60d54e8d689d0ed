"""Arrays beside a power of two: 10^-6290 is a number like any other, and exactly so.

Scaling by a power of two rounds nothing, and exponents are integers, so that ten
thousand factors add up without an error.
"""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

NONE = -(2**30)  # the exponent of zero: below all others
# The integers of a float's size, its mantissa's bits, its exponent's bias.
FORMS = {"float32": (jnp.int32, 23, 127), "float64": (jnp.int64, 52, 1023)}


class Scaled(NamedTuple):
    """An array times 2 ** exponent.

    array: its magnitudes add up to between 1 and 2, or to 0.
    norm: the array's Euclidean norm.
    """

    array: jax.Array
    exponent: jax.Array
    norm: jax.Array


def scaled(array: jax.Array, exponent: Any = 0) -> Scaled:
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
    return Scaled(array.astype(dtype), total.astype(jnp.int32), norm)


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
    return scaled(a + b, common)


def log10_norm(parts: Iterable[Scaled]) -> float:
    """log10 of the joint norm, of norms and exponents on the host; −inf of zeros."""
    parts = list(parts)
    if not all(math.isfinite(p.norm) for p in parts):
        return math.nan
    logs = [math.log2(p.norm) + int(p.exponent) for p in parts if p.norm > 0]
    if not logs:
        return -math.inf
    largest = max(logs)
    squares = float(np.sum(np.exp2(2 * (np.array(logs) - largest))))
    return (largest + math.log2(squares) / 2) * math.log10(2)
