"""Tables: what a study's author makes from rows, to be shown in any form."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

RESOLUTION = 6  # figures: what is beyond them differs between machines


class Mark(NamedTuple):
    """A table entry that stands out: bad (red), warning (yellow), good (green), dim."""

    text: str
    tone: str


class Table(NamedTuple):
    """A titled table; entries are strings or Marks; the first column is a label.

    note: a sentence that is said of all lines, above them.
    """

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str | Mark, ...], ...]
    note: str = ""


NEGLIGIBLE = 1e-12  # beside 1: what sums in double precision leave of 0


def number(value: Any, digits: int = 3, scale: float = 1.0) -> str:
    """A short readable form: numbers to `digits` figures, "-" for what is not there.

    scale: of what the number stands beside; what is NEGLIGIBLE there is 0.

    >>> number(-0.150512), number(None), number(1024), number(-2.4e-17)
    ('-0.151', '-', '1024', '0')
    >>> number(float("-inf")), number(float("nan"))
    ('-∞', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if not math.isfinite(value):
            return "-" if math.isnan(value) else "∞" if value > 0 else "-∞"
        if abs(value) < NEGLIGIBLE * scale:
            return "0"
        if value == int(value) and abs(value) < 1e6:
            return str(int(value))
        return f"{value:.{digits}g}"
    return str(value)


def ranged(
    value: Any,
    low: Any,
    high: Any,
    digits: int = 3,
    ends: int | None = None,
    form: str = "g",
    word: str = "–",
) -> str:
    """A number and its range, with digits enough that ends which differ look different.

    digits, ends: as many as there are at least, of the number and of the ends: figures,
    or decimals where `form` is "f". Without a range the number alone.

    >>> ranged(286.4, 285.1, 288.0, ends=2), ranged(1.0, 0.9996, 1.0004, 2, form="f")
    ('286 (285–288)', '1.0000 (0.9996–1.0004)')
    """
    if not all(isinstance(end, int | float) for end in (value, low, high)):
        return number(value, digits)
    ends = digits if ends is None else ends
    if form == "g":  # no exponent where figures are left out before the point
        whole = max(_figures(end) for end in (value, low, high))
        digits, ends = max(digits, whole), max(ends, whole)
    write = {
        "g": lambda v, count: number(float(v), count),
        "f": lambda v, count: f"{v:.{count}f}",
    }[form]
    counts = range(ends, max(ends, RESOLUTION) + 1)
    apart = (count for count in counts if write(low, count) != write(high, count))
    ends = next(apart, ends)
    shown = write(value, max(digits, ends))
    return f"{shown} ({write(low, ends)}{word}{write(high, ends)})"


def _figures(value: float) -> int:
    """Figures before the point, of numbers that are written without an exponent."""
    size = abs(value)
    return len(str(round(size))) if 1 <= size < 1e6 else 0


def with_error(value: float | None, error: float | None, form: str = ".3f") -> str:
    """A value and its standard error, in this form: "+0.50 ± 0.02".

    An interval has a width: an error that the form would show as 0 is shown to one
    figure, and one that is 0 as "exactly". None, as of one seed, is left out.

    >>> with_error(0.5, 0.02, "+.2f"), with_error(0.5, 0.002, ".2f")
    ('+0.50 ± 0.02', '0.50 ± 0.002')
    >>> with_error(0.5, 0.0, ".2f"), with_error(0.5, None, ".2f")
    ('0.50 exactly', '0.50')
    """
    if value is None:
        return "-"
    text = format(value, form)
    if error is None:
        return text
    if abs(error) < NEGLIGIBLE:
        return f"{text} exactly"
    shown = format(error, form.lstrip("+"))
    return f"{text} ± {shown if float(shown) else format(error, '.1g')}"


def flat(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], title: str = ""):
    """A table with one line for each row."""
    body = tuple(tuple(number(row.get(c)) for c in columns) for row in rows)
    return Table(title, tuple(columns), body)
