"""A study's committed rows of several devices, one beside the other."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from depthbench.research.report import (
    comparison,
    published,
    rendering,
    reproduction,
    study_report,
)
from depthbench.research.report.comparison import ROUNDING, is_number, plain
from depthbench.research.report.published import Made
from depthbench.research.study.claims import Verdict
from depthbench.research.study.declaration import Row, Study
from depthbench.research.study.tables import Table, number

SHOWN = 3  # columns of a first table, after its first, that a table of devices has


class Apart(NamedTuple):
    """How a column's numbers differ. beyond: None where only one side has its errors.

    missing: cells in which only one side has a number.
    """

    column: str
    both: int
    beyond: int | None
    missing: int
    largest: float
    cell: str
    values: tuple[float, float]


def beside(study: Study) -> Table:
    """The first columns of a study's first table, a column for each device, where all
    have a line."""
    tables = {
        _short(str(made.device)): study.tables(made.rows)[0]
        for made in published.of_devices(study.name).values()
    }
    lines = {
        name: {str(row[0]): _joined(row[1 : 1 + SHOWN]) for row in table.rows}
        for name, table in tables.items()
    }
    first, *others = lines.values()
    names = [name for name in first if all(name in other for other in others)]
    body = [(name, *(of[name] for of in lines.values())) for name in names]
    table = next(iter(tables.values()))
    opening, *shown = table.headers[: 1 + SHOWN]
    title = f"{table.title}; on each device: {', '.join(shown)}"
    return Table(title, (opening, *tables), tuple(body))


def _joined(entries: Sequence[Any]) -> str:
    return " ".join(map(rendering.text_of, entries))


def _short(device: str) -> str:
    """A device's name without what all of its maker's have.

    >>> _short("Intel(R) Xeon(R) Processor")
    'Intel Xeon'
    >>> _short("Intel(R) Core(TM) i7-9700K CPU @ 3.60GHz")
    'Intel Core i7-9700K CPU @ 3.60GHz'
    """
    for mark in ("(R)", "(TM)"):
        device = device.replace(mark, "")
    return device.removesuffix(" Processor")


def compared(study: Study, here: Made, there: Made) -> str:
    """How the rows of two devices differ, in Markdown: verdicts, then numbers."""
    outcome = reproduction.of(study, here, there)
    settings = tuple(name for name in study.axes if _several(name, here.rows))
    lines = [_sentence(outcome, here, there)]
    names = (str(here.device), str(there.device))
    others = tuple(_others(study, settings, here, there))
    if others:
        lines.append(_markdown(Table("", ("verdict of", *names), others)))
    apart = [_numbers(one) for one in differing(study, settings, here, there)]
    if apart:
        headers = (
            *("column", "cells", "beyond chance", "only in one"),
            *("largest difference", "at", *names),
        )
        lines.append(_markdown(Table("", headers, tuple(apart))))
    return "\n\n".join(lines)


def _markdown(table: Table) -> str:
    return rendering.as_markdown(table).strip("\n")


def _several(name: str, rows: Sequence[Row]) -> bool:
    return len({row.get(name) for row in rows}) > 1


def _sentence(outcome: reproduction.Reproduction, here: Made, there: Made) -> str:
    equal, total = outcome.equal, outcome.verdicts
    sides = " and ".join(
        f"{made.device} (jax {made.environment['jax']}{made.day}, commit "
        f"{str(made.commit)[:7]})"
        for made in (here, there)
    )
    return (
        f"{sides}: equal verdicts of {equal['rows']:,} of {total['rows']:,} cells and of "
        f"{equal['claims']} of {total['claims']} claims that both judge:"
    )


def _others(study: Study, settings: Sequence[str], here: Made, there: Made):
    """(claim or cell, both verdicts) where they differ."""
    both = (study_report.verdicts(study, made.rows) for made in (here, there))
    for claims in zip(*both, strict=True):
        if claims[0].word != claims[1].word:
            yield claims[0].claim.key, *map(_of_claim, claims)
    for rows in comparison.pairs(tuple(study.axes), here.rows, there.rows):
        words = [row.get("verdict") or row["status"] for row in rows]
        if words[0] != words[1]:
            yield comparison.label(settings, rows[0]), *words


def _of_claim(verdict: Verdict) -> str:
    """Its word, and why there is no other where rows in scope say nothing."""
    return verdict.sentence() if verdict.lacking else verdict.word


def _numbers(one: Apart) -> tuple:
    beyond = "-" if one.beyond is None else f"{one.beyond:,}"
    values = (number(value, 4) for value in one.values)
    cells = (f"{one.both:,}", beyond, f"{one.missing:,}")
    return (one.column, *cells, number(one.largest), one.cell, *values)


def differing(study: Study, settings, here: Made, there: Made) -> list[Apart]:
    """The columns whose numbers differ by more than rounding, on average over seeds."""
    pairs = comparison.pairs(tuple(study.axes), here.rows, there.rows)
    if not pairs:
        return []
    apart = (*study.axes, *study.timings)
    names = [n for n in study.columns if n in comparison.columns(*pairs[0], apart)]
    found = (_apart(name, pairs, settings) for name in names)
    return [one for one in found if one is not None]


def _apart(name: str, pairs: Sequence[tuple[Row, Row]], settings) -> Apart | None:
    """None of a column that has no numbers, or where all are equal to rounding."""
    both = [(a, b) for a, b in pairs if is_number(a[name]) and is_number(b[name])]
    if not any(_beyond_rounding(a[name], b[name]) for a, b in both):
        return None
    missing = sum(
        (plain(a[name]) is None) != (plain(b[name]) is None) for a, b in pairs
    )
    error = f"{name}_se"
    known = (error in pairs[0][0]) == (error in pairs[0][1])
    beyond = sum(not comparison.alike(a, b, name) for a, b in both) if known else None
    a, b = max(both, key=lambda pair: _distance(pair[0][name], pair[1][name]))
    values = (a[name], b[name])
    cell = comparison.label(settings, a)
    return Apart(name, len(both), beyond, missing, _distance(*values), cell, values)


def _distance(a: float, b: float) -> float:
    return 0.0 if a == b else abs(a - b)


def _beyond_rounding(a: float, b: float) -> bool:
    return _distance(a, b) > ROUNDING * max(abs(a), abs(b))
