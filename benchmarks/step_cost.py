"""What a training step costs: milliseconds, seconds to compile, bytes, operations."""

import functools
import time
from typing import Any

import numpy as np

from research.architectures import ARCHITECTURES
from research.lazy import lazy

jax = lazy("jax")
jobs = lazy("research.jobs")
training = lazy("research.training")
timing = lazy("research.timing")

COLUMNS = (
    "step_ms",
    "step_ms_low",
    "step_ms_high",
    "compile_s",
    "peak_mib",
    "step_mflop",
)
CALLS, SECONDS = 15, 0.1  # at least, that the step is timed for
LAID_OUT = 60  # layers that differ from one another and are counted one by one


def measure(setup: Any, hyper: Any, state: Any) -> dict[str, Any]:
    """COLUMNS of a step of one run of the setup, from a state of it.

    hyper: its numbers, as Python's.

    step_ms: median and quartiles, while other cells may train on other cores.
    peak_mib: arguments, results and scratch of the compiled step, as XLA plans them.
    step_mflop: as XLA counts them.
    """
    job = jobs.job(setup)
    data, _ = jobs.batches(setup)
    batch = jax.tree.map(lambda a: a[: setup.batch], data)
    arguments = jax.device_put((state, jax.tree.map(np.float32, hyper), batch))
    step = jax.jit(functools.partial(training.step, job))
    began = time.perf_counter()
    compiled = step.lower(*arguments).compile()
    seconds = time.perf_counter() - began
    times = timing.repeat(lambda: compiled(*arguments), CALLS, SECONDS)
    flops = _flops(setup, hyper)
    return {
        "step_ms": times.median_ms,
        "step_ms_low": times.low_ms,
        "step_ms_high": times.high_ms,
        "compile_s": seconds,
        "peak_mib": _peak(compiled.memory_analysis()),
        "step_mflop": None if flops is None else flops / 1e6,
    }


def _peak(plan: Any) -> float | None:
    if plan is None:
        return None
    held = plan.argument_size_in_bytes + plan.output_size_in_bytes
    return (held - plan.alias_size_in_bytes + plan.temp_size_in_bytes) / 2**20


def _flops(setup: Any, hyper: Any) -> float | None:
    """Operations of a step; None where they cannot be counted.

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
