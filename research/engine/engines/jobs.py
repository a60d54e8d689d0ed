"""Jobs: units that another process measures, as plain data, and what it says of them."""

import contextlib
import functools
import hashlib
import math
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from depthbench.research.catalogues.mistakes import Mistake
from depthbench.research.engine import runner
from depthbench.research.engine.engines.seam import Done, Workload
from depthbench.research.machine import compiled, host, shares
from depthbench.research.store import provenance
from depthbench.research.study import plugins
from depthbench.research.study.declaration import Measured, Unit
from depthbench.research.study.errors import USAGE, Refusal, mended_outside
from depthbench.research.study.plan import grouped
from depthbench.research.study.plugins import Plugin

TURNS = 2  # that a worker has at least of a program that all share
WORTH = 20.0  # times what it takes to begin a process, that it should measure


class Job(NamedTuple):
    """Units of a program, by their numbers, and what a process has to know beside them;
    or of a few programs that are short beside the beginning of a process.

    folder: that names of the user's own are looked up in. code: the hash of the source.
    plugins: all of the user's own that is in use. memory: bytes that a unit may use.
    caches: whether compiled programs are kept; timed: whether all are compiled anew.
    """

    units: dict[int, Unit]
    folder: str
    code: str
    plugins: tuple[Plugin, ...]
    memory: int
    caches: bool | None
    timed: bool


class Began(NamedTuple):
    """A unit that a process now measures."""

    number: int


class Raised(NamedTuple):
    """What stopped a job. status: of a Refusal, its exit status; 0 of a mistake of ours,
    whose text is the worker's traceback."""

    status: int
    text: str


Said = Began | Done | Raised


def of(work: Workload, start: float = 0.0) -> list[Job]:
    """The jobs of a work, in the order in which they are to be sent.

    A job is a program, as each process traces it again, and compiles it or reads it. One
    that is longer than a worker's share of what is left is split, so that no worker is
    idle at the end; its other parts come late, when it is among what is kept of compiled
    programs. start: seconds that it takes to begin a job; where programs are short beside
    it on the whole, a job has several, as far as all workers have some.
    """
    numbered = list(enumerate(work.units))
    programs = list(grouped(numbered, lambda pair: pair[1].program).values())
    programs.sort(key=lambda units: -_seconds(work, units))
    left = sum(_seconds(work, units) for units in programs)
    parts: list[tuple[int, Numbered]] = []  # and how many others come before each
    for units in programs:
        seconds, share = _seconds(work, units), left / work.workers
        least = max(share / TURNS, 4 * work.study.compile_seconds, 1e-9)
        whole = seconds <= share + 1e-9
        parts += enumerate([units] if whole else _split(units, seconds / least))
        left -= seconds
    cells = [cell for unit in work.units for cell in unit.cells]
    values = [value for cell in cells for value in cell.values()]
    used = tuple(plugins.used([work.study.name, *values]).values())
    shared = (os.getcwd(), source(), used, work.memory, compiled.wanted())
    timed = bool(work.study.timings)
    each = [part for _, part in sorted(parts, key=lambda part: part[0])]
    if start and not timed:  # a clock's programs each have a process of their own
        each = _joined(work, each, start)
    return [Job(dict(part), *shared, timed) for part in each]


Numbered = Sequence[tuple[int, Unit]]


def _seconds(work: Workload, units: Numbered) -> float:
    """The estimate for a program's units."""
    measuring = sum(unit.cost.seconds for _, unit in units)
    return work.study.compile_seconds + measuring


def _joined(work: Workload, parts: Sequence[Numbered], start: float) -> list[Numbered]:
    """The parts in about as many jobs as are worth a process each, as many for every
    worker: one after the other, each to the job that has the least so far."""
    total = sum(_seconds(work, part) for part in parts)
    turns = max(1, round(total / work.workers / (WORTH * start)))
    count = min(turns * work.workers, len(parts))
    jobs: list[list[tuple[int, Unit]]] = [[] for _ in range(count)]
    filled = [0.0] * len(jobs)
    for part in parts:
        least = filled.index(min(filled))
        jobs[least] += part
        filled[least] += max(_seconds(work, part), 1e-9)  # no job is left empty
    return list(jobs)


