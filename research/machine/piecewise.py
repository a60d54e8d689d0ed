"""Functions that are taken operation by operation, and share what is compiled of them.

A net's fresh weights are some hundred small operations, most of them the same in every
net: keys, and draws of a few shapes. As one program XLA compiles all of them anew for each
net, for two to five seconds on a CPU, and runs it in a thousandth of that. One by one each
is compiled once for all nets: of 128 nets, every family at two depths, all took 107
seconds in place of 352 (Intel Xeon, one run).
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.interpreters import partial_eval

from depthbench.research.machine import compiled


def piecewise(function: Callable) -> Callable:
    """The function of arrays, of which only what its results depend on is computed.

    For what is run a few times and takes longer to compile. What is jitted within stays one
    program, so that what is fused there has the same bits.

    >>> half = jax.jit(lambda x: x / 2)
    >>> float(piecewise(lambda x: half(x) + 1)(4.0))
    3.0
    """
    traced_once = jax.jit(function)

    @functools.wraps(function)
    def run(*arguments: Any) -> Any:
        traced = traced_once.trace(*arguments)
        closed = traced.jaxpr
        every = [True] * len(closed.jaxpr.outvars)
        needed, _ = partial_eval.dce_jaxpr(closed.jaxpr, every, instantiate=True)
        leaves = jax.tree.leaves(arguments)
        if not _traced(leaves):
            needed = _lightly(needed)
        made = jax.core.eval_jaxpr(needed, closed.consts, *leaves)
        own = _apart(made, [*closed.consts, *leaves])
        return jax.tree.unflatten(jax.tree.structure(traced.out_info), own)

    return run


def _lightly(jaxpr: Any) -> Any:
    """The jaxpr, whose programs within are compiled in less time: as of `lightly`."""
    options = tuple((compiled.lightly() or {}).items())
    name = "compiler_options_kvs"
    changed = lambda one: one.replace(params={**one.params, name: options})
    eqns = [changed(one) if name in one.params else one for one in jaxpr.eqns]
    return jaxpr.replace(eqns=eqns)


def _traced(arrays: Sequence[Any]) -> bool:
    return any(isinstance(a, jax.core.Tracer) for a in arrays)


def _apart(arrays: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """The arrays, each in memory of its own: who is given them may give them away."""
    if _traced(arrays):
        return list(arrays)
    seen = {_place(a) for a in others if isinstance(a, jax.Array)}
    own = []
    for a in arrays:
        if not isinstance(a, jax.Array) or _place(a) in seen:
            a = jnp.array(a)  # a copy
        seen.add(_place(a))
        own.append(a)
    return own


def _place(a: jax.Array) -> int:
    keys = jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key)
    return (jax.random.key_data(a) if keys else a).unsafe_buffer_pointer()
