"""The runner: has units measured of which cells are missing, and writes their rows."""

import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from depthbench.research.engine import console
from depthbench.research.engine.engines.seam import Done, Engine, Workload
from depthbench.research.engine.signals import supervise
from depthbench.research.machine import host, precision, settings, shares, start
from depthbench.research.store import manifest, provenance, rows
from depthbench.research.store.folder import Folder
from depthbench.research.store.manifest import Manifest
from depthbench.research.store.rows import Record, cell_id, digest_of
from depthbench.research.study import plan, plugins
from depthbench.research.study.axes import Value
from depthbench.research.study.declaration import Cell, Measured, Study, Unit
from depthbench.research.study.errors import Refusal


class RunSummary(NamedTuple):
    """How a run has ended: rows written, cells still missing, and why it stopped."""

    done: int
    remaining: int
    seconds: float
    stopped: int  # the exit status: 0, 130 or 143


class Assignment(NamedTuple):
    """The work of a run: the whole plan, the missing cells, their stamp, the bytes that
    each worker may use, and how many work.

    elsewhere: of an environment that gives other bits than the stamp's, the folder for its
    rows; without it, they are refused. on_row: called with each row that is on disk.
    digests: of the data sets, as cells name them.
    """

    study: Study
    units: Sequence[Unit]
    missing: frozenset[str]
    stamp: dict[str, Any]
    memory: int
    workers: int
    elsewhere: Callable[[Mapping[str, Any]], Folder] | None = None
    on_row: Callable[[Record], None] = lambda record: None
    digests: Mapping[Any, str] = {}


def budget(memory: int | None) -> int:
    """Bytes that one call may use: what is given, or three quarters of what is free.

    Of an accelerator nine tenths: free memory there is reserved for jax.
    """
    if memory:
        return memory
    import jax

    share = 0.75 if jax.default_backend() == "cpu" else 0.9
    return int(share * host.available_memory())


# What rows and trainings are made with, from the first cell to the report: that one is
# missing is not to be found at the end.
PACKAGES = ("flax", "optax", "orbax.checkpoint", "scipy", "matplotlib", "rich")


def begin(packages: Sequence[str] = PACKAGES) -> None:
    """Begins jax, and says what is not as the environment asks. Raises Mistake, and
    ModuleNotFoundError for one of the packages, which are needed only later."""
    start.needs(*packages)
    for line in start.begin():
        console.say(line)


def pin() -> None:
    """Begins jax with its settings pinned, and says which were set otherwise."""
    begin()
    for line in settings.pin():
        console.say(line)


def check_fits(units: Sequence[Unit], memory: int) -> None:
    """Raises Refusal when no cell at all fits in memory."""
    smallest = min(units, key=lambda unit: unit.cost.memory)
    if smallest.cost.memory > memory:
        cell = smallest.cells[0]
        shape = ", ".join(f"{n} {cell[n]}" for n in ("depth", "width") if n in cell)
        raise Refusal(
            f"{shape}: one network needs {console.size(smallest.cost.memory)}, and "
            f"{console.size(memory)} may be used; choose a smaller depth or width"
        )


def share(units: Sequence[Unit], shard: str | None) -> list[Unit]:
    """The units of shard "i/n": every n-th, from the i-th."""
    if not shard:
        return list(units)
    index, count = map(int, shard.split("/"))
    return list(units[index - 1 :: count])


def execute(
    job: Assignment, engine: Engine, folder: Folder, progress: console.Progress
) -> RunSummary:
    """Has units with a missing cell measured, and writes their rows as they come.

    A first signal lets running units end; a second leaves at once. Raises what the engine
    raises, once what came before it is written; Refusal where a row was made in another
    environment than the stamp's.
    """
    units = [unit for unit in job.units if _wanted(job, unit)]
    work = Workload(job.study, units, job.memory, job.workers)
    started = time.perf_counter()
    stop = threading.Event()
    failures: queue.SimpleQueue = queue.SimpleQueue()
    written: set[str] = set()

    def write() -> None:
        try:
            for done in engine.run(work, stop, progress.begin):
                shares.add(done.spent)
                with shares.spent(shares.WRITING):
                    new = _write(job, units[done.number], done, folder) - written
                written.update(new)
                progress.advance(len(new))
        except BaseException as error:
            failures.put(error)
            stop.set()

    status = supervise([threading.Thread(target=write, daemon=True)], stop)
    if not failures.empty():
        raise failures.get()
    remaining = len(job.missing) - len(written)
    return RunSummary(len(written), remaining, time.perf_counter() - started, status)


IN_FLIGHT = 4  # units: an accelerator has one, while others are compiled or written


def workers(study: Study, units: Sequence[Unit], memory: int) -> int:
    """How many units run at a time, with so many bytes for all.

    On an accelerator as many as have room beside each other at their largest: it runs
    one, while the host traces, compiles and draws for others, works out their theory and
    writes their rows. Where a clock is read there, one. On a CPU a clock changes nothing:
    a study that is to have the cores for itself says `threads=1`.
    """
    if study.threads:
        return study.threads
    import jax

    if jax.default_backend() == "cpu":
        return host.cores()
    largest = max((unit.cost.peak for unit in units), default=memory)
    room = 1 if study.timings else memory // max(1, largest)
    return max(1, min(IN_FLIGHT, host.cores(), room))


