"""Jobs in other processes, some at a time: what they say, and what becomes of lost ones."""

import itertools
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from depthbench.research.engine import runner
from depthbench.research.engine.engines import jobs
from depthbench.research.engine.engines.jobs import Began, Job, Raised, Said
from depthbench.research.engine.engines.seam import Begin, Done, Workload
from depthbench.research.study.declaration import Measured, Unit
from depthbench.research.study.errors import LATER, Refusal
from depthbench.research.study.headlines import counted

TRIES = 3  # of a unit whose process is lost
TURN = 0.05  # seconds between two looks at what jobs have said
# Not "lost": of a net, that is a gradient of which nothing is left.
STATUS = "crashed"


class Sent(Protocol):
    """A job that another process has."""

    def said(self) -> Iterable[Said]:
        """What it has said since it was asked last; does not wait."""
        ...

    def ended(self) -> bool:
        """Whether nothing more will be said."""
        ...

    def last_lines(self) -> str:
        """What its process wrote last, or what is known of how it ended."""
        ...

    def cancel(self) -> None:
        """Ends it, whatever it does."""
        ...


@dataclass
class _Running:
    """A job that was sent. now: the number of the unit that it is at, once it has begun."""

    sent: Sent
    job: Job
    left: dict[int, Unit]
    now: int | None = None


def finished(
    work: Workload,
    send: Callable[[Job], Sent],
    stop: threading.Event,
    begin: Begin,
    start: float = 0.0,
) -> Iterator[Done]:
    """What the units of a work give, in jobs that are sent to other processes.

    start: seconds that it takes to begin a job, as of `jobs.of`.
    A unit whose process is lost is measured again, three times in all; then its cells are
    of status `crashed`, with the process's last lines as the reason. What a unit raises is
    raised here. Raises Refusal where processes end before they begin.
    """
    driver = _Driver(work, send, stop, begin, start)
    try:
        while driver.waiting or driver.running:
            driver.send_more()
            came = False
            for one in list(driver.running):
                # One after the other: what came before an error is written.
                for done in itertools.chain(driver.hear(one), driver.end(one)):
                    came = True
                    yield done
            if not came:
                time.sleep(TURN)
    finally:
        for one in driver.running:
            one.sent.cancel()


class _Driver:
    """The jobs of a work: those that wait, those that run, and how often each was lost."""

    def __init__(self, work: Workload, send, stop, begin: Begin, start: float):
        self.work, self.send, self.stop, self.begin = work, send, stop, begin
        self.waiting = deque(jobs.of(work, start))
        self.running: list[_Running] = []
        self.tries: Counter[int] = Counter()  # of each unit
        self.unbegun = 0  # jobs, one after the other, that were lost before a unit

    def send_more(self) -> None:
        """Sends jobs to idle workers; once the run is to stop, ends those between units."""
        if self.stop.is_set():
            self.waiting.clear()
            for one in [one for one in self.running if one.now is None]:
                self.running.remove(one)
                one.sent.cancel()
        while self.waiting and len(self.running) < self.work.workers:
            job = self.waiting.popleft()
            self.running.append(_Running(self.send(job), job, dict(job.units)))

    def hear(self, one: _Running) -> Iterator[Done]:
        """The units that a job has ended since."""
        for event in one.sent.said():
            match event:
                case Raised():
                    raise jobs.error_of(event)
                case Began(number):
                    one.now, self.unbegun = number, 0
                    self.begin(self.described(one))
                case Done(number):
                    one.now = None
                    if one.left.pop(number, None) is not None:
                        yield event
                    if self.stop.is_set():
                        return

    def described(self, one: _Running) -> str:
        """How many workers there are, and what the last of them has begun."""
        assert one.now is not None
        unit = self.work.units[one.now]
        return f"{counted(len(self.running), 'worker')}: {runner.describe(unit)}"

    def end(self, one: _Running) -> Iterator[Done]:
        """Sends again what is left of a job that has ended; what was lost too often."""
        if one not in self.running or not one.sent.ended():
            return
        yield from self.hear(one)  # what it said at the very last
        self.running.remove(one)
        if not one.left:
            return
        if one.now is None:
            self.unbegun += 1
            if self.unbegun == TRIES * self.work.workers:
                lines = one.sent.last_lines()
                raise Refusal(f"workers end before they begin: {lines}", LATER)
        else:
            self.tries[one.now] += 1
            if self.tries[one.now] == TRIES:
                yield Done(one.now, lost(one.left.pop(one.now), one.sent.last_lines()))
        if one.left:
            self.waiting.appendleft(one.job._replace(units=one.left))


def lost(unit: Unit, lines: str) -> list[Measured]:
    """What cells gave whose process was lost each time."""
    reason = f"the process that measured it ended, {TRIES} times: {lines}"
    return [Measured(STATUS, reason, {})] * len(unit.cells)
