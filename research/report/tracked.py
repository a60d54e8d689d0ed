"""What a tracker is given: rows as they are written, and a training's steps and reports."""

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from depthbench.research.catalogues import optimizers
from depthbench.research.catalogues.schedules import SCHEDULES
from depthbench.research.engine.observers import Observer
from depthbench.research.engine.tracking import Tracking
from depthbench.research.report import figures
from depthbench.research.report.frames import INFINITE
from depthbench.research.report.history import TAG, History
from depthbench.research.report.training_report import GRADIENT
from depthbench.research.store.rows import Record
from depthbench.research.study.declaration import Row

PICTURES = 60.0  # seconds between two pictures: drawing one takes a third of one
Reports = list[tuple[int, Mapping[str, np.ndarray]]]  # (step, arrays) in order


def of_row(row: Mapping[str, Any]) -> Row:
    """What is tracked of a row: its settings, status and values, without its id."""
    return {
        name: INFINITE.get(value, value) if isinstance(value, str) else value
        for name, value in row.items()
        if name != "id"
    }


def on_row(tracking: Tracking, begun: int) -> Callable[[Record], None]:
    """What is called with each row of a run; its step is its number in the folder.

    begun: the rows that are there before.
    """
    numbers, lock = itertools.count(begun), threading.Lock()

    def tracked(record: Record) -> None:
        with lock:  # workers finish side by side
            tracking.scalars(next(numbers), of_row(record.row))

    return tracked


def named(name: str, run: int, runs: int) -> str:
    """A measure's name: of several runs, with the run's number.

    >>> named("train_loss", 0, 1), named("train_loss", 2, 3)
    ('train_loss', 'train_loss/run_2')
    """
    return name if runs == 1 else f"{name}/run_{run}"


def of_report(arrays: Mapping[str, np.ndarray], part: str = "") -> dict[str, float]:
    """The numbers of a report, of each run. part: that names of measures begin with."""
    return {
        named(name, run, len(array)): float(value)
        for name, array in arrays.items()
        if array.ndim == 1 and name.startswith(part)
        for run, value in enumerate(array)
    }


def pictures(reports: Reports) -> dict[str, History]:
    """The first run's gradient over steps, of each net that can be probed, by tag."""
    names = [n for n in (reports[-1][1] if reports else ()) if n.startswith(GRADIENT)]
    steps = tuple(step for step, _ in reports)
    histories = {}
    for name in names:
        gradient = np.stack([arrays[name][0] for _, arrays in reports])
        states = tuple(map(str, range(gradient.shape[1])))
        tag = TAG + f"_{name.removeprefix(GRADIENT)}" * (len(names) > 1)
        histories[tag] = History(states, steps, {"log10_gradient": gradient})
    return histories


class TrackedTraining(Observer):
    """A training, step by step. earlier: of a resumed one, the reports that are there."""

    def __init__(
        self,
        tracking: Tracking,
        settings: Mapping[str, Any],
        earlier: Callable[[], Reports],
    ) -> None:
        self._tracking, self._settings, self._earlier = tracking, settings, earlier
        self._rates: list[np.ndarray] = []  # [steps] of each run
        self._reports: Reports = []
        self._drawn = time.monotonic()

    def begun(self, work: Any, step: int) -> None:
        schedule = SCHEDULES[self._settings["schedule"]]
        steps = np.arange(self._settings["steps"], dtype=np.float32)
        rate = lambda rule: optimizers.rate(schedule, rule, steps)
        self._rates = [np.asarray(rate(run.hyper.rule)) for run in work.runs]
        self._reports = [one for one in self._earlier() if one[0] <= step]

    def stepped(self, step: int, log: Mapping[str, np.ndarray]) -> None:
        runs = len(self._rates)
        count = next(iter(log.values())).shape[1]
        for at in range(count):
            done = step - count + at + 1
            values = {
                named(f"train_{name}", run, runs): float(array[run, at])
                for name, array in log.items()
                for run in range(runs)
            }
            for run, rates in enumerate(self._rates):
                values[named("learning_rate", run, runs)] = float(rates[done - 1])
            self._tracking.scalars(done, values)

    def reported(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        self._reports = [*self._reports, (step, arrays)]
        self._tracking.scalars(step, of_report(arrays, "test_"))
        if time.monotonic() - self._drawn > PICTURES:
            self._draw()

    def ended(self) -> None:
        self._draw()
        self._tracking.close()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        for tag, history in pictures(self._reports).items():
            draw = lambda history=history: figures.as_pixels(history.figure())
            self._tracking.picture(history.steps[-1], tag, draw)