def _wanted(job: Assignment, unit: Unit) -> bool:
    return any(_id(job, cell) in job.missing for cell in unit.cells)


def _id(job: Assignment, cell: Cell) -> str:
    return cell_id(job.study.name, cell, digest_of(cell, job.digests))


def describe(unit: Unit) -> str:
    """The unit in a few words: its first cell's names and depth."""
    cell = unit.cells[0]
    names = [str(v) for v in cell.values() if isinstance(v, str)][:3]
    return " ".join(names + ([f"depth {cell['depth']}"] if "depth" in cell else []))


def _write(job: Assignment, unit: Unit, done: Done, folder: Folder) -> set[str]:
    """Writes the missing rows of a unit; their names. Raises Refusal."""
    stamp = job.stamp
    if done.environment is not None:
        other = set(host.FURTHER.values()) - stamp.keys()  # which no row comes from
        seen = {n: v for n, v in done.environment.items() if n not in other}
        stamp = {**stamp, **seen}
        changes = manifest.changed(job.stamp, stamp)
        if changes and job.elsewhere is None:
            raise Refusal(
                "a worker differs from the one that this folder's rows are made by: "
                f"{changes[0]}; give workers of one kind, or --mixed, for a table of each"
            )
        if changes and job.elsewhere is not None:
            folder = job.elsewhere(seen)
    written = set()
    for cell, result in zip(unit.cells, done.measured, strict=True):
        if _id(job, cell) in job.missing:
            own = {**stamp, "data": digest_of(cell, job.digests)}
            record, packed = rows.record_of(job.study.name, cell, result, own)
            rows.save(folder.cells, record, packed)
            written.add(record.id)
            job.on_row(record)
    return written


def attempt(unit: Unit, memory: int) -> Sequence[Measured]:
    """The unit's results; a unit that does not fit gives rows that say so."""
    need = console.size(unit.cost.memory)
    if unit.cost.memory > memory:
        reason = f"needs {need}, and {console.size(memory)} may be used"
        return [Measured("oom", reason, {})] * len(unit.cells)
    try:
        with precision.exact():
            return plan.measure(unit, memory)
    except MemoryError:
        reason = f"ran out of memory; estimated {need}"
        return [Measured("oom", reason, {})] * len(unit.cells)
    except Exception as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        reason = str(error).splitlines()[0]
        return [Measured("oom", reason, {})] * len(unit.cells)


def make_stamp(data: str, environment: dict[str, Any]) -> dict[str, Any]:
    """What every row of a run is stamped with; nothing that changes between runs.

    data: the first data set's hash; a row of another has its own.
    """
    return {"data": data, **environment, **provenance.commit()}


def fresh_manifest(
    study: Study,
    cells: Sequence[Cell],
    ids: Collection[str],
    environment: dict[str, Any],
    data: Mapping[str, str],
) -> Manifest:
    """The manifest of a folder in which there is nothing but these cells, of these ids."""
    values = [value for cell in cells for value in cell.values()]
    own = plugins.used([study.name, *values])
    made_by = traced(study, cells, own)
    return Manifest(
        schema=manifest.SCHEMA,
        study=study.name,
        code=made_by.hashes,
        environment=host.of_imports(environment, made_by.imports),
        data=dict(data),
        cells=sorted(ids),
        grid=grid_of([study.named(cell) for cell in cells]),
        plugins=recorded(own),
    )


def grid_of(cells: Sequence[Cell]) -> dict[str, list[Value]]:
    """What the cells have, by axis."""
    names = dict.fromkeys(name for cell in cells for name in cell)
    columns = {name: [cell[name] for cell in cells if name in cell] for name in names}
    return manifest.wider({}, columns)


def code_of(
    study: Study, cells: Sequence[Cell], own: Mapping[str, plugins.Plugin]
) -> dict[str, str]:
    """Hashes of the code that rows come from; of each study within, one of all its own."""
    return traced(study, cells, own).hashes


def traced(
    study: Study, cells: Sequence[Cell], own: Mapping[str, plugins.Plugin]
) -> provenance.Traced:
    """The same code, and what it and that of the studies within imports."""
    hashes, imports = provenance.traced(study.module, study.entries(cells), foreign=own)
    for one, inner in map(study.inner, cells) if study.inner else ():
        within = provenance.traced(one.module, one.entries(inner))
        hashes[f"study: {one.name}"] = provenance.digest(within.hashes)
        imports |= within.imports
    return provenance.Traced(dict(sorted(hashes.items())), imports)


def recorded(own: Mapping[str, plugins.Plugin]) -> dict[str, manifest.Foreign]:
    """What is not depthbench's, as a manifest has it."""
    return {
        place: manifest.Foreign(
            entries=sorted(one.entries),
            files=one.origin.files,
            version=one.origin.version,
        )
        for place, one in sorted(own.items())
    }


def missing_ids(
    ids: Iterable[str], have: Sequence[Record], retry: Sequence[str]
) -> frozenset[str]:
    """The ids of cells that have no row yet, or one whose status is to be retried."""
    return frozenset(ids).difference(r.id for r in have if r.status not in retry)
