"""What training costs before it runs: seconds to compile, bytes, operations."""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from depthbench.research.lazy import lazily

with lazily():
    import jax

    from depthbench.research.learning import examples, supervised
    from depthbench.research.learning import system as systems
    from depthbench.research.machine import operations as counting
    from depthbench.research.machine import timing


class CompiledLoop(NamedTuple):
    """A compiled training loop. peak_mib: arguments, results and scratch, as XLA plans
    them; None where it does not say. compile_s: to trace, lower and compile it."""

    call: Callable[..., Any]
    compile_s: float
    peak_mib: float | None


def compiled(loop: Any, arguments: tuple) -> CompiledLoop:
    """The jitted loop, compiled for these arguments."""
    began = time.perf_counter()
    program = loop.lower(*arguments).compile()
    seconds = time.perf_counter() - began
    plan = timing.planned(program)
    return CompiledLoop(program, seconds, plan and plan.peak / 2**20)


def operations(recipe: Any, hyper: Any) -> float:
    """Those of a step of one run. hyper: its numbers, as Python's."""
    system = supervised.system(recipe)
    data, _ = examples.batches(recipe)
    batch = jax.tree.map(lambda a: a[: recipe.batch], data)
    numbers = jax.tree.map(np.float32, hyper)
    state = jax.eval_shape(lambda: systems.init(jax.random.key(0), system, numbers))
    step = jax.make_jaxpr(functools.partial(systems.step, system))
    return counting.count(step(state, numbers, batch).jaxpr).total
