"""`depthbench status DIR`: how much of a run is done, what is missing, who is at work."""

import shlex
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from depthbench.research.catalogues.mistakes import Mistake
from depthbench.research.cli.options import (
    SIZES,
    TABLE_OR_JSON,
    existing_folder,
    one_of,
)
from depthbench.research.engine import console
from depthbench.research.report import coverage
from depthbench.research.report.comparison import label
from depthbench.research.report.coverage import Coverage
from depthbench.research.report.run_folder import study_of
from depthbench.research.store import folder as folders
from depthbench.research.store import holders, reports
from depthbench.research.store.holders import Holder
from depthbench.research.store.manifest import Event, Manifest
from depthbench.research.store.rows import cell_id, digests
from depthbench.research.study import plan
from depthbench.research.study.axes import flag_of
from depthbench.research.study.declaration import Cell, Study, chosen_values, grid
from depthbench.research.study.errors import Refusal

SHOWN = 3  # of the missing cells, and of the damaged rows
WIDTH = 80
SAME = "the same command as before, with its --out"


class Status(NamedTuple):
    """What is known of a folder. ends: how many rows ended in which way. missing: the
    cells, in words, as far as they are known. command: what runs them, or how to find it.
    """

    study: Study
    path: Path
    cover: Coverage
    ends: Counter[str]
    damaged: list[str]
    missing: list[str]
    at_work: list[Holder]
    last: Event | None
    command: str


def arguments(parser) -> None:
    parser.add_argument("dir", metavar="DIR", help="folder of a study's run")
    parser.add_argument("--format", default="table", help=", ".join(TABLE_OR_JSON))


def main(options) -> int:
    one_of("--format", options.format, TABLE_OR_JSON)
    status = of(existing_folder("DIR", options.dir))
    if options.format == "json":
        console.write_json(as_json(status))
    else:
        console.write(*lines(status))
    return 0


def of(path: Path) -> Status:
    """The status of a folder. Raises Refusal where it is no study's run."""
    folder, manifest, copies = folders.existing(path)
    if manifest.study == reports.STUDY:
        raise Refusal(f"{path}: is a training run; depthbench report {path} shows it")
    if (path / folders.STAMP).exists():
        raise Refusal(f"{path}: contains committed rows, of a run that is whole")
    study = study_of(path, manifest)
    records, damaged = folders.records(folder)
    elsewhere = folders.elsewhere(folder)
    cover = coverage.of_folder(study, manifest, {r.id for r in records}, elsewhere)
    there = {record.id for record in (*records, *elsewhere)}
    ran = [event for event in manifest.history if event.ended]
    return Status(
        study,
        path,
        cover,
        Counter(record.status for record in (*records, *elsewhere)),
        [*copies, *damaged],
        [label(list(study.axes), row) for row in cover.missing],
        holders.holders(path),
        max(ran, key=lambda event: event.ended or "", default=None),
        "" if cover.whole else command(study, path, manifest, there),
    )


def command(
    study: Study, path: Path, manifest: Manifest, there: Collection[str]
) -> str:
    """The command that runs what is missing, where one runs that and nothing else."""
    planned = set(manifest.cells)
    lacking = planned.difference(there)
    if not ours(study, manifest):
        return SAME
    for flags, cells in commands(study, manifest):
        if not len(lacking) <= len(cells) <= len(planned):
            continue
        ids = {planned_as(study, cell, manifest, planned) for cell in cells}
        if None not in ids and lacking <= ids:
            more = ["--data-dir", manifest.data_dir] if manifest.data_dir else []
            words = ["depthbench", "run", study.name, *flags, *more, "--out", str(path)]
            return shlex.join(words)
    return SAME


def planned_as(
    study: Study, cell: Cell, manifest: Manifest, planned: Collection[str]
) -> str | None:
    """The id of a cell in a folder's plan; None where it is not planned.

    What its data are recorded by may be more than the cell says, such as their version:
    so each of the folder's is tried.
    """
    ids = (cell_id(study.name, cell, one) for one in digests(manifest.data))
    return next((identity for identity in ids if identity in planned), None)


def ours(study: Study, manifest: Manifest) -> bool:
    """Whether the folder's cells name nothing but entries of depthbench: to see which
    cells a command has, modules and files that others named would be read or run."""
    return not manifest.plugins and all(
        value in known
        for name, known in names(study).items()
        for value in manifest.grid.get(name, ())
    )


