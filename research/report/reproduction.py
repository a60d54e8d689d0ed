"""Rows that were measured again, beside the committed ones: verdicts, then numbers."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from depthbench.research.report import comparison, study_report
from depthbench.research.report.comparison import is_number, label, plain
from depthbench.research.report.published import Made
from depthbench.research.study.declaration import Row, Study

HARDWARE = ("platform", "device", "processor", "cores")
RESOLUTION = 1e-6  # of a column's largest number: what is less is 0 at its scale


class Difference(NamedTuple):
    """How far two numbers are apart, as a share of the larger; inf where one is none."""

    share: float
    column: str = ""
    cell: str = ""
    before: Any = None
    after: Any = None


class Reproduction(NamedTuple):
    """equal, verdicts: claims, and rows, whose verdicts are equal, and all of them.

    A row's verdict is its status and, where it has one, its column `verdict`.
    others: (what is judged, the committed verdict, ours), where they differ.
    left_out: timings and the claims that read them, on other hardware; and claims that
      one side's rows say nothing of, as they lack a column.
    added: columns that only one side has.
    """

    study: str
    equal: dict[str, int]
    verdicts: dict[str, int]
    others: list[tuple[str, str, str]]
    identical: int
    largest: Difference | None
    left_out: list[str]
    added: list[str]


def of(study: Study, committed: Made, ours: Made) -> Reproduction:
    """What came out again. Both have the same cells."""
    settings = tuple(study.axes)
    timed = any(
        committed.environment.get(n) != ours.environment.get(n) for n in HARDWARE
    )
    apart = study.timings if timed else ()
    pairs = comparison.pairs(settings, committed.rows, ours.rows)
    claims, left_out = judged(study, committed.rows, ours.rows, apart)
    rows = [(label(settings, a), word_of(a), word_of(b)) for a, b in pairs]
    names = [set().union(*(row for row in made.rows)) for made in (committed, ours)]
    columns = names[0] & names[1] - {*settings, *apart, *comparison.WORDS}
    return Reproduction(
        study.name,
        {"claims": _equal(claims), "rows": _equal(rows)},
        {"claims": len(claims), "rows": len(rows)},
        [line for line in (*claims, *rows) if line[1] != line[2]],
        sum(all(_same(a, b, n) for n in columns) for a, b in pairs),
        largest(settings, pairs, columns),
        [*(n for n in apart if n in names[0]), *left_out],
        sorted((names[0] ^ names[1]) - {"id", *comparison.WORDS}),
    )


def _equal(lines: Iterable[tuple[str, str, str]]) -> int:
    return sum(before == after for _, before, after in lines)


def _same(a: Row, b: Row, name: str) -> bool:
    return plain(a.get(name)) == plain(b.get(name))


def word_of(row: Row) -> str:
    """A row's verdict: how it ended, and what it says of its net."""
    return " ".join(
        str(row[n]) for n in ("status", "verdict") if row.get(n) is not None
    )


def judged(study: Study, before: Sequence[Row], after: Sequence[Row], apart: Sequence):
    """(key, committed verdict, ours) of each claim, and the claims left out.

    apart: timings that are left out, and with them the claims that need them.
    """
    lines, left_out = [], []
    both = (study_report.verdicts(study, rows) for rows in (before, after))
    for was, now in zip(*both, strict=True):
        one = study._replace(claims=(was.claim,))
        if apart and needs(one, before, apart):
            left_out.append(was.claim.key)
        elif bool(was.lacking) != bool(now.lacking):
            left_out.append(f"{was.claim.key} ({was.lacking or now.lacking})")
        else:
            lines.append((was.claim.key, was.word, now.word))
    return lines, left_out


def needs(study: Study, rows: Sequence[Row], apart: Sequence[str]) -> bool:
    """Whether a study's verdicts are others, or none, without some columns."""
    without = [{n: v for n, v in row.items() if n not in apart} for row in rows]
    points = [
        repr([(v.word, v.points) for v in study_report.verdicts(study, each)])
        for each in (rows, without)
    ]
    return points[0] != points[1]


def largest(
    settings: Sequence[str], pairs: Sequence[tuple[Row, Row]], columns: Iterable[str]
) -> Difference | None:
    """The largest difference of a number in these columns; None where all are equal."""
    worst = None
    for name in sorted(columns):
        values = [row.get(name) for pair in pairs for row in pair]
        scale = max(
            (abs(v) for v in values if v is not None and is_number(v)), default=0
        )
        for a, b in pairs:
            if _same(a, b, name):
                continue
            share = apart_by(a.get(name), b.get(name), RESOLUTION * scale)
            if share is not None and (worst is None or share > worst.share):
                worst = Difference(
                    share, name, label(settings, a), a.get(name), b.get(name)
                )
    return worst


def apart_by(before: Any, after: Any, resolution: float) -> float | None:
    """The difference as a share of the larger, inf where only one is a number.

    None of texts, and of what lies within the resolution.
    """
    if is_number(before) and is_number(after):
        apart = abs(before - after)
        return apart / max(abs(before), abs(after)) if apart > resolution else None
    return math.inf if is_number(before) or is_number(after) else None
