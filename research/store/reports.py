"""The reports of a training on disk: each a record and its arrays, as cells are."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from depthbench.research.files.sealed import digest
from depthbench.research.store import folder as folders
from depthbench.research.store import rows
from depthbench.research.store.folder import Folder
from depthbench.research.store.manifest import Manifest
from depthbench.research.store.rows import Record
from depthbench.research.study.declaration import Measured

STUDY = "train"


def name(step: int) -> str:
    """The id of the report at a step."""
    return f"{step:09d}"


def run_id(settings: Mapping[str, Any]) -> str:
    """What tells the reports of one training from those of all others.

    Where its data lie is no part of it: they may be moved meanwhile.
    """
    return digest({n: v for n, v in settings.items() if n != "data_dir"})[:16]


def save(folder: Folder, run: str, step: int, arrays: dict[str, np.ndarray]) -> None:
    """Writes a report's measures, arrays [runs] or [runs, states]."""
    cell = {"run": run, "step": step}
    measured = Measured("ok", "", {}, arrays)
    record, packed = rows.record_of(STUDY, cell, measured, {"data": rows.NO_DATA})
    rows.save(folder.reports, rows.renamed(record, name(step)), packed)


def due(settings: Mapping[str, Any], until: int) -> list[int]:
    """The steps of the reports that a training makes up to a step."""
    every, last = settings["report_every"], settings["steps"]
    steps = list(range(every, min(until, last) + 1, every))
    return steps if until < last or last in steps else [*steps, last]


def arrived(folder: Folder, manifest: Manifest, records: Iterable[Record]) -> int:
    """The last step of which something in the folder tells."""
    names = (path.name for path in folder.checkpoints.glob("*"))
    checkpoints = (int(n) for n in names if n.isdecimal() and n.isascii())
    history = (event.step or 0 for event in manifest.history)
    return max([0, *checkpoints, *history, *(step_of(record) for record in records)])


def step_of(record: Record) -> int:
    """The step of a report."""
    return int(record.id)


def read(
    folder: Folder, manifest: Manifest, quarantine: bool = False
) -> tuple[list[Record], list[str]]:
    """(intact reports, ordered by step; a sentence on each that is damaged or missing).

    quarantine: move damaged files aside, so that the steps are trained again.
    """
    have, lines = folders.reports(folder, quarantine)
    run, whole = run_id(manifest.settings), []
    for record in have:
        numbered = record.id.isascii() and record.id.isdecimal()  # no cell of a study
        if numbered and record.settings == {"run": run, "step": int(record.id)}:
            whole.append(record)
            continue
        lines.append(f"{record.id}.json: is of another training")
        if quarantine:
            path = folder.reports / f"{record.id}.json"
            folders.put_aside(folder, path, path.with_suffix(".npz"))
    steps = {step_of(record) for record in whole}
    last = arrived(folder, manifest, whole)
    named = {line.partition(".")[0] for line in lines}
    lines += [
        f"{name(step)}.json: missing"
        for step in due(manifest.settings, last)
        if step not in steps and name(step) not in named
    ]
    return whole, lines


def remove(folder: Folder, step: int) -> None:
    """Removes reports later than a step: they are made again."""
    for path in folder.reports.glob("*.json"):
        if path.stem.isdecimal() and int(path.stem) > step:
            path.unlink()
            path.with_suffix(".npz").unlink(missing_ok=True)
