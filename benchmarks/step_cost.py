"""What training costs before it runs: seconds to compile, bytes, operations."""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from research.architectures import ARCHITECTURES
from research.lazy import lazy

jax = lazy("jax")
jobs = lazy("research.jobs")
training = lazy("research.training")

LAID_OUT = 60  # layers that differ from one another and are counted one by one


class Program(NamedTuple):
    """A compiled training loop. peak_mib: arguments, results and scratch, as XLA plans
    them; None where it does not say. compile_s: to trace, lower and compile it."""

    call: Callable[..., Any]
    compile_s: float
    peak_mib: float | None


def compiled(loop: Any, arguments: tuple) -> Program:
    """The jitted loop, compiled for these arguments."""
    began = time.perf_counter()
    program = loop.lower(*arguments).compile()
    seconds = time.perf_counter() - began
    plan = program.memory_analysis()
    if plan is None:
        return Program(program, seconds, None)
    held = plan.argument_size_in_bytes + plan.output_size_in_bytes
    peak = held - plan.alias_size_in_bytes + plan.temp_size_in_bytes
    return Program(program, seconds, peak / 2**20)


def operations(setup: Any, hyper: Any) -> float | None:
    """Those of a step of one run, as XLA counts them; None where they cannot be.

    hyper: its numbers, as Python's.

    XLA counts the body of a loop once, however often it runs. So nets are laid out
    without loops: deep ones cost what the two shallowest do, and as much for each
    layer more as the second of them for its own.
    """
    family = ARCHITECTURES[setup.architecture]
    if not family.repeats and setup.depth <= LAID_OUT:
        return _laid_out(setup, hyper)
    shallow = (d for d in range(1, 1000) if family.depths.allows(d))
    first, second = next(shallow), next(shallow)
    base = _laid_out(setup._replace(depth=first), hyper)
    more = _laid_out(setup._replace(depth=second), hyper)
    if base is None or more is None:
        return None
    return base + (more - base) * (setup.depth - first) / (second - first)


@functools.lru_cache(maxsize=64)
def _laid_out(setup: Any, hyper: Any) -> float | None:
    job = jobs.job(setup)
    if any(stage.tied for stage in job.net.stages):
        return None
    stages = [
        stage._replace(depth=1) for stage in job.net.stages for _ in range(stage.depth)
    ]
    job = job._replace(net=job.net._replace(stages=tuple(stages)))
    data, _ = jobs.batches(setup)
    batch = jax.tree.map(lambda a: a[: setup.batch], data)
    numbers = jax.tree.map(np.float32, hyper)
    state = jax.eval_shape(
        lambda x: training.init(jax.random.key(0), job, numbers, x), batch.x
    )
    step = jax.jit(functools.partial(training.step, job))
    counted = step.lower(state, numbers, batch).cost_analysis()
    return counted.get("flops") if counted else None
