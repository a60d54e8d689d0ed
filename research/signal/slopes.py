"""Slopes of saturated units: not as a difference of numbers near 1, but from x itself.

Automatic differentiation takes tanh′ = 1 − y² and σ′ = y (1 − y). At x = 9 float32 rounds
y to 1, and the slope of 6e-8 to 0; float64 does at 19. Where nearly all units are there,
decades of the gradient are missing. From e^−|x| a slope is as exact as x is.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from depthbench.research.signal.equality import alone


def of_tanh(x: Any) -> Any:
    """1 / cosh² x.

    >>> float(of_tanh(jnp.float32(40.0))) > 7e-35
    True
    """
    e = jnp.exp(-2 * jnp.abs(x))
    return 4 * e / jnp.square(1 + e)


def of_logistic(x: Any) -> Any:
    """The slope of 1 / (1 + e^−x).

    >>> float(of_logistic(jnp.float32(80.0))) > 1e-35
    True
    """
    e = jnp.exp(-jnp.abs(x))
    return e / jnp.square(1 + e)


SLOPES: dict[str, Callable[[Any], Any]] = {"tanh": of_tanh, "logistic": of_logistic}
# Narrower ones are probed as they are, with what they round.
DTYPES = ("float32", "float64")


def of(eqn: core.JaxprEqn) -> Callable[[Any], Any] | None:
    """The slope of an equation's function; None where it is as it stands."""
    dtype = str(getattr(eqn.outvars[0].aval, "dtype", ""))
    return SLOPES.get(eqn.primitive.name) if dtype in DTYPES else None


def with_slopes(closed: core.ClosedJaxpr) -> Callable[..., list[Any]]:
    """A jaxpr as a function, whose derivative has these slopes."""
    jaxpr = closed.jaxpr
    if not any(map(of, jaxpr.eqns)):
        return core.jaxpr_as_fun(closed)
    runs = [_run(eqn) for eqn in jaxpr.eqns]

    def function(*reads: Any) -> list[Any]:
        variables = (*jaxpr.constvars, *jaxpr.invars)
        known = dict(zip(variables, (*closed.consts, *reads), strict=True))

        def values(atoms: Sequence[Any]) -> list[Any]:
            return [
                jnp.asarray(a.val, a.aval.dtype)
                if isinstance(a, core.Literal)
                else known[a]
                for a in atoms
            ]

        for eqn, run in zip(jaxpr.eqns, runs, strict=True):
            known.update(zip(eqn.outvars, run(*values(eqn.invars)), strict=True))
        return values(jaxpr.outvars)

    return function


def _run(eqn: core.JaxprEqn) -> Callable[..., Sequence[Any]]:
    run, slope = core.jaxpr_as_fun(alone(eqn)), of(eqn)
    if slope is None:
        return run

    @jax.custom_jvp
    def function(x):
        return run(x)

    @function.defjvp
    def _(primals, tangents):
        (x,), (t,) = primals, tangents
        return run(x), [slope(x) * t]

    return function
