"""A tracker at work: in a thread of its own, so that what it cannot do loses nothing.

Its files are in OUT/tracked/NAME. What it raises is one line, after which it is left alone.
"""

import contextlib
import importlib
import math
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from depthbench.research.engine import console
from depthbench.research.engine.trackers.contract import Sink
from depthbench.research.files.text import one_line

PLACE = "tracked"
PATIENCE = 60.0  # seconds that what is still to be written may take at the end
WAITING = 100_000  # calls that may wait for a tracker: they are kept in memory


def place(out: Path, name: str) -> Path:
    """Where a tracker's files of a run are."""
    return out / PLACE / name


def opened(name: str, out: Path) -> Sink:
    """A tracker of the catalogue, open, with its files below a run's folder."""
    folder = place(out, name)
    folder.mkdir(parents=True, exist_ok=True)
    module = importlib.import_module(f"depthbench.research.engine.trackers.{name}")
    return module.opened(folder, out.resolve().name)


def numbers(values: Mapping[str, Any]) -> dict[str, float | str]:
    """What a tracker can be given of values: finite numbers, and words.

    >>> numbers({"depth": 4, "loss": float("nan"), "ratio": None, "net": "mlp"})
    {'depth': 4, 'net': 'mlp'}
    """
    return {
        name: value
        for name, value in values.items()
        if (isinstance(value, str) and value)
        or (isinstance(value, int | float) and math.isfinite(value))
    }


class Tracking:
    """Scalars and pictures on their way to a tracker. open: it is called with the first."""

    def __init__(self, name: str, open: Callable[[], Sink]) -> None:
        self._name, self._open = name, open
        self._calls: queue.SimpleQueue = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._failed, self._behind = threading.Event(), threading.Event()
        self._lock = threading.Lock()

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Of a step, or of a cell; what is no number and no word is left out."""
        if self._calls.qsize() >= WAITING:
            self._leave_out()
            return
        given = numbers(values)
        self._ask(lambda sink: sink.scalars(step, given))

    def picture(self, step: int, name: str, draw: Callable[[], np.ndarray]) -> None:
        """A picture that `draw` gives as pixels [height, width, 3]."""
        self._ask(lambda sink: sink.picture(step, name, draw()))

    def close(self) -> None:
        """Waits until all is written, but not for ever."""
        if self._thread is None:
            return
        self._calls.put(None)
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            self._fail(f"has not written all after {PATIENCE:g} s")

    def _ask(self, call: Callable[[Sink], None]) -> None:
        if self._failed.is_set():
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
        self._calls.put(call)

    def _work(self) -> None:
        sink = None
        try:
            sink = self._open()
            while (call := self._calls.get()) is not None:
                call(sink)
            sink.close()
        except (Exception, SystemExit) as error:
            self._fail(f"{type(error).__name__}: {error}")
            if sink is not None:  # what it has open is let go
                with contextlib.suppress(Exception, SystemExit):
                    sink.close()

    def _leave_out(self) -> None:
        if not self._behind.is_set() and not self._failed.is_set():
            self._behind.set()
            console.say(f"--track {self._name}: falls behind: some steps are left out")

    def _fail(self, why: str) -> None:
        if self._failed.is_set():
            return
        self._failed.set()
        line = one_line(why, 200)
        console.say(f"--track {self._name}: {line}; nothing more is tracked")
