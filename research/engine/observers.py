"""What looks at a training while it runs: nothing that it does changes a number."""

from collections.abc import Mapping
from typing import Any

import numpy as np


class Observer:
    """Does nothing at each of the places at which a training calls it.

    All are called in process 0 alone, in the thread that trains; `ended` in the main one.
    profiled: whether part of the training's time was a profiler's.
    """

    profiled = False

    def begun(self, work: Any, step: int) -> None:
        """Before the first step. work: a trainer's. step: steps that are done."""

    def most(self, step: int, left: int) -> int:
        """The most steps that the next call should take, of those left to a report."""
        return left

    def stepping(self, step: int) -> None:
        """Before a call, with so many steps done."""

    def stepped(self, step: int, log: Mapping[str, np.ndarray]) -> None:
        """After a call, with so many steps done. log: measures of its own [runs, steps]."""

    def reported(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        """After a report: what is in it, [runs] or [runs, states]."""

    def ended(self) -> None:
        """After the last step, or the one that the training was stopped at; also where it
        has failed."""


UNSEEN = Observer()


class Several(Observer):
    """Some observers as one."""

    def __init__(self, *observers: Observer) -> None:
        self._each = observers

    @property
    def profiled(self) -> bool:
        return any(one.profiled for one in self._each)

    def begun(self, work: Any, step: int) -> None:
        for one in self._each:
            one.begun(work, step)

    def most(self, step: int, left: int) -> int:
        return min((one.most(step, left) for one in self._each), default=left)

    def stepping(self, step: int) -> None:
        for one in self._each:
            one.stepping(step)

    def stepped(self, step: int, log: Mapping[str, np.ndarray]) -> None:
        for one in self._each:
            one.stepped(step, log)

    def reported(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        for one in self._each:
            one.reported(step, arrays)

    def ended(self) -> None:
        for one in self._each:
            one.ended()
