"""`depthbench verify DIR`: reruns some cells and compares them bit for bit."""

import random
from collections.abc import Sequence
from pathlib import Path

from research.engine import console, runner
from research.machine import host
from research.report.run_folder import opened
from research.store import rows
from research.store.folder import DECIDING
from research.store.rows import Record
from research.study import plan
from research.study.axes import Axis
from research.study.declaration import Cell, Study
from research.study.errors import Refusal

CELLS = Axis("cells to rerun", (3,), kind="integer", low=1, high=10**6, single=True)


def arguments(parser) -> None:
    parser.add_argument("dir", metavar="DIR", help="a run's folder")
    parser.add_argument("--cells", default="3", help="number of cells; default: 3")
    parser.add_argument(
        "--seed", default="0", help="seed of the choice of cells; default: 0"
    )


def main(options) -> int:
    count = int(CELLS.parse("--cells", options.cells)[0] or 0)
    (seed,) = CELLS._replace(low=0).parse("--seed", options.seed)
    study, _, records = opened(Path(options.dir))
    runner.pin()
    environment = host.environment()
    stamp = records[0].stamp
    moved = [n for n in DECIDING if stamp.get(n) != environment.get(n)]
    if moved:
        console.say(
            f"{', '.join(moved)} differ from the run's: bits may legitimately differ"
        )
    chosen = random.Random(seed).sample(records, min(count, len(records)))
    cells = [record.settings for record in records]
    memory = runner.budget(None)
    wrong = 0
    for record in chosen:
        fresh = again(study, cells, record, memory)
        same = (fresh.status, fresh.values, fresh.profiles) == (
            record.status,
            record.values,
            record.profiles,
        )
        wrong += not same
        word = "identical" if same else f"DIFFERENT: {difference(record, fresh)}"
        print(f"{record.id} {label(record.settings)}: {word}", flush=True)
    print(f"{len(chosen) - wrong} of {len(chosen)} cells are identical")
    return 1 if wrong else 0


def label(cell: Cell) -> str:
    return " ".join(str(v) for v in cell.values() if v is not None)


def again(study: Study, cells: Sequence[Cell], record: Record, memory: int) -> Record:
    """The record of a cell measured again, in the same plan. Raises Refusal."""
    for unit in plan.units(study, cells):
        if record.settings in unit.cells:
            measured = runner.attempt(unit, memory)
            result = measured[unit.cells.index(record.settings)]
            return rows.record_of(study.name, record.settings, result, record.stamp)[0]
    raise Refusal(f"{record.id}: not a cell of {study.name}")


def difference(before: Record, after: Record) -> str:
    """The first column that differs, or the profiles."""
    if before.status != after.status:
        return f"status was {before.status}, is {after.status}"
    for name, value in before.values.items():
        if after.values.get(name) != value:
            return f"{name} was {value}, is {after.values.get(name)}"
    return "profiles by layer"
