"""`depthbench verify DIR`: reruns some of a run and compares it bit for bit."""

import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from depthbench.research.cli import train
from depthbench.research.cli.options import integer, path_of_folder
from depthbench.research.datasets.record import differs_in_common
from depthbench.research.engine import console, runner, runs, signals
from depthbench.research.engine import order as orders
from depthbench.research.lazy import lazily
from depthbench.research.learning import sharding
from depthbench.research.machine import host
from depthbench.research.report import fields, published, trained
from depthbench.research.report.comparison import label
from depthbench.research.report.run_folder import (
    Results,
    is_training,
    load,
    opened,
    training,
)
from depthbench.research.report.trained import TrainingRun
from depthbench.research.store import manifest as manifests
from depthbench.research.store import rows
from depthbench.research.store.manifest import DECIDING
from depthbench.research.store.rows import Record
from depthbench.research.study import plan
from depthbench.research.study.declaration import Cell, Row, Study
from depthbench.research.study.errors import Refusal

with lazily():
    from depthbench.research.engine import trainer

Arrays = Mapping[str, np.ndarray]


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
    count = integer("--cells", options.cells, high=10**6)
    seed = integer("--seed", options.seed, low=0, high=10**6)
    path = path_of_folder("DIR", options.dir)
    if is_training(path):
        load(path, manifests.of(path))
        kept = training(path)
        runner.begin()
        return verify_training(kept, count)
    load(path, manifests.of(path))
    return verify_rows(opened(path), count, seed)


def verify_rows(results: Results, count: int, seed: int) -> int:
    """Measures so many cells again; the exit status."""
    study = results.study
    manifest = manifests.of(results.folder.path)
    data_dir = manifest.data_dir or ""
    runner.pin()
    warn(results.folder.path, results.stamp)
    if study.timings:
        console.say(f"timings are left out: {', '.join(study.timings)}")
    kept = {record.id: record for record in results.records}
    chosen = random.Random(seed).sample(results.rows, min(count, len(results.rows)))
    cells = [results.cell(row) for row in results.rows]
    data = runs.data_of([results.cell(row) for row in chosen], data_dir)
    same(results.folder.path, manifest.data, dict(data.values()))
    memory, wrong = runner.budget(None), 0
    for row in chosen:
        fresh = again(study, cells, results.cell(row), memory, data_dir)
        before = kept[row["id"]] if kept else None
        line = difference(study, row, fresh) or difference_of_profiles(before, fresh)
        wrong += bool(line)
        word = f"DIFFERENT: {line}" if line else "identical"
        name = f"{row['id']} " if kept else ""
        console.write(f"{name}{label(list(study.axes), row)}: {word}")
    console.write(f"{len(chosen) - wrong} of {len(chosen)} cells are identical")
    return 1 if wrong or not results.cover.whole else 0


def warn(path: Path, world: dict[str, Any]) -> None:
    """Says what of this machine is another than results were made with.

    Raises Refusal where the device is: no two kinds add up in the same order.
    """
    environment = host.environment()
    if world.get("device") != environment["device"]:
        name = published.name_of(path)
        how = (
            f"`depthbench reproduce {name}` compares verdicts and numbers"
            if name
            else "run the same here, and `depthbench compare` both"
        )
        raise Refusal(
            f"{path}: made on {world.get('device')}, whose bits no {environment['device']} "
            f"has; {how}"
        )
    names = [n for n in (*DECIDING, *host.FURTHER.values()) if n in world]
    moved = [n for n in names if world[n] != environment.get(n)]
    if moved:
        console.say(
            f"{', '.join(moved)} differ from the run's: bits may legitimately differ"
        )


def same(path: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raises Refusal where a data set of a run has other contents than it had."""
    other = differs_in_common(before, now)
    if other:
        raise Refusal(f"{path}: {other}: there is nothing to compare with")


def again(
    study: Study, cells: Sequence[Cell], cell: Cell, memory: int, data_dir: str
) -> Record:
    """The record of a cell measured again, in the same plan. Raises Refusal."""
    for unit in plan.units(study, cells, data_dir):
        if cell in unit.cells:
            measured = runner.attempt(unit, memory)
            result = measured[unit.cells.index(cell)]
            return rows.record_of(study.name, cell, result, {"data": rows.NO_DATA})[0]
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
    return fields.value_of(fields.written(value))


def difference_of_profiles(before: Record | None, fresh: Record) -> str:
    """Whether profiles differ, where there are any to compare with."""
    same = before is None or before.profiles == fresh.profiles
    return "" if same else "profiles by layer"


def verify_training(kept: TrainingRun, count: int) -> int:
    """Trains again up to a training's first reports; the exit status."""
    manifest, settings = kept.manifest, kept.settings
    if manifest.layout != orders.LAYOUT:
        raise Refusal(
            f"{kept.folder.path}: begun by a version whose states are laid out otherwise"
        )
    warn(kept.folder.path, manifest.environment)
    before = dict(kept.history[:count])
    recipe = {
        name: tuple(v) if isinstance(v, list) else v
        for name, v in settings.items()
        if name != "report_every"
    }
    lone = manifest.mesh == str(sharding.Shape())
    mesh = None if lone else sharding.parse(str(manifest.mesh))
    whole = orders.Order(recipe, settings["report_every"], 1e6, False, mesh)
    short = whole._replace(settings={**recipe, "steps": max(before)})
    # The recipe is the whole run's, as its schedule knows how long it will be.
    members = trained.members(recipe)

    def ready(mesh: Any) -> Any:
        work = train.work(whole, members, mesh)
        same(kept.folder.path, manifest.data, work.source.data)
        return work

    scratch = tempfile.TemporaryDirectory()
    with scratch, signals.undone(scratch.cleanup):
        out = Path(scratch.name)
        stopped = trainer.main(short, ready, out, lambda folder: None)
        if stopped:
            return stopped
        after = dict(trained.opened(out).history)
    lines = {step: _differing(arrays, after[step]) for step, arrays in before.items()}
    for step, line in lines.items():
        console.write(f"step {step}: {f'DIFFERENT: {line}' if line else 'identical'}")
    wrong = sum(map(bool, lines.values()))
    lost = len(kept.damaged)
    console.write(f"{len(lines) - wrong} of {len(lines)} reports are identical")
    return 1 if wrong or lost else 0


def _differing(was: Arrays, now: Arrays) -> str:
    """The names of a report's arrays that differ."""
    names = sorted(was.keys() | now.keys())
    return ", ".join(n for n in names if not _equal(was.get(n), now.get(n)))


def _equal(a: Any, b: Any) -> bool:
    return a is not None and b is not None and a.tobytes() == b.tobytes()
