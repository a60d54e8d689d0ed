"""Tables: what a study's author makes from rows, to be shown in any form."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple


class Mark(NamedTuple):
    """A table entry that stands out: bad (red), warning (yellow), good (green), dim."""

    text: str
    tone: str


class Table(NamedTuple):
    """A titled table; entries are strings or Marks; the first column is a label."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str | Mark, ...], ...]


def number(value: Any, digits: int = 3) -> str:
    """A short readable form: numbers to `digits` figures, "-" for what is not there.

    >>> number(-0.150512), number(None), number(1024)
    ('-0.151', '-', '1024')
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if value == int(value) and abs(value) < 1e6:
            return str(int(value))
        return f"{value:.{digits}g}"
    return str(value)


def flat(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], title: str = ""):
    """A table with one line for each row."""
    body = tuple(tuple(number(row.get(c)) for c in columns) for row in rows)
    return Table(title, tuple(columns), body)
