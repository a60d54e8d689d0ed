"""The seam between a run and what measures its units."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from depthbench.research.study.declaration import Measured, Study, Unit


class Station(NamedTuple):
    """Where rows will be made.

    environment: what decides their bits, as a manifest has it. memory: bytes that a unit
    may use. workers: units at a time.
    """

    environment: dict[str, Any]
    memory: int
    workers: int


class Workload(NamedTuple):
    """What is to be measured: units with a missing cell. memory: bytes for each.

    data_dir and plugins are in the units and in what is loaded: see `jobs`.
    """

    study: Study
    units: Sequence[Unit]
    memory: int
    workers: int


class Done(NamedTuple):
    """A unit that was measured. number: its place in the work's units.

    environment: of the process that measured it; None where that is the place's own.
    spent: seconds by what they went to, where another process has counted them.
    """

    number: int
    measured: Sequence[Measured]
    environment: Mapping[str, Any] | None = None
    spent: Mapping[str, float] = {}


Begin = Callable[[str], None]  # says what has begun, in a few words


class Engine(Protocol):
    """What measures units. It writes no rows, and raises what stops a run."""

    def place(self, study: Study, units: Sequence[Unit], memory: int | None) -> Station:
        """Where rows will be made. memory: bytes to use; None for what is free there.

        Raises Refusal.
        """
        ...

    def run(
        self, work: Workload, stop: threading.Event, begin: Begin
    ) -> Iterator[Done]:
        """What units gave, in any order, each at least once.

        Once `stop` is set, units that are being measured end and no other begins.
        """
        ...
