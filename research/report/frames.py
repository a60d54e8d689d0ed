"""Rows as a table with types: numbers are exact, and what is missing is never 0."""

from collections.abc import Mapping, Sequence
from typing import Any

SAID = ("status", "reason")  # after what a row is
INFINITE = {"inf": float("inf"), "-inf": float("-inf")}  # as rows have it, in JSON
LARGEST = 2**63
# Of an axis's kind, where no row has a value of it; None is missing in all of them.
KINDS = {"integer": "Int64", "number": "float64", "name": "string", "text": "string"}


def typed(rows: Sequence[Mapping[str, Any]], first: Mapping[str, str]) -> Any:
    """A pandas DataFrame of rows, one each.

    first: the columns that say what a row is, each with its kind: they come first, then
    its status and why, then all others. Whole numbers and truth values are such, also
    where some are missing; what has words and numbers in it is words.
    Raises ModuleNotFoundError where there is no pandas.
    """
    import pandas

    names = dict.fromkeys(name for row in rows for name in row)
    ordered = [name for name in (*first, *SAID) if name in names]
    ordered += [name for name in names if name not in ordered]
    columns = {}
    for name in ordered:
        values = [row.get(name) for row in rows]
        dtype = dtype_of(values, KINDS.get(first.get(name, ""), "float64"))
        columns[name] = pandas.array(_as(values, dtype), dtype=dtype)
    return pandas.DataFrame(columns)


def dtype_of(values: Sequence[Any], unknown: str = "float64") -> str:
    """The pandas type that has all values exactly. unknown: of a column without any.

    >>> dtype_of([1, None]), dtype_of([1, 0.5, "inf"]), dtype_of([True]), dtype_of(["a", 1])
    ('Int64', 'float64', 'bool', 'string')
    """
    there = [value for value in values if value is not None]
    missing = len(there) < len(values)
    if not there:
        return unknown
    if all(isinstance(value, bool) for value in there):
        return "boolean" if missing else "bool"
    numbers = [INFINITE.get(v, v) if isinstance(v, str) else v for v in there]
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in numbers):
        return "string"
    if all(isinstance(value, int) for value in numbers):
        inside = all(-LARGEST <= value < LARGEST for value in numbers)
        return ("Int64" if missing else "int64") if inside else "string"
    exact = all(isinstance(v, float) or float(v) == v for v in numbers)
    return "float64" if exact else "string"


def _as(values: Sequence[Any], dtype: str) -> list[Any]:
    """The values as a column of that type takes them."""
    if dtype == "float64":
        numbers = [INFINITE.get(v, v) if isinstance(v, str) else v for v in values]
        return [float("nan") if v is None else float(v) for v in numbers]
    if dtype == "string":
        return [v if v is None else str(v) for v in values]
    return list(values)
