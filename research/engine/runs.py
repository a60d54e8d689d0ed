"""A study's run in its folder: what is missing is measured, and the manifest kept."""

import contextlib
import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from depthbench.research.engine import console, outdated, resumption, runner
from depthbench.research.engine.engines.seam import Engine
from depthbench.research.engine.engines.threads import Threads
from depthbench.research.machine import compiled, host, shares
from depthbench.research.store import folder as folders
from depthbench.research.store import manifest, provenance
from depthbench.research.store.folder import Folder
from depthbench.research.store.manifest import Event, Manifest
from depthbench.research.store.rows import NO_DATA, Record, cell_id, digest_of
from depthbench.research.study import families, plan, plugins, widening
from depthbench.research.study.declaration import Cell, Study, Unit


class Request(NamedTuple):
    """How cells are to be run. memory: bytes; or three quarters of what is free.

    shard: "I/N", the share to run. retry: statuses of rows to be made again.
    accept: resume a folder that was begun by other code or elsewhere. widens: whether a
    grid of which a best setting is at the edge is made wider. data_dir: the folder that
    prepared data lie in; "" for the standard one. engine: what measures them.
    mixed: whether workers may be of several kinds, whose rows have a folder each.
    on_row: called with each new row that is on disk, in a thread of the run's.
    """

    shard: str | None = None
    retry: tuple[str, ...] = ()
    memory: int | None = None
    accept: bool = False
    widens: bool = False
    data_dir: str = ""
    engine: Engine = Threads()
    mixed: bool = False
    on_row: Callable[[Record], None] = lambda record: None


class Completed(NamedTuple):
    """What a run came to. stamp: of its rows. stopped: the exit status, 0 if it ended.

    cells: the grid's, and those beyond its edges. shares: what its time went to, in
    words; of the last pass, where a grid was made wider. digests: of the data sets, as
    cells name them.
    """

    folder: Folder
    stamp: dict[str, Any]
    seconds: float
    stopped: int
    cells: list[Cell]
    shares: str
    digests: Mapping[Any, str]

    def id_of(self, study: Study, cell: Cell) -> str:
        """What the cell's row is called."""
        return cell_id(study.name, cell, digest_of(cell, self.digests))


class Ready(NamedTuple):
    """Cells that can be run here: how, and the manifest of a folder with them alone."""

    study: Study
    units: list[Unit]
    stamp: dict[str, Any]
    memory: int
    workers: int
    manifest: Manifest
    digests: Mapping[Any, str]

    def ids(self, units: Sequence[Unit]) -> dict[str, Cell]:
        """The cells of units by their ids."""
        cells = (cell for unit in units for cell in unit.cells)
        named = lambda cell: (self.study.name, cell, digest_of(cell, self.digests))
        return {cell_id(*named(cell)): cell for cell in cells}


@contextlib.contextmanager
def completed(
    study: Study, cells: Sequence[Cell], path: Path, request: Request
) -> Iterator[Completed]:
    """Runs those of the cells that have no row in a folder; it is locked in the block.

    First the grid's, then those beyond its edges, as long as a best setting is there.
    Raises Refusal; what can be refused before a cell is run leaves no folder.
    """
    grid = list(cells)
    folder = folders.look(path, study.name)
    beyond, _ = _further(study, grid, folder, request)
    ready = _ready(study, grid + beyond, request)
    before = manifest.read(path).manifest
    resumption.joined(before, ready.manifest, request.accept, path)
    with folders.held(path, study.name, request.shard) as folder:
        yield _complete(ready, grid, folder, request)


def _complete(
    ready: Ready, grid: list[Cell], folder: Folder, request: Request
) -> Completed:
    study = ready.study
    beyond, _ = _further(study, grid, folder, request)
    run, before = _run_missing(ready, folder, request), []
    while not run.stopped:
        beyond, wanted = _further(study, grid, folder, request)
        if not wanted or wanted == before:  # which the last pass has not given
            break
        assert study.sweep
        text = (
            f"the best {study.sweep.axis} of {len(wanted)} methods is at the edge of its "
            "grid"
        )
        if request.shard:
            console.say(f"{text}: the command without --shard tries further ones")
            break
        console.say(f"{text}: further ones are tried")
        before = wanted
        more = _run_missing(_ready(study, wanted, request), folder, request)
        digests = {**run.digests, **more.digests}
        run = more._replace(seconds=run.seconds + more.seconds, digests=digests)
    return run._replace(cells=grid + beyond)


def _further(
    study: Study, cells: list[Cell], folder: Folder, request: Request
) -> tuple[list[Cell], list[Cell]]:
    """The cells beyond the grid: those that have rows, and those to be run now."""
    if not request.widens:
        return [], []
    have = [*folders.records(folder)[0], *folders.elsewhere(folder)]
    return widening.widened(study, cells, [record.row for record in have])


