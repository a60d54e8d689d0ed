"""`depthbench compare A B`: what differs between two runs beyond noise."""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from research.cli.options import TABLE_OR_JSON, one_of
from research.report import rendering
from research.report.run_folder import opened
from research.store.folder import DECIDING
from research.store.rows import Record
from research.study.declaration import Row, Study
from research.study.errors import Refusal
from research.study.tables import Mark, Table, number

SIGMAS = 3  # standard errors
ROUNDING = 1e-4  # relative: what another order of float32 sums may change


class Change(NamedTuple):
    """One value that differs: in which cell and column, before and after."""

    cell: str
    column: str
    before: Any
    after: Any


def arguments(parser) -> None:
    parser.add_argument("a", metavar="DIR_A", help="a run's folder")
    parser.add_argument("b", metavar="DIR_B", help="another run's folder")
    parser.add_argument("--format", default="table", help=", ".join(TABLE_OR_JSON))


def main(options) -> int:
    one_of("--format", options.format, TABLE_OR_JSON)
    study, _, before = opened(Path(options.a))
    other, _, after = opened(Path(options.b))
    if study.name != other.name:
        raise Refusal(
            f"{options.a} contains rows of {study.name}, {options.b} of {other.name}"
        )
    pairs = {key(r): r for r in before}
    both = [(pairs[key(r)], r) for r in after if key(r) in pairs]
    changed = [change for a, b in both for change in changes(study, a, b)]
    worlds = environments(before[0].stamp, after[0].stamp)
    counts = {
        "cells_in_both": len(both),
        "only_in_a": len(before) - len(both),
        "only_in_b": len(after) - len(both),
        "identical": sum(
            a.values == b.values and a.profiles == b.profiles for a, b in both
        ),
        "cells_changed": len({change.cell for change in changed}),
    }
    if options.format == "json":
        comparison = {
            **counts,
            "changes": [change._asdict() for change in changed],
            "environment": worlds,
        }
        json.dump(comparison, sys.stdout, indent=1, allow_nan=False)
        print()
        return 0
    show_changes(counts, changed, worlds)
    return 0


def key(record: Record) -> str:
    return json.dumps(record.settings, sort_keys=True)


def changes(study: Study, a: Record, b: Record) -> list[Change]:
    """The columns in which two records of one cell differ by more than noise.

    A number with a standard error must move by three of them (both runs' combined); one
    without, by more than rounding.
    """
    name = " ".join(
        str(v) for n, v in a.settings.items() if v is not None and n != "dataset"
    )
    differences = []
    for column in ("status", *a.values):
        before, after = a.row.get(column), b.row.get(column)
        if column.endswith("_se") or column == "theory_reason":
            continue
        if not alike(before, after, noise(a.row, column), noise(b.row, column)):
            differences.append(Change(name, column, before, after))
    return differences


def noise(row: Row, column: str) -> float:
    return row.get(f"{column}_se") or 0.0


def alike(before: Any, after: Any, error_a: float, error_b: float) -> bool:
    """The same, or the same to within noise."""
    if before == after:
        return True
    if not all(isinstance(v, (int, float)) for v in (before, after)):
        return False
    allowed = SIGMAS * math.hypot(error_a, error_b)
    return abs(before - after) <= allowed + ROUNDING * max(abs(before), abs(after))


def environments(a: dict[str, Any], b: dict[str, Any]) -> dict[str, list[Any]]:
    """What differs between two stamps: name to [in A, in B]."""
    names = (
        *DECIDING,
        "processor",
        "cores",
        "devices",
        "commit",
        "uncommitted",
        "data",
    )
    return {n: [a.get(n), b.get(n)] for n in names if a.get(n) != b.get(n)}


def show_changes(
    counts: dict[str, int], changed: Sequence[Change], worlds: dict
) -> None:
    console = rendering.terminal()
    for name, count in counts.items():
        console.print(f"{name.replace('_', ' '):<16}{count}", highlight=False)
    if worlds:
        body = tuple((n, str(a), str(b)) for n, (a, b) in worlds.items())
        rendering.show(Table("Environment", ("", "A", "B"), body), console)
    else:
        console.print("environments are the same")
    if not changed:
        console.print("no value differs beyond noise")
        return
    body = tuple(
        (c.cell, c.column, number(c.before), Mark(number(c.after), "bad"))
        for c in changed[:40]
    )
    more = f" (first 40 of {len(changed)})" if len(changed) > 40 else ""
    title = f"Changed beyond {SIGMAS} standard errors{more}"
    rendering.show(Table(title, ("cell", "column", "A", "B"), body), console)
