"""Two sets of rows of the same cells: where they differ by more than chance."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import NUMBERS
from depthbench.research.report import training_report
from depthbench.research.report.trained import TrainingRun
from depthbench.research.study.declaration import Row
from depthbench.research.study.estimates import seeds_of

with lazily():
    from scipy import special

LEVEL = 0.01  # of the test of each value
ROUNDING = 1e-4  # relative: what another order of float32 sums may change
WORDS = ("reason", "theory_reason", "id")  # say why, in words and with numbers
ENDS = ("_se", "_low", "_high", "_seeds")  # how sure a column is


class Change(NamedTuple):
    """One value that differs: in which cell and column, before and after."""

    cell: str
    column: str
    before: Any
    after: Any


def pairs(
    settings: Sequence[str], a: Iterable[Row], b: Iterable[Row]
) -> list[tuple[Row, Row]]:
    """Rows of equal settings, in b's order."""
    before = {key(settings, row): row for row in a}
    return [(before[k], row) for row in b if (k := key(settings, row)) in before]


def key(settings: Sequence[str], row: Mapping[str, Any]) -> str:
    """A cell, as a string."""
    return json.dumps([row.get(name) for name in settings])


def label(settings: Sequence[str], row: Mapping[str, Any]) -> str:
    """A cell in words."""
    return " ".join(str(v) for n in settings if (v := row.get(n)) is not None)


def columns(a: Row, b: Row, apart: Iterable[str]) -> list[str]:
    """What both rows have, but for names apart and what says how sure another is."""
    names = [n for n in a if n in b and n not in (*apart, *WORDS)]
    sure = {f"{n}{end}" for n in names for end in ENDS}
    return [n for n in names if n not in sure]


def changes(settings: Sequence[str], a: Row, b: Row, names: Iterable[str]):
    """The columns of these in which rows of one cell differ by more than chance."""
    cell = label(settings, b)
    return [
        Change(cell, name, a[name], b[name]) for name in names if not alike(a, b, name)
    ]


def alike(a: Row, b: Row, column: str) -> bool:
    """The same, or apart by no more than chance.

    Of numbers with standard errors by Student's t test of two means (Welch 1947), of
    those with quartiles if these overlap; of others to rounding.
    """
    before, after = plain(a[column]), plain(b[column])
    if before == after:
        return True
    if not (is_number(before) and is_number(after)):
        return False
    low, high = f"{column}_low", f"{column}_high"
    if all(row.get(n) is not None for row in (a, b) for n in (low, high)) and not (
        f"{column}_se" in a or f"{column}_se" in b
    ):
        return a[low] <= b[high] and b[low] <= a[high]
    rounding = ROUNDING * max(abs(before), abs(after))
    return abs(before - after) <= by_chance(a, b, f"{column}_se") + rounding


def plain(value: Any) -> Any:
    """A value as a table has it, where an empty text is nothing."""
    return None if value == "" else value


def is_number(value: Any) -> bool:
    """A number; a truth value is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def by_chance(a: Row, b: Row, error: str) -> float:
    """How far two seed means may lie apart at `LEVEL`; 0 without standard errors."""
    errors = [row.get(error) or 0.0 for row in (a, b)]
    variance = sum(e**2 for e in errors)
    if not variance:
        return 0.0
    name = error.removesuffix("_se")
    seeds = [seeds_of({"seeds": None, **row}, name) or math.inf for row in (a, b)]
    parts = [e**4 / max(n - 1, 1) for e, n in zip(errors, seeds, strict=True)]
    freedom = variance**2 / sum(parts) if sum(parts) else 1e9
    return float(special.stdtrit(freedom, 1 - LEVEL / 2)) * math.sqrt(variance)


def last_rows(trained: TrainingRun) -> list[Row]:
    """The last report of a training: a row for each of its numbers.

    Each measure is the mean over seeds of those that did not diverge, `_se` its
    standard error, and `_seeds` how many they are.
    """
    points = training_report.curves(trained.settings, trained.history)
    last = [row for row in points if row["step"] == points[-1]["step"]]
    groups: dict[str, list[Row]] = {}
    for row in last:
        groups.setdefault(key(NUMBERS, row), []).append(row)
    return [_ended(group) for group in groups.values()]


def _ended(group: list[Row]) -> Row:
    diverged = sum(row["status"] == "diverged" for row in group)
    row = {name: group[0].get(name) for name in NUMBERS}
    row |= {"seeds": len(group), "step": group[0]["step"], "diverged": diverged}
    for name in (n for n in group[0] if n.startswith(training_report.FOLLOWING)):
        values = [r[name] for r in group if r["status"] == "ok" and r[name] is not None]
        row[name] = float(np.mean(values)) if values else None
        error = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else None
        row[f"{name}_se"] = None if error is None else float(error)
        row[f"{name}_seeds"] = len(values)
    return row
