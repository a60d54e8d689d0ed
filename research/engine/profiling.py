"""jax's profiler: a trace of some steps, and the operations that their time went to."""

import contextlib
import csv
import gzip
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from depthbench.research.engine import console
from depthbench.research.engine.observers import Observer
from depthbench.research.files.text import one_line
from depthbench.research.lazy import lazily
from depthbench.research.store import atomic
from depthbench.research.study.tables import Table, number

with lazily():
    import jax

STEPS = 10  # that are traced where no other number is typed
WARM = 2  # steps before them, each by itself: the first compiles
SHOWN = 10  # operations of a table
OPERATIONS = "operations.csv"
PLUGINS = "plugins"  # the folder that jax writes a trace in
DEVICE = "/device:"  # how the names of accelerators' processes in a trace begin


class Operation(NamedTuple):
    """An operation of XLA's. total_ms: in which none that it contains was running.

    share: of all operations' time. Threads and streams are added up.
    """

    name: str
    module: str
    count: int
    total_ms: float
    share: float


@contextlib.contextmanager
def traced(folder: Path) -> Iterator[None]:
    """Traces what jax does within the block; its files, and Perfetto's, are below."""
    jax.profiler.start_trace(folder, create_perfetto_trace=True)
    try:
        yield
    finally:
        jax.profiler.stop_trace()


def operations(folder: Path) -> list[Operation]:
    """The operations of a folder's trace, the longest first.

    Raises FileNotFoundError where there is none.
    """
    paths = sorted(folder.glob(f"{PLUGINS}/profile/*/perfetto_trace.json.gz"))
    if not paths:
        raise FileNotFoundError(f"{folder}: no trace was written")
    with gzip.open(paths[-1]) as file:
        return of_events(json.load(file)["traceEvents"])


def of_events(events: Iterable[Mapping[str, Any]]) -> list[Operation]:
    """The operations of events as Chrome's trace format has them, the longest first.

    On a CPU an operation is an event that names one of XLA's; on an accelerator whatever
    is on its line of operations, or else on its streams.
    """
    threads = _threads(events)
    lines: dict[tuple, list[Mapping[str, Any]]] = {}
    for event in events:
        line = event.get("pid"), event.get("tid")
        if event.get("ph") == "X" and _runs(event, line, threads):
            lines.setdefault(line, []).append(event)
    spent: dict[tuple[str, str], list[float]] = {}
    for line_events in lines.values():
        for event, own in _own(line_events):
            about = event.get("args", {})
            key = about.get("hlo_op", event["name"]), about.get("hlo_module", "")
            spent.setdefault(key, []).append(own / 1e3)  # from microseconds
    whole = sum(map(sum, spent.values())) or 1.0
    found = [
        Operation(*key, len(times), sum(times), sum(times) / whole)
        for key, times in spent.items()
    ]
    return sorted(found, key=lambda one: (-one.total_ms, one.name, one.module))


def _threads(events: Iterable[Mapping[str, Any]]) -> dict[Any, dict[Any, str]]:
    """The names of an accelerator's threads, by the process's number."""
    about = [event for event in events if event.get("ph") == "M"]
    devices: dict[Any, dict[Any, str]] = {
        event["pid"]: {}
        for event in about
        if event["name"] == "process_name" and event["args"]["name"].startswith(DEVICE)
    }
    for event in about:
        if event["name"] == "thread_name" and event["pid"] in devices:
            devices[event["pid"]][event.get("tid")] = event["args"]["name"]
    return devices


def _runs(event: Mapping[str, Any], line: tuple, devices: Mapping) -> bool:
    """Whether an event is an operation, on the one line that it is counted on."""
    process, thread = line
    if process not in devices:
        return "hlo_op" in event.get("args", {}) and not devices
    names = devices[process]
    if "XLA Ops" in names.values():
        return names.get(thread) == "XLA Ops"
    return names.get(thread, "").startswith("Stream")


def _own(events: list[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], float]]:
    """Each event of a line with the time in which none that it contains was running."""
    ordered = sorted(events, key=lambda e: (e["ts"], -e.get("dur", 0.0)))
    own = [event.get("dur", 0.0) for event in ordered]
    open_: list[int] = []
    for place, event in enumerate(ordered):
        while open_ and _end(ordered[open_[-1]]) <= event["ts"]:
            open_.pop()
        if open_:
            own[open_[-1]] -= event.get("dur", 0.0)
        open_.append(place)
    return [(e, max(seconds, 0.0)) for e, seconds in zip(ordered, own, strict=True)]


def _end(event: Mapping[str, Any]) -> float:
    return event["ts"] + event.get("dur", 0.0)


def save(folder: Path, found: list[Operation]) -> None:
    """Writes all operations beside their trace."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(Operation._fields)
    lines.writerows(found)
    atomic.write_atomically(folder / OPERATIONS, out.getvalue().encode())


def table(found: list[Operation], title: str) -> Table:
    """The operations that took longest."""
    body = tuple(
        (one.name, one.module, str(one.count), number(one.total_ms), f"{one.share:.0%}")
        for one in found[:SHOWN]
    )
    return Table(title, ("operation", "program", "calls", "ms", "share"), body)


class ProfiledTraining(Observer):
    """Traces so many of a training's steps, once they are compiled. every: steps between
    two reports, which a trace has none of if it fits between them. total: steps of all.

    What the profiler cannot do is one line: the training goes on.
    """

    def __init__(self, folder: Path, steps: int, every: int, total: int) -> None:
        self._folder, self._steps = folder, steps
        self._every, self._total = every, total
        self._warmed, self._begin, self._end = 0, -1, -1
        self._trace: contextlib.ExitStack | None = None
        self._over = False
        self.found: list[Operation] = []

    def begun(self, work: Any, step: int) -> None:
        self._warmed = step + WARM
        if self._warmed + self._steps > self._total:
            left = self._total - step
            self._leave(f"only {left} steps are left, {WARM} of which warm up")

    def most(self, step: int, left: int) -> int:
        if self._over:
            return left
        if self._trace is not None:
            return min(left, self._end - step)
        if step < self._warmed:
            return 1
        if self._starts(step, left):
            self._begin, self._end = step, step + self._steps
            return min(left, self._steps)
        return left

    def _starts(self, step: int, left: int) -> bool:
        """Whether a trace begins here, and not after the next report."""
        later = step + left + self._steps <= self._total
        return left >= self._steps or self._every < self._steps or not later

    def stepping(self, step: int) -> None:
        if step != self._begin or self._trace is not None or self._over:
            return
        self.profiled = True
        try:
            with contextlib.ExitStack() as stack:
                stack.enter_context(traced(self._folder))
                self._trace = stack.pop_all()
        except Exception as error:
            self._leave(f"{type(error).__name__}: {error}")

    def stepped(self, step: int, log: Mapping[str, np.ndarray]) -> None:
        if self._trace is not None and step >= self._end:
            self._finish()

    def ended(self) -> None:
        """A training that is stopped meanwhile has a trace of fewer steps."""
        if self._trace is not None:
            self._finish()

    def _finish(self) -> None:
        assert self._trace is not None
        trace, self._trace, self._over = self._trace, None, True
        try:
            trace.close()
            self.found = operations(self._folder)
            save(self._folder, self.found)
        except Exception as error:
            self._leave(f"{type(error).__name__}: {error}")

    def _leave(self, why: str) -> None:
        self._over = True
        line = one_line(why, 200)
        console.say(f"--profile {self._folder}: not profiled: {line}")
