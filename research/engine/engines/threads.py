"""The local engine: threads of this process, which share what is compiled."""

import queue
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence

from depthbench.research.engine import runner
from depthbench.research.engine.engines.seam import Begin, Done, Station, Workload
from depthbench.research.machine import host
from depthbench.research.study.declaration import Measured, Study, Unit
from depthbench.research.study.plan import grouped

Lanes = dict[Hashable, list[tuple[int, Unit]]]  # numbered units, by program
Submit = Callable[
    [Unit, int], Sequence[Measured]
]  # measures a unit, with so many bytes


class Threads:
    """Units are measured by threads. count: how many at most; None for what fits."""

    def __init__(self, count: int | None = None, submit: Submit = runner.attempt):
        self.count, self.submit = count, submit

    def place(self, study: Study, units: Sequence[Unit], memory: int | None) -> Station:
        whole = runner.budget(memory)
        fitting = runner.workers(study, units, whole)
        workers = min(self.count or fitting, fitting)
        return Station(host.environment(), whole // workers, workers)

    def run(
        self, work: Workload, stop: threading.Event, begin: Begin
    ) -> Iterator[Done]:
        """Units of different programs alternate between the workers, so that one
        compiles while another runs."""
        numbered = list(enumerate(work.units))
        lanes: Lanes = grouped(numbered, lambda pair: pair[1].program)
        lock = threading.Lock()
        # No worker is more than a unit ahead of what is written.
        results: queue.Queue[Done | BaseException | None] = queue.Queue(work.workers)

        def measure(worker: int) -> None:
            taken = None
            try:
                while not stop.is_set():
                    with lock:
                        taken = _next(lanes, taken and taken[1], worker)
                    if taken is None:
                        return
                    number, unit = taken
                    begin(runner.describe(unit))
                    results.put(Done(number, self.submit(unit, work.memory)))
            except BaseException as error:
                results.put(error)
            finally:
                results.put(None)

        for worker in range(work.workers):
            threading.Thread(target=measure, args=(worker,), daemon=True).start()
        yield from _all(results, work.workers, stop)


def _all(results: queue.Queue, workers: int, stop: threading.Event) -> Iterator[Done]:
    """The results of so many workers, each of whom ends with None. Raises the first error,
    once the others have ended their units."""
    failure = None
    while workers:
        match results.get():
            case None:
                workers -= 1
            case BaseException() as error:
                failure = failure or error
                stop.set()
            case done:
                yield done
    if failure is not None:
        raise failure


def _next(lanes: Lanes, last: Unit | None, worker: int) -> tuple[int, Unit] | None:
    """The first unit of the program of the worker's last; of another where none is left."""
    program = last and last.program
    if last is None or not lanes[program]:
        left = [program for program, units in lanes.items() if units]
        if not left:
            return None
        program = left[worker % len(left)]
    return lanes[program].pop(0)
