"""Fields of CSV files: text that a spreadsheet takes as text, read back as it was.

A text that would act or be read as something else (a formula, a number, a character that
is not seen) is written behind an apostrophe, as a spreadsheet has it too, with a backslash
before what is escaped.
"""

import csv
import io
import re
from collections.abc import Iterable
from typing import Any

from depthbench.research.files.text import visible

MARK = "'"
FORMULAS = ("=", "+", "-", "@", "＝", "＋", "－", "＠", MARK)
WORDS = {"": None, "True": True, "False": False}
ENDLESS = ("inf", "-inf", "nan")  # stay words, as strict JSON has no such numbers
_ESCAPE = re.compile(r"\\(?:[\\nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")


def written(value: Any) -> str:
    """A value as its field. `value_of` reads it, but for an empty text, which is nothing.

    >>> written(None), written(-0.5), written("tanh"), written("-0.5"), written("=1+1")
    ('', '-0.5', 'tanh', "'-0.5", "'=1+1")
    """
    if not isinstance(value, str):
        return "" if value is None else str(value)
    if value in ("", *ENDLESS) or (value_of(value) == value and not _acts(value)):
        return value
    return MARK + _escaped(value)


def name(text: str) -> str:
    """The name of a column as its field: not marked where it is a number."""
    return MARK + _escaped(text) if _acts(text) else text


def value_of(field: str) -> Any:
    """What a field stands for: numbers and truth values as such, nothing as None."""
    if field in WORDS:
        return WORDS[field]
    if field in ENDLESS:
        return field
    for kind in (int, float):
        try:
            return kind(field)
        except ValueError:
            continue
    return name_of(field)


def name_of(field: str) -> str:
    """The name of a column."""
    if not field.startswith(MARK):
        return field
    return _ESCAPE.sub(lambda match: _unescaped(match[0]), field[len(MARK) :])


def _acts(text: str) -> bool:
    return text.lstrip().startswith(FORMULAS) or visible(text) != text


def _escaped(text: str) -> str:
    return visible(text.replace("\\", "\\\\"))


def _unescaped(escape: str) -> str:
    return escape.encode("ascii").decode("unicode_escape")


def as_lines(rows: Iterable[Iterable[str]]) -> str:
    """Fields as the lines of a CSV file."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
