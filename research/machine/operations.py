"""FLOPs of a function and bytes kept for its gradient, counted from its jaxpr.

XLA's own analysis counts the body of a loop once, however often it runs: of a net whose
depth is a scan it sees one layer. Here a body counts as often as it runs.
"""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

# One operation for each number that is put out, as XLA counts them.
ARITHMETIC = frozenset(
    "add add_any sub mul div rem max min neg abs sign floor ceil round clamp exp exp2 "
    "expm1 log log1p tanh logistic sin cos tan asin acos atan atan2 sinh cosh asinh "
    "acosh atanh erf erfc erf_inv sqrt rsqrt cbrt square pow integer_pow eq ne lt le gt "
    "ge and or not xor select_n is_finite convert_element_type nextafter".split()
)
# And one for each number that is read.
REDUCTIONS = frozenset(
    "reduce_sum reduce_max reduce_min reduce_prod reduce_and reduce_or argmax argmin "
    "cumsum cumprod cummax cummin cumlogsumexp".split()
)

# Primitives of our own by name, and functions that compute the same of what jax has.
WRITTEN: dict[str, Callable[..., Any]] = {}


class Count(NamedTuple):
    """products: of matrix products and convolutions, a multiplication and an addition
    each. others: of arithmetic, number by number."""

    products: float
    others: float

    @property
    def total(self) -> float:
        return self.products + self.others

    def __add__(self, other: Any) -> "Count":
        return Count(self.products + other.products, self.others + other.others)

    def times(self, often: int) -> "Count":
        return Count(often * self.products, often * self.others)


NOTHING = Count(0.0, 0.0)


def count(jaxpr: Any, once: bool = False) -> Count:
    """The operations of a jaxpr; of a branch, those of its costliest side.

    once: a loop's body counts once, as XLA has it.
    Raises ValueError for a loop whose number of rounds is not known before it runs.

    >>> x = jax.numpy.ones((2, 3))
    >>> count(jax.make_jaxpr(lambda x: x @ x.T)(x).jaxpr)
    Count(products=24.0, others=0.0)
    """
    return sum((_of(eqn, once) for eqn in jaxpr.eqns), NOTHING)


def _of(eqn: Any, once: bool) -> Count:
    """The operations of an equation."""
    name, params = eqn.primitive.name, eqn.params
    read: Any = eqn.invars[0].aval if eqn.invars else None
    output: Any = eqn.outvars[0].aval if eqn.outvars else None
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        each = math.prod(read.shape[dimension] for dimension in contracted)
        return Count(2.0 * output.size * each, 0.0)
    if name == "conv_general_dilated":
        return Count(2.0 * _convolution(read, eqn.invars[1].aval, output, params), 0.0)
    if name in ARITHMETIC:
        return Count(0.0, float(output.size))
    if name in REDUCTIONS:
        return Count(0.0, float(read.size))
    if name.startswith("reduce_window"):
        return Count(0.0, float(output.size * math.prod(params["window_dimensions"])))
    if name.startswith("select_and"):  # a maximum's gradient, found again in its window
        return Count(0.0, float(read.size * math.prod(params["window_dimensions"])))
    if name in WRITTEN:
        operands = (variable.aval for variable in eqn.invars)
        written = jax.make_jaxpr(functools.partial(WRITTEN[name], **params))
        return count(written(*operands).jaxpr, once)
    inner = [count(body, once) for body in bodies(eqn)]
    if name == "cond":
        return max(inner, key=lambda side: side.total)
    if name == "while" and not once:
        raise ValueError("a while loop: how often it runs is not known")
    whole = sum(inner, NOTHING)
    return whole.times(params["length"]) if name == "scan" and not once else whole


def bodies(eqn: Any) -> Iterator[Any]:
    """The jaxprs that an equation calls: of a scan, a branch, a jit, a custom rule."""
    for value in eqn.params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            part = getattr(part, "jaxpr", part)
            if hasattr(part, "eqns"):
                yield part


def loops(jaxpr: Any) -> bool:
    """Whether anything in it runs more than once."""
    return any(
        (eqn.primitive.name == "scan" and eqn.params["length"] > 1)
        or eqn.primitive.name == "while"
        or any(loops(body) for body in bodies(eqn))
        for eqn in jaxpr.eqns
    )


def _convolution(x: Any, kernel: Any, y: Any, params: dict[str, Any]) -> int:
    """Multiplications of a convolution: none with a padded zero, or between strides."""
    of_x, of_kernel, of_y = params["dimension_numbers"]
    channels = kernel.shape[of_kernel[1]]
    meetings = 1
    for number in range(len(of_x) - 2):
        place = number + 2
        outputs = np.arange(y.shape[of_y[place]]) * params["window_strides"][number]
        taps = np.arange(kernel.shape[of_kernel[place]])
        taps = taps * params["rhs_dilation"][number] - params["padding"][number][0]
        at = outputs[:, None] + taps[None]
        apart = params["lhs_dilation"][number]
        last = (x.shape[of_x[place]] - 1) * apart
        meetings *= int(np.sum((at >= 0) & (at <= last) & (at % apart == 0)))
    return y.shape[of_y[0]] * y.shape[of_y[1]] * channels * meetings


def kept(function: Callable[..., Any], *args: Any, fixed: tuple = ()) -> int:
    """Bytes that jax keeps of function(*args, *fixed) for its gradient with respect to
    args, beside these arguments themselves."""

    def backward(args, fixed):
        return jax.vjp(lambda *args: function(*args, *fixed), *args)[1]

    traced = jax.make_jaxpr(backward)(args, fixed).jaxpr
    there = {id(variable) for variable in (*traced.invars, *traced.constvars)}
    residuals = {id(v): v.aval for v in traced.outvars if id(v) not in there}
    return sum(aval.size * aval.dtype.itemsize for aval in residuals.values())
