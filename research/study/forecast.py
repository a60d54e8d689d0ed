"""What a run will take, from its plan: programs, memory, and time with compilation."""

from collections.abc import Sequence
from typing import NamedTuple

from depthbench.research.machine import host
from depthbench.research.study.declaration import Study, Unit

STARTING = 3.0  # seconds: of imports, tables and figures


class Forecast(NamedTuple):
    """workers: units at a time. peak: bytes that a call takes, of `memory` that it may.

    compiling, measuring: seconds, of `workers` at a time.
    left_out: cells that do not fit in memory.
    """

    cells: int
    programs: int
    workers: int
    peak: int
    memory: int
    compiling: float
    measuring: float
    left_out: int

    @property
    def seconds(self) -> float:
        """All that passes, if nothing is compiled yet."""
        return STARTING + self.compiling + self.measuring if self.cells else 0.0


def of(
    study: Study,
    units: Sequence[Unit],
    memory: int | None = None,
    workers: int | None = None,
) -> Forecast:
    """The forecast of a run of these units. memory: bytes; or what is free.

    workers: units at a time; or as many as there are cores.
    """
    memory = int(0.75 * host.machine_memory()) if memory is None else memory
    fits = [unit for unit in units if unit.cost.memory <= memory]
    cells = sum(len(unit.cells) for unit in units)
    programs = len({unit.program for unit in fits})
    workers = workers or study.threads or host.cores()
    # One program is compiled by one worker, for which the others wait.
    rounds = max(1.0, programs / workers) if programs else 0.0
    return Forecast(
        cells,
        len({unit.program for unit in units}),
        workers,
        max((min(unit.cost.peak, memory) for unit in fits), default=0),
        memory,
        rounds * study.compile_seconds,
        sum(unit.cost.seconds for unit in fits) / workers,
        cells - sum(len(unit.cells) for unit in fits),
    )
