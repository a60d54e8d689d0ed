"""`depthbench verify DIR`: reruns some of a run and compares it bit for bit."""

import functools
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from research.cli import train
from research.engine import console, runner
from research.engine.order import Order
from research.lazy import lazily
from research.learning import sharding
from research.machine import host
from research.report import published, training_report
from research.report.comparison import label
from research.report.run_folder import Results, is_training, opened
from research.store import folder as folders
from research.store import rows
from research.store.folder import DECIDING, Folder
from research.store.rows import Record
from research.study import plan
from research.study.axes import Axis
from research.study.declaration import Cell, Row, Study
from research.study.errors import Refusal

with lazily():
    from research.engine import trainer

CELLS = Axis("cells to rerun", (3,), kind="integer", low=1, high=10**6, single=True)


def arguments(parser) -> None:
    parser.add_argument(
        "dir",
        metavar="DIR",
        help="folder of a study's run, of committed rows, or of a training run",
    )
    parser.add_argument(
        "--cells",
        default="3",
        help="number of cells, or of a training's first reports; default: 3",
    )
    parser.add_argument(
        "--seed", default="0", help="seed of the choice of cells; default: 0"
    )


def main(options) -> int:
    count = int(CELLS.parse("--cells", options.cells)[0] or 0)
    (seed,) = CELLS._replace(low=0).parse("--seed", options.seed)
    path = Path(options.dir)
    if is_training(path):
        return verify_training(Folder(path), count)
    return verify_rows(opened(path), count, int(seed or 0))


def verify_rows(results: Results, count: int, seed: int) -> int:
    """Measures so many cells again; the exit status."""
    study = results.study
    manifest = folders.read_manifest(results.folder) or {}
    runner.pin()
    warn(results.stamp)
    if study.timings:
        console.say(f"timings are left out: {', '.join(study.timings)}")
    kept = {record.id: record for record in results.records}
    chosen = random.Random(seed).sample(results.rows, min(count, len(results.rows)))
    cells = [results.cell(row) for row in results.rows]
    memory, wrong = runner.budget(None), 0
    for row in chosen:
        fresh = again(
            study, cells, results.cell(row), memory, manifest.get("data_dir", "")
        )
        before = kept[row["id"]] if kept else None
        line = difference(study, row, fresh) or difference_of_profiles(before, fresh)
        wrong += bool(line)
        word = f"DIFFERENT: {line}" if line else "identical"
        name = f"{row['id']} " if kept else ""
        print(f"{name}{label(list(study.axes), row)}: {word}", flush=True)
    print(f"{len(chosen) - wrong} of {len(chosen)} cells are identical")
    return 1 if wrong else 0


def warn(world: dict[str, Any]) -> None:
    """Says what of this machine is another than results were made with."""
    environment = host.environment()
    moved = [n for n in DECIDING if world.get(n) != environment.get(n)]
    if moved:
        console.say(
            f"{', '.join(moved)} differ from the run's: bits may legitimately differ"
        )


def again(
    study: Study, cells: Sequence[Cell], cell: Cell, memory: int, data_dir: str
) -> Record:
    """The record of a cell measured again, in the same plan. Raises Refusal."""
    for unit in plan.units(study, cells, data_dir):
        if cell in unit.cells:
            measured = runner.attempt(unit, memory)
            result = measured[unit.cells.index(cell)]
            return rows.record_of(study.name, cell, result, {"data": "none"})[0]
    raise Refusal(f"{label(list(cell), cell)}: not a cell of {study.name}")


def difference(study: Study, row: Row, fresh: Record) -> str:
    """The first column that differs but for timings; or nothing.

    Both are compared as they stand in a table. What only one has is of another version.
    """
    again = fresh.row
    names = [n for n in ("status", *row) if n not in (*study.timings, "reason", "id")]
    for name in (n for n in names if n in again):
        if _written(row[name]) != _written(again[name]):
            return f"{name} was {row[name]}, is {again[name]}"
    return ""


def _written(value: Any) -> Any:
    return published.value("" if value is None else str(value))


def difference_of_profiles(before: Record | None, fresh: Record) -> str:
    """Whether profiles differ, where there are any to compare with."""
    same = before is None or before.profiles == fresh.profiles
    return "" if same else "profiles by layer"


def verify_training(folder: Folder, count: int) -> int:
    """Trains again up to a training's first reports; the exit status."""
    manifest = folders.read_manifest(folder) or {}
    if manifest.get("layout") is None:
        raise Refusal(
            f"{folder.path}: begun by a version whose states are laid otherwise"
        )
    warn(manifest["environment"])
    steps = [step for step, _ in training_report.reports(folder)][:count]
    every = int(manifest["settings"]["report_every"])
    settings = {
        name: tuple(v) if isinstance(v, list) else v
        for name, v in manifest["settings"].items()
        if name != "report_every"
    }
    lone = manifest["mesh"] == str(sharding.Shape())
    mesh = None if lone else sharding.parse(manifest["mesh"])
    whole = Order(settings, every, 1e6, False, mesh)
    short = whole._replace(settings={**settings, "steps": steps[-1]})
    # The recipe is the whole run's, as its schedule knows how long it will be.
    ready = functools.partial(train.work, whole, training_report.members(settings))
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        stopped = trainer.main(short, ready, out, lambda folder: None)
        if stopped:
            return stopped
        lines = [_differing(folder.path, out, step) for step in steps]
    for step, line in zip(steps, lines, strict=True):
        print(f"step {step}: {f'DIFFERENT: {line}' if line else 'identical'}")
    wrong = sum(map(bool, lines))
    print(f"{len(lines) - wrong} of {len(lines)} reports are identical")
    return 1 if wrong else 0


def _differing(before: Path, after: Path, step: int) -> str:
    """The names of a report's arrays that differ."""
    was, now = (rows.profiles(p / "reports", f"{step:09d}") for p in (before, after))
    names = sorted(was.keys() | now.keys())
    return ", ".join(n for n in names if not _equal(was.get(n), now.get(n)))


def _equal(a: Any, b: Any) -> bool:
    return a is not None and b is not None and a.tobytes() == b.tobytes()