def _split(units: Numbered, parts: float) -> list[Numbered]:
    """The units in so many parts that take as long: each has long and short ones alike,
    however wrong the estimates are."""
    count = min(len(units), max(1, math.ceil(parts - 1e-6)))
    longest = sorted(units, key=lambda pair: -pair[1].cost.seconds)
    return [sorted(longest[n::count]) for n in range(count)]


def perform(job: Job) -> Iterator[Said]:
    """Measures a job's units one after the other; raises nothing."""
    try:
        with compiled.kept(job.caches), _programs(job):
            environment = _ready(job)
            for number, unit in job.units.items():
                yield Began(number)
                with shares.counted() as spent:
                    measured = [_plain(m) for m in runner.attempt(unit, job.memory)]
                yield Done(number, measured, environment, dict(spent))
    except GeneratorExit:
        raise
    except BaseException as error:
        yield _said_of(error)


def _programs(job: Job) -> contextlib.AbstractContextManager[None]:
    return compiled.anew() if job.timed else contextlib.nullcontext()


def _ready(job: Job) -> dict[str, Any]:
    """Begins jax as the driver would; the environment. Raises Refusal, Mistake."""
    if source() != job.code:
        raise Refusal(
            f"a worker ({sys.prefix}) has other code than this process: install the same "
            "depthbench there, and begin anew what has changed"
        )
    with contextlib.suppress(OSError):
        os.chdir(job.folder)  # that a worker elsewhere has not, where none is needed
    runner.pin()
    for one in job.plugins:
        try:
            why = plugins.joined(one)
        except (Mistake, OSError) as error:
            why = str(error)
        if why:
            raise Refusal(
                f"a worker ({sys.prefix}) has not the plugin that this process has: {why}"
            )
    return host.environment()


@functools.cache
def source() -> str:
    """The hash of depthbench's own source, as it was when this process first asked."""
    hashes = hashlib.sha256()
    for part in ("research", "experiments", "benchmarks"):
        for path in sorted((provenance.ROOT / part).rglob("*.py")):
            hashes.update(str(path.relative_to(provenance.ROOT)).encode())
            hashes.update(hashlib.sha256(path.read_bytes()).digest())
    return hashes.hexdigest()[:16]


def _plain(measured: Measured) -> Measured:
    """The same, of Python's numbers and NumPy's arrays."""
    values = {
        n: v.item() if isinstance(v, np.generic) else v
        for n, v in measured.values.items()
    }
    profiles = {name: np.asarray(array) for name, array in measured.profiles.items()}
    return measured._replace(values=values, profiles=profiles)


def _said_of(error: BaseException) -> Raised:
    """What stopped a job, as the driver is to say it."""
    if isinstance(error, Refusal | Mistake):
        return Raised(getattr(error, "status", USAGE), str(error))
    if isinstance(error, Exception):
        with contextlib.suppress(Exception):  # that raises a mistake of ours again
            refusal = mended_outside(error)
            return Raised(refusal.status, str(refusal))
    return Raised(0, "".join(traceback.format_exception(error)))


class WorkerError(RuntimeError):
    """What a study has raised in another process: the message is its traceback."""


def error_of(raised: Raised) -> Exception:
    """What is to be raised here."""
    if raised.status:
        return Refusal(raised.text, raised.status)
    return WorkerError(f"in a worker:\n{raised.text}")


def look() -> Mapping[str, Any]:
    """Of the process that asks: the environment, free bytes and cores."""
    runner.pin()
    return {
        "environment": host.environment(),
        "memory": runner.budget(None),
        "cores": host.cores(),
    }
