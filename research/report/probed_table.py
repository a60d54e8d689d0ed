"""States as a table: of many those at the ends, and around what stands out."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from depthbench.research.report.notebook import decades
from depthbench.research.signal.profiles import SURVIVES
from depthbench.research.study.tables import Mark, Table

MANY = 24  # lines of a table in a terminal
FEW = 16  # in a notebook, beside a picture
TITLE = "States, from the input up; gradient and length are log10"
HEADERS = {
    "log10_gradient": "gradient",
    "log10_length": "length",
    "decorrelation": "decorrelation",
    "saturated": "saturated",
    "dead": "dead",
}


def states(
    rows: Sequence[Mapping[str, Any]], flags: Mapping[str, str], most: int = MANY
) -> Table:
    """A line a state, from the input up, with words beside those that are flagged.

    Columns of which nothing was measured are left out.
    """
    columns = [c for c in HEADERS if any(not _absent(row.get(c)) for row in rows)]
    last = rows[-1]["log10_gradient"]
    lines: list[tuple[str | Mark, ...]] = []
    before = -1
    for place in chosen(rows, flags, most):
        if place > before + 1:
            left = place - before - 1
            skipped = Mark(f"… {left} more", "dim")
            lines.append((skipped, *[""] * (len(columns) + bool(flags))))
        before = place
        row = rows[place]
        entries = [_entry(column, row, last) for column in columns]
        note = flags.get(row["state"], "")
        mark = [Mark(f"← {note}", "bad") if note else ""] if flags else []
        lines.append((row["state"], *entries, *mark))
    headers = ("state", *(HEADERS[c] for c in columns), *([""] if flags else []))
    return Table(TITLE, headers, tuple(lines))


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _entry(column: str, row: Mapping[str, Any], last: float) -> str | Mark:
    value = row.get(column)
    if _absent(value):
        return "-"
    assert value is not None
    if column in ("saturated", "dead"):
        return f"{100 * value:.0f} %"
    if column == "decorrelation":
        return f"{value:.3g}"
    shown = decades(value)
    if column == "log10_gradient" and not abs(value - last) <= SURVIVES:
        return Mark(shown, "bad")
    return shown


def chosen(
    rows: Sequence[Mapping[str, Any]], flags: Mapping[str, str], most: int
) -> list[int]:
    """The places of the states that are shown, at most about so many.

    The ends and those that stand out, with neighbours as far as there is room.

    >>> rows = [{"state": f"s{i}", "log10_gradient": 0.0} for i in range(100)]
    >>> chosen(rows, {"s40": "first bad"}, 10)
    [0, 1, 39, 40, 41, 98, 99]
    """
    count = len(rows)
    if count <= most:
        return list(range(count))
    centres = [0, count - 1, *(p for p, r in enumerate(rows) if r["state"] in flags)]
    shown = set(centres)
    for distance in range(1, count):
        near = {c + step for c in centres for step in (-distance, distance)}
        near = {place for place in near if 0 <= place < count} - shown
        if len(shown) + len(near) > most:
            break
        shown |= near
    return sorted(shown)
