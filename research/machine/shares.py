"""What the workers of a run spend their time on: tracing, compiling, waiting, writing."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration": "tracing",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "tracing",
    "/jax/core/compile/backend_compile_duration": "compiling or reading",
}
WAITING, WRITING = "waiting for the device", "writing rows"


class _Counting(threading.local):
    """Of each thread: when what it has counted began and how long it took."""

    def __init__(self):
        self.spans: list[tuple[float, float]] = []


_thread = _Counting()
_lock = threading.Lock()
_counters: list[Counter[str]] = []


@contextlib.contextmanager
def counted() -> Iterator[Counter[str]]:
    """Seconds by what they go to, of all threads together, as they pass in the block."""
    from jax import monitoring

    def note(event: str, duration_secs: float, **_: Any) -> None:
        if event in EVENTS:
            _add(EVENTS[event], duration_secs)

    seconds: Counter[str] = Counter()
    monitoring.register_event_duration_secs_listener(note)
    _counters.append(seconds)
    try:
        yield seconds
    finally:
        _counters.remove(seconds)
        monitoring.unregister_event_duration_listener(note)


@contextlib.contextmanager
def spent(kind: str) -> Iterator[None]:
    """The block's seconds are of this kind, but for what is counted within it."""
    began = time.perf_counter()
    try:
        yield
    finally:
        _add(kind, time.perf_counter() - began)


def add(seconds: Mapping[str, float]) -> None:
    """Counts what another process has counted."""
    with _lock:
        for counter in _counters:
            counter.update(seconds)


def _add(kind: str, duration: float) -> None:
    """Counts what has just ended; what it contains, as a trace others, is counted once."""
    if not _counters:
        return
    began, within = time.perf_counter() - duration, 0.0
    while _thread.spans and _thread.spans[-1][0] >= began:
        within += _thread.spans.pop()[1]
    _thread.spans.append((began, duration))
    del _thread.spans[:-1000]  # of what contains more, no share is looked for
    with _lock:
        for seconds in _counters:
            seconds[kind] += max(0.0, duration - within)


def described(seconds: Mapping[str, float], workers: int, wall: float) -> str:
    """The shares of the workers' time, the largest first; "" where there is none.

    >>> described({"compiling": 6.0, "tracing": 1.0}, 2, 10.0)
    "of 2 workers' time: 65% the rest, 30% compiling, 5% tracing"
    """
    whole = workers * wall
    if whole <= 0 or not seconds:
        return ""
    rest = max(0.0, whole - sum(seconds.values()))
    parts = Counter({**seconds, "the rest": rest})
    listed = ", ".join(f"{t / whole:.0%} {kind}" for kind, t in parts.most_common())
    of = "the worker's" if workers == 1 else f"{workers} workers'"
    return f"of {of} time: {listed}"
