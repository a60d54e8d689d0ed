"""`depthbench run STUDY --dry-run`: what the run that would be made is, in lines."""

from collections.abc import Sequence
from typing import NamedTuple

from depthbench.research.engine import console, runner, runs
from depthbench.research.store import folder as folders
from depthbench.research.store.folder import Folder
from depthbench.research.store.rows import cell_id, renamed
from depthbench.research.study import forecast, plan, widening
from depthbench.research.study.declaration import Cell, Study, Unit
from depthbench.research.study.forecast import Forecast


class Planned(NamedTuple):
    """Units of cells that have no rows yet, how many cells have, and the most cells that
    may be added beyond the grid and those."""

    units: list[Unit]
    there: int
    further: int


def lines(
    study: Study,
    cells: Sequence[Cell],
    folder: Folder,
    request: runs.Request,
    workers: int | None,
) -> list[str]:
    """Cells, programs, memory and time of a run in this folder, of the request's share.

    workers: units at a time; or as many as there are cores.
    """
    missing = planned(study, cells, folder, request)
    expected = forecast.of(study, missing.units, request.memory, workers)
    return [*described(study, expected, missing), "nothing was run"]


def planned(
    study: Study, cells: Sequence[Cell], folder: Folder, request: runs.Request
) -> Planned:
    """What is missing in the folder; of the request's share."""
    every = [*folders.records(folder)[0], *folders.elsewhere(folder)]
    have = [record for record in every if record.study == study.name]
    beyond, wanted = [], []
    if request.widens:
        beyond, wanted = widening.widened(study, cells, [record.row for record in have])
    further = widening.most(study, cells) - len(beyond) if request.widens else 0
    if not request.shard:  # a share leaves them to the command without it
        beyond, further = beyond + wanted, further - len(wanted)
    units = plan.units(study, [*cells, *beyond], request.data_dir)
    # Told by their settings: what the data's hash is takes reading them.
    bare = lambda cell: cell_id(study.name, cell, "")
    records = [renamed(record, bare(record.settings)) for record in have]
    asked = runner.share(units, request.shard)
    ids = [bare(cell) for unit in asked for cell in unit.cells]
    missing = runner.missing_ids(ids, records, request.retry)
    left = [
        unit._replace(cells=rest)
        for unit in asked
        if (rest := tuple(cell for cell in unit.cells if bare(cell) in missing))
    ]
    # Where all have rows, no best setting is at an edge: no more is tried.
    further = further if missing and not request.shard else 0
    return Planned(left, len(ids) - len(missing), further)


def described(study: Study, expected: Forecast, missing: Planned) -> list[str]:
    """What a run would do, in lines: cells, programs, memory, time."""
    workers, compiling = expected.workers, expected.compiling
    cores = f"{workers} core{'s' if workers > 1 else ''}"
    part = f", {console.duration(compiling)} of it compiling" if compiling else ""
    lines = [
        f"{study.name}: {study.question}",
        f"cells               {expected.cells}",
        *([f"already there       {missing.there}"] if missing.there else []),
        f"compiled programs   {expected.programs}",
        f"memory              {console.size(expected.peak)} a call, {workers} at a time "
        f"(may use {console.size(expected.memory)})",
        f"time                about {console.duration(expected.seconds)} on {cores}{part}",
    ]
    if missing.further:
        lines.append(
            f"and up to           {missing.further} more, as long as a best one is at the "
            "grid's edge"
        )
    if expected.left_out:
        count = expected.left_out
        lines.append(f"do not fit          {count} cells: they become rows that say so")
    return lines