def names(study: Study) -> dict[str, set[Any]]:
    """What axes that take no numbers may have of depthbench's own, by axis; of a text what
    is implied."""
    return {
        name: {
            *axis.choices.published,
            *axis.values,
            *(value for sized in study.sizes.values() for value in sized.get(name, ())),
        }
        if axis.choices is not None
        else {axis.implied} - {None}
        for name, axis in study.axes.items()
        if axis.choices is not None or axis.kind == "text"
    }


def commands(study: Study, manifest: Manifest) -> list[tuple[list[str], list[Cell]]]:
    """Flags that a run may have been begun with, and the cells of each: every size, as it
    is and with those axes typed of which the folder has other values."""
    found = []
    for size in SIZES:
        sized = chosen_values(study, size, {})
        other = {
            name: tuple(manifest.grid[name])
            for name, values in sized.items()
            if name in manifest.grid and set(manifest.grid[name]) != set(values)
        }
        for typed in ({}, other) if other else ({},):
            try:
                every = grid(study, {**sized, **typed})
                every = plan.placed(every, manifest.data_dir or "")
                cells = [study.cell(cell) for cell in study.fit(every, set(typed))[0]]
            except (Refusal, Mistake):  # more than a run can have, or a study can fit
                continue
            flags = ["--size", size] if size != "standard" else []
            for name, values in typed.items():
                flags += [flag_of(name), ",".join(map(written, values))]
            found.append((flags, cells))
    return sorted(found, key=lambda pair: len(pair[0]))


def written(value: Any) -> str:
    """A value as it is typed."""
    return "default" if value is None else str(value)


def lines(status: Status) -> list[str]:
    """The status in words, for one screen."""
    ends = ", ".join(f"{n:,} {word.replace('_', ' ')}" for word, n in _counts(status))
    left = status.cover.planned - status.cover.here
    shown = [
        f"{status.study.name}: {status.study.question}",
        f"done       {status.cover}{': ' if ends else ''}{ends}",
    ]
    if left:
        shown += _listed("missing", left, status.missing)
    if status.damaged:
        shown += _listed("damaged", len(status.damaged), status.damaged)
    at_work = ", ".join(map(str, status.at_work)) or "nobody, as far as is known here"
    shown.append(f"at work    {at_work}")
    if status.last and status.last.ended:
        took = f", in {console.duration(status.last.seconds or 0)}"
        shown.append(f"last run   {status.last.ended}: {status.last.done} cells{took}")
    if left:
        shown += ["go on", *_typed(status.command)]
    else:
        shown.append(f"report     depthbench report {status.path}")
    return shown


def _counts(status: Status) -> Sequence[tuple[str, int]]:
    return sorted(status.ends.items(), key=lambda pair: (-pair[1], pair[0]))


def _listed(word: str, count: int, known: Sequence[str]) -> list[str]:
    """A line with a number, and one for each of the first few."""
    more = count - len(known[:SHOWN])
    named = [f"             {_cut(text)}" for text in known[:SHOWN]]
    rest = [f"             and {more:,} more"] if named and more else []
    return [f"{word:<11}{count:,}", *named, *rest]


def _typed(command: str) -> list[str]:
    """A command in lines that a shell takes as one."""
    if command == SAME:
        return [f"  {command}"]
    found = [""]
    for word in map(shlex.quote, shlex.split(command)):
        if found[-1] and len(found[-1]) + len(word) > WIDTH - 5:
            found.append("")
        found[-1] += f"{' ' * bool(found[-1])}{word}"
    return [*(f"  {line} \\" for line in found[:-1]), f"  {found[-1]}"]


def _cut(text: str) -> str:
    room = WIDTH - 14
    return text if len(text) <= room else f"{text[: room - 1]}…"


def as_json(status: Status) -> dict[str, Any]:
    """The status as JSON has it; all cells that are missing, by their settings."""
    cells = [
        {name: row.get(name) for name in status.study.axes}
        for row in status.cover.missing
    ]
    return {
        "study": status.study.name,
        "cells": status.cover.planned,
        "done": status.cover.here,
        "statuses": dict(_counts(status)),
        "missing": cells,
        "damaged": status.damaged,
        "at_work": [holder._asdict() for holder in status.at_work],
        "last_ended": status.last.ended if status.last else None,
        "command": status.command,
    }