def _ready(study: Study, cells: Sequence[Cell], request: Request) -> Ready:
    """How the cells are run here. Raises Refusal where that cannot be."""
    runner.pin()
    plugins.looked_at(study.axes, cells)
    units = plan.units(study, cells, request.data_dir)
    environment, memory, workers = request.engine.place(study, units, request.memory)
    runner.check_fits(units, memory)
    sets = data_of(cells, request.data_dir)
    digests = {name: digest for name, (_, digest) in sets.items()}
    ids = [cell_id(study.name, cell, digest_of(cell, digests)) for cell in cells]
    data = dict(sets.values())
    fresh = runner.fresh_manifest(study, cells, ids, environment, data)
    fresh.data_dir = request.data_dir or None  # for `verify`; no part of any row
    first = next(iter(digests.values()), NO_DATA)
    stamp = runner.make_stamp(first, fresh.environment)
    return Ready(study, units, stamp, memory, workers, fresh, digests)


def _run_missing(ready: Ready, folder: Folder, request: Request) -> Completed:
    """Runs those of the cells that have no row in the folder."""
    study, stamp = ready.study, ready.stamp
    now = outdated.Now(study, ready.manifest, ready.ids(ready.units))

    def gone_on_with(before: Manifest | None) -> Manifest:
        after = resumption.joined(before, now.manifest, request.accept, folder.path)
        return outdated.left_out(folder, before, after, now)

    for line in folders.write_manifest(folder, gone_on_with):
        console.say(f"damaged, moved to quarantine: {line}")
    folder.cells.mkdir(exist_ok=True)
    have, damaged = folders.records(folder, quarantine=True)
    for line in damaged:
        console.say(f"damaged, moved to quarantine, will be rerun: {line}")
    have += folders.elsewhere(folder)
    share = runner.share(ready.units, request.shard)
    wanted = ready.ids(share)
    missing = runner.missing_ids(wanted, have, request.retry)
    elsewhere = functools.partial(_kind, folder, ready.manifest)
    job = runner.Assignment(
        *(study, share, missing, stamp, ready.memory, ready.workers),
        elsewhere if request.mixed else None,
        request.on_row,
        ready.digests,
    )
    started = manifest.now()
    if len(wanted) > len(missing) and missing:
        console.say(
            f"{len(wanted) - len(missing)} of {len(wanted)} cells are already done"
        )
    # Where a clock is read, what compiling takes is in what it says.
    programs = compiled.anew() if study.timings else contextlib.nullcontext()
    with (
        programs,
        shares.counted() as spent,
        console.progress(len(missing)) as shown,
    ):
        summary = runner.execute(job, request.engine, folder, shown)
    seconds = round(summary.seconds, 3)
    times = {"started": started, "ended": manifest.now(), "seconds": seconds}
    bounds = {kind: round(s, 3) for kind, s in spent.most_common()}
    counts = {"cells": len(missing), "done": summary.done, "workers": ready.workers}
    event = Event(**times, **counts, spent=bounds)
    folders.note(folder, event)
    if summary.stopped:
        saved = len(wanted) - summary.remaining
        console.say(
            f"stopped: {saved} of {len(wanted)} cells are saved in {folder.path}; "
            "the same command resumes from there"
        )
    shown = shares.described(spent, ready.workers, summary.seconds)
    times = summary.seconds, summary.stopped
    return Completed(folder, stamp, *times, [], shown, ready.digests)


def _kind(folder: Folder, own: Manifest, environment: Mapping[str, Any]) -> Folder:
    """The folder for rows of another kind of device, with a manifest of its own."""
    further = [name for name in host.FURTHER.values() if name in own.environment]
    changed = [n for n in further if environment.get(n) != own.environment[n]]
    decides = {name: environment.get(name) for name in (*manifest.DECIDING, *changed)}
    digest = provenance.digest({name: str(value) for name, value in decides.items()})
    device = re.sub(r"[^a-z0-9]+", "_", str(environment.get("device")).lower())
    kind = Folder(folder.path / folders.KINDS / f"{device}_{digest[:6]}")
    if not kind.cells.is_dir():
        kind.cells.mkdir(parents=True)
        manifest.write(kind.path, replace(own, environment=dict(environment)))
    return kind


def data_of(cells: Sequence[Cell], data_dir: str) -> dict[str, tuple[str, str]]:
    """The data sets that the cells are fed with, by their names in cells: each name as it
    was resolved, and the hash of its contents; notes are said."""
    from depthbench.research.datasets.record import notes, record

    found = {}
    for cell in plan.placed(cells, data_dir):
        name = cell.get("dataset")
        if not isinstance(name, str) or name in found:
            continue
        dataset = families.read_by(cell)
        whole = dataset.load()
        data = record(dataset, whole)
        for line in notes(dataset, whole, data):
            console.say(line)
        (found[name],) = data.items()
    return found
