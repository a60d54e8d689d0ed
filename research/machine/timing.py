"""Timing: compilation apart, results synchronised, spreads beside medians.

Nothing may move between host and device while the clock runs: arguments are put on the
device before (`jax.device_put`), and a call that would copy one raises.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.monitoring as monitoring
import jax.numpy as jnp
import numpy as np

Call = Callable[[], Any]


class Stages(NamedTuple):
    """What a jitted function costs before it can be called, stage by stage.

    first_step_s: the first call of what was compiled, until its result is there.
    compiled: takes the arguments; never compiles again. result: of that first call.
    traced, lowered: what it was compiled from, for its jaxpr and XLA's analysis of it.
    """

    trace_s: float
    lower_s: float
    compile_s: float
    first_step_s: float
    compiled: Callable[..., Any]
    result: Any
    traced: Any
    lowered: Any

    @property
    def total_s(self) -> float:
        """Seconds before the first step."""
        return self.trace_s + self.lower_s + self.compile_s


class Times(NamedTuple):
    """Median and quartiles of n calls, in milliseconds."""

    median_ms: float
    low_ms: float
    high_ms: float
    n: int


class Spread(NamedTuple):
    """Median and quartiles of n numbers."""

    median: float
    low: float
    high: float
    n: int


def stages(
    function: Callable[..., Any],
    *args: Any,
    donate: tuple[int, ...] = (),
    memory: float = math.inf,
) -> Stages:
    """Seconds of each stage of `function`, which is jitted here and recompiled.

    jax's caches are cleared first: what an earlier call left there is not paid again.
    donate: places of arguments whose memory the results take; they are gone after it.
    Raises MemoryError before the first call if XLA plans more bytes than `memory`.
    Example: `stages(jax.value_and_grad(loss), parameters).compile_s`.
    """
    jax.clear_caches()
    began = time.perf_counter()
    # jit knows a function again by its identity, whatever was cleared: hence the lambda.
    traced = jax.jit(lambda *a: function(*a), donate_argnums=donate).trace(*args)
    after_trace = time.perf_counter()
    lowered = traced.lower()
    after_lower = time.perf_counter()
    compiled = lowered.compile()
    after_compile = time.perf_counter()
    plan = planned(compiled)
    if plan is not None and plan.peak > memory:
        raise MemoryError(f"needs {plan.peak / 2**30:.3g} GiB as compiled")
    with jax.transfer_guard("disallow"):
        result = jax.block_until_ready(compiled(*args))
    return Stages(
        after_trace - began,
        after_lower - after_trace,
        after_compile - after_lower,
        time.perf_counter() - after_compile,
        compiled,
        result,
        traced,
        lowered,
    )


class Footprint(NamedTuple):
    """Bytes of a compiled program: arguments, results and scratch; and scratch alone."""

    peak: int
    scratch: int


def planned(compiled: Any) -> Footprint | None:
    """What XLA plans of a compiled program's memory; None where it does not say."""
    plan = compiled.memory_analysis()
    if plan is None:
        return None
    held = plan.argument_size_in_bytes + plan.output_size_in_bytes
    scratch = plan.temp_size_in_bytes
    return Footprint(held - plan.alias_size_in_bytes + scratch, scratch)


class First(NamedTuple):
    """A first call: its seconds, those of them spent in XLA's compiler, its result."""

    total_s: float
    compile_s: float
    result: Any


def first(call: Call) -> First:
    """The first call of something that compiles on the way, whatever it compiles.

    Threads that compile at the same time are added up, up to the whole.
    """
    spent: list[float] = []

    def note(event: str, duration_secs: float, **_: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            spent.append(duration_secs)

    monitoring.register_event_duration_secs_listener(note)
    try:
        began = time.perf_counter()
        result = jax.block_until_ready(call())
        total = time.perf_counter() - began
    finally:
        monitoring.unregister_event_duration_listener(note)
    return First(total, min(sum(spent), total), result)


def once(call: Call) -> float:
    """Seconds of one call, until its result is there."""
    began = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - began


def repeat(call: Call, n: int = 5, seconds: float = 0.5) -> Times:
    """The times of at least n calls that take at least `seconds`, after one to warm up.

    Raises what jax raises when the call moves data between host and device.
    """
    durations: list[float] = []
    with jax.transfer_guard("disallow"):
        once(call)
        while len(durations) < n or sum(durations) < seconds:
            durations.append(once(call))
    return times(durations)


def interleaved(
    calls: Mapping[str, Call], n: int, seconds: float = 0.0, moves: str = "disallow"
) -> dict[str, np.ndarray]:
    """Seconds [rounds] of each call, taken in turn: A B A B …, after one round apart.

    Entries at the same place are of the same round: what slows the machine for a while
    slows both, and their ratio (`ratio`) stays. At least n rounds and `seconds` in all.
    moves: between host and device, as `jax.transfer_guard` has it; "allow" for what the
    host leads.
    """
    durations: dict[str, list[float]] = {name: [] for name in calls}
    total = 0.0
    with jax.transfer_guard(moves):
        for call in calls.values():
            once(call)
        while min(map(len, durations.values())) < n or total < seconds:
            for name, call in calls.items():
                durations[name].append(once(call))
                total += durations[name][-1]
    return {name: np.array(values) for name, values in durations.items()}


def product_gflops(
    rows: int,
    width: int,
    seconds: float = 0.2,
    dtype: Any = jnp.float32,
    precision: str = "highest",
    operations: float = 2**25,
) -> float:
    """GFLOP/s of a chain of products [rows, width] × [width, width], and nothing else.

    operations: of a call, about.

    What a program of such products could reach at most; large ones use every core.
    The numbers are random: of equal ones some chips draw less power, and run faster.
    """
    count = max(1, int(operations) // (2 * rows * width**2))

    def chain(h, kernel):
        product = lambda _, h: jnp.matmul(h, kernel, precision=precision)
        return jax.lax.fori_loop(0, count, product, h)

    random = np.random.default_rng(0)
    h = random.standard_normal((rows, width), np.float32)
    kernel = random.standard_normal((width, width), np.float32) / width**0.5
    h, kernel = jnp.asarray(h, dtype), jnp.asarray(kernel, dtype)
    run = jax.jit(chain)
    step = repeat(lambda: run(h, kernel), 9, seconds)
    return count * 2 * rows * width**2 / step.median_ms / 1e6


def times(seconds: Sequence[float] | np.ndarray) -> Times:
    """Median and quartiles of some calls' seconds, in milliseconds."""
    middle = spread(seconds)
    return Times(middle.median * 1e3, middle.low * 1e3, middle.high * 1e3, middle.n)


def ratio(over: np.ndarray, under: np.ndarray) -> Spread:
    """How much longer one call takes than another, round by round: paired [rounds]."""
    return spread(over / under)


def spread(values: Sequence[float] | np.ndarray) -> Spread:
    """Median and quartiles.

    >>> spread([1.0, 2.0, 3.0, 4.0, 5.0])
    Spread(median=3.0, low=2.0, high=4.0, n=5)
    """
    low, median, high = np.quantile(np.asarray(values, np.float64), (0.25, 0.5, 0.75))
    return Spread(float(median), float(low), float(high), len(values))
