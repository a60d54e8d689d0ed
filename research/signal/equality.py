"""When two lists of equations are the same program, so that one is compiled for both."""

import hashlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from depthbench.research.signal.equations import (
    CUSTOM,
    Equation,
    body_of,
    closed_over,
)

Key = tuple[Any, ...]
LARGE = 2**22  # bytes of a constant, above which it is not read


class Same:
    """Equal to what is of the same object, which it keeps: ids are given again."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def holds_same(key: Any) -> bool:
    """Whether a key is equal to those of the same objects alone."""
    return isinstance(key, Same) or (
        isinstance(key, tuple) and any(map(holds_same, key))
    )


class Equality:
    """Equality of lists of equations, equal where these do the same with what they read.

    A custom rule is a Python function, and is told by the equations of the derivative
    that it gives: two relus of two layers are equal.
    """

    def __init__(self, avals: Sequence[Any]):
        self.avals = avals
        self._known: dict[tuple[int, bool], Any] = {}

    def of(self, equations: Sequence[Equation], reads: Sequence[int]) -> Key:
        """The key of equations that read these values in this order."""
        local = {value: place for place, value in enumerate(reads)}
        parts: list[Any] = [tuple(form(self.avals[value]) for value in reads)]
        for e in equations:
            given = tuple(
                local[a] if isinstance(a, int) else literal(a) for a in e.reads
            )
            local.update({w: len(local) + i for i, w in enumerate(e.writes)})
            made = tuple(form(self.avals[w]) for w in e.writes)
            parts.append((self._eqn(e.eqn), given, made))
        return tuple(parts)

    def _eqn(self, eqn: core.JaxprEqn, plain: bool = False) -> Any:
        """plain: nobody differentiates it, so that its rule does not matter."""
        known = self._known
        # Unrolled scans hold one equation object many times. Kept, so that ids stay.
        if (id(eqn), plain) not in known:
            if eqn.primitive in CUSTOM:
                key = self._jaxpr(body_of(eqn), True) if plain else self._rule(eqn)
            else:
                key = self._value(eqn.params, plain)
            known[id(eqn), plain] = (eqn, (eqn.primitive, key))
        return known[id(eqn), plain][1]

    def _rule(self, eqn: core.JaxprEqn) -> Any:
        if eqn.params.get("symbolic_zeros"):  # the rule may look at what is perturbed
            return Same(eqn)
        return self._jaxpr(body_of(eqn), True), self._jaxpr(derivative(eqn), True)

    def _jaxpr(self, jaxpr: Any, plain: bool) -> Key:
        consts = tuple(array(c) for c in getattr(jaxpr, "consts", ()))
        jaxpr = getattr(jaxpr, "jaxpr", jaxpr)
        local = {v: place for place, v in enumerate((*jaxpr.constvars, *jaxpr.invars))}
        parts: list[Any] = [consts, tuple(form(v.aval) for v in local)]

        def atom(a: Any) -> Any:
            return literal(a) if isinstance(a, core.Literal) else local[a]

        for eqn in jaxpr.eqns:
            given = tuple(atom(a) for a in eqn.invars)
            local.update({v: len(local) + i for i, v in enumerate(eqn.outvars)})
            made = tuple(form(v.aval) for v in eqn.outvars)
            parts.append((self._eqn(eqn, plain), given, made))
        return (*parts, tuple(atom(a) for a in jaxpr.outvars))

    def _value(self, value: Any, plain: bool) -> Any:
        if isinstance(value, (core.Jaxpr, core.ClosedJaxpr)):
            return self._jaxpr(value, plain)
        if isinstance(value, (tuple, list)):
            return tuple(self._value(v, plain) for v in value)
        if isinstance(value, dict):
            return tuple((name, self._value(v, plain)) for name, v in value.items())
        if isinstance(value, (np.ndarray, jax.Array)):
            return array(value)
        try:
            hash(value)
        except TypeError:
            return Same(value)
        # True and 1, 0.0 and -0.0 are equal in Python.
        return type(value), value, repr(value) if isinstance(value, float) else None


def derivative(eqn: core.JaxprEqn) -> core.ClosedJaxpr:
    """(what an equation reads, cotangents of its floats) -> cotangents of its floats."""
    closed = alone(eqn)
    run = core.jaxpr_as_fun(closed)
    shapes, outs = [
        [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]
        for avals in (closed.in_avals, closed.out_avals)
    ]
    floats = [i for i, s in enumerate(shapes) if is_float(s)]

    def pulled(values, cotangents):
        def some(*moved):
            given = list(values)
            for place, value in zip(floats, moved, strict=True):
                given[place] = value
            return [out for out in run(*given) if is_float(out)]

        _, pull = jax.vjp(some, *(values[i] for i in floats))
        return pull(cotangents)

    return jax.make_jaxpr(pulled)(shapes, [s for s in outs if is_float(s)])


def alone(eqn: core.JaxprEqn) -> core.ClosedJaxpr:
    """The equation as a jaxpr of all it reads, literals too."""
    avals = [a.aval for a in (*eqn.invars, *eqn.outvars)]
    reads = tuple(range(len(eqn.invars)))
    writes = tuple(range(len(reads), len(avals)))
    return closed_over(avals, [Equation(eqn, reads, writes, "")], reads, writes)


def is_float(array: Any) -> bool:
    """Whether an array, or the shape of one, is of what has derivatives."""
    return jnp.issubdtype(array.dtype, jnp.inexact)


def form(aval: Any) -> Any:
    """Shape and dtype, hashable."""
    if not hasattr(aval, "shape"):
        return aval
    return aval.shape, str(aval.dtype), getattr(aval, "weak_type", False)


def literal(a: core.Literal) -> Any:
    """A literal's value and form, hashable."""
    value = np.asarray(a.val)
    return form(a.aval), value.dtype.str, value.tobytes()


def array(value: Any) -> Any:
    """A constant's content, hashable; of a large one, which it is."""
    try:
        if jnp.issubdtype(value.dtype, jax.dtypes.extended):  # random keys
            return "keys", str(value.dtype), array(jax.random.key_data(value))
        if value.nbytes > LARGE:
            return Same(value)
        content = np.asarray(value)
    except (AttributeError, RuntimeError, jax.errors.ConcretizationTypeError):
        return Same(value)  # one that is traced, or spread over several machines
    except jax.errors.TracerArrayConversionError:
        return Same(value)
    digest = hashlib.sha256(content.tobytes()).digest()
    return content.shape, str(content.dtype), digest
