"""csv:FILE:LABEL: a user's table of numbers, of which one column is the label.

Read row by row by the standard library's reader: the first bad row is named by its line,
as an editor counts them.
"""

import csv
import io
import math
import os
from array import array
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from depthbench.research.catalogues import axes
from depthbench.research.catalogues.catalogue import nearest
from depthbench.research.datasets import user_parts
from depthbench.research.datasets.contract import IN_MEMORY, DataError, Dataset, Splits

PIECE = 2**20  # numbers that are taken in float64 at a time
ROW = 128  # bytes that a row takes beside its numbers, about
TEXT = 4 * IN_MEMORY  # bytes of a file, at most: of numbers with some seven digits
LONGEST = 200  # characters of a label: names of classes are said, and int() has a limit
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


class Rows(NamedTuple):
    """What a table holds. lines: of the rows, as an editor counts. columns: of x."""

    x: np.ndarray
    labels: list[str]
    lines: list[int]
    columns: list[str]


def contents(name: str, file: BinaryIO, label: str) -> tuple[Dataset, Splits]:
    """The declaration and the parts of an opened table. Raises DataError, OSError.

    label: the name of its column; or, without a first line of names, its number from 1.
    """
    rows = _rows(name, file, label)
    numbers = user_parts.fifth(name, len(rows.labels))
    y, names, words = _targets(name, rows, label)
    width = rows.x.shape[1]
    dataset = Dataset(name, "", (width,), len(names), "a file of yours")
    if y.dtype == np.int32:
        train, test = (y[chosen] for chosen in numbers)
        whole = all(map(axes.INTEGER.fullmatch, names))
        hint = "; numbers are written with a decimal point" if whole else ""
        user_parts.taught(name, train, test, names, hint)
    else:
        dataset = dataset._replace(task="numbers", classes=1)
    parts = [(rows.x[chosen], y[chosen]) for chosen in numbers]
    made = user_parts.splits(parts, dataset.classes)
    note = "; ".join(filter(None, (words, made.train.note)))
    return dataset, made._replace(train=made.train._replace(note=note))


# ------------------------------------------------------------------------------ rows


def _rows(name: str, file: BinaryIO, label: str) -> Rows:
    if os.fstat(file.fileno()).st_size > TEXT:
        raise _too_large(name)
    # Lines end as they do: within quotes they are part of a field.
    text = io.TextIOWrapper(file, "utf-8-sig", newline="")
    numbered = _numbered(name, text)
    try:
        _, row = next(numbered, (0, []))
        first = [field.strip() for field in row]
        place, headed = _place(name, first, label)
        columns = first if headed else [str(n + 1) for n in range(len(first))]
        del columns[place : place + 1]
        if not headed:
            text.seek(0)
            numbered = _numbered(name, text)
        return _Table(name, place, columns).read(numbered)
    finally:
        text.detach()


def _numbered(name: str, text: io.TextIOBase) -> Iterator[tuple[int, list[str]]]:
    """Rows with the lines that they begin at; empty lines at the end are none."""
    reader = csv.reader(text, strict=True, skipinitialspace=True)
    line, empty = 1, []
    try:
        for row in reader:
            if row:
                yield from ((number, []) for number in empty)
                empty.clear()
                yield line, row
            else:
                empty.append(line)
            line = reader.line_num + 1
    except UnicodeDecodeError as error:
        byte = f"byte {error.object[error.start]:#04x}, line {line} or later"
        raise DataError(f"{name}: is no text in UTF-8 ({byte})") from None
    except csv.Error as error:
        raise DataError(
            f"{name}: line {line}: is no row of a table ({error}): a quote that is not "
            "closed, or a field that is too long"
        ) from None


def _place(name: str, first: list[str], label: str) -> tuple[int, bool]:
    """The label's column, from 0, and whether the first line has names. Raises DataError.

    A first line of names has the label's, and no number but whole ones (as pandas
    writes columns without names).
    """
    if not any(first):
        raise DataError(f"{name}: its first line is empty")
    if len(first) == 1:
        kinds = [n for sign, n in OTHER_SEPARATORS.items() if sign in first[0]]
        why = f"no comma, but {kinds[0]}" if kinds else "one column"
        raise DataError(
            f"{name}: its first line has {why}: columns are separated by commas, and "
            "decimals written with points"
        )
    numbers = [axes.number(field) is not None for field in first]
    number = axes.integer(label) or 0
    if label in first and not all(numbers):
        return _named(name, first, label, numbers)
    others = [good for n, good in enumerate(numbers, 1) if n != number]
    if not all(others):
        names = user_parts.listed(first)
        raise DataError(f"{name}: no column {label!r}: {nearest(label, first, names)}")
    counted = [str(n + int(first[0] == "1")) for n in range(len(first))]
    if len(first) > 2 and first == counted:
        raise DataError(
            f"{name}: its first line counts {first[0]}, {first[1]} … {first[-1]}: if "
            "these are no example, give the columns names, or remove the line"
        )
    if not 1 <= number <= len(first):
        raise DataError(
            f"{name}: its first line has no names of columns, so the label's is a number "
            f"from 1 to {len(first)}, not {label}"
        )
    return number - 1, False


def _named(
    name: str, first: list[str], label: str, numbers: list[bool]
) -> tuple[int, bool]:
    if first.count(label) > 1:
        raise DataError(f"{name}: {first.count(label)} columns are named {label!r}")
    if "" in first:
        raise DataError(
            f"{name}: column {first.index('') + 1} has no name, as an index that pandas "
            "writes: to_csv(index=False) leaves it out"
        )
    place = first.index(label)
    plain = [
        axes.INTEGER.fullmatch(f) for f, n in zip(first, numbers, strict=True) if n
    ]
    if sum(numbers) == len(first) - 1 and not all(plain):
        raise DataError(
            f"{name}: its first line is numbers but for {label!r}: if it is an example, "
            f"name the label's column by its number, {place + 1}"
        )
    return place, True


def _too_large(name: str) -> DataError:
    return DataError(
        f"{name}: takes more than {IN_MEMORY / 2**30:g} GiB; a table is kept in memory"
    )


class _Table:
    """Rows as they are read, and which of them are bad."""

    def __init__(self, name: str, place: int, columns: list[str]):
        self.name, self.place, self.columns = name, place, columns
        self.first, self.bad, self.rows = (0, ""), 0, 0
        self.whole: list[np.ndarray] = []
        self.labels: list[str] = []
        self.lines: list[int] = []
        self.low = np.full(len(columns), np.inf)
        self.high = -self.low
        self.waiting = array("d")

    def read(self, numbered: Iterator[tuple[int, list[str]]]) -> Rows:
        """All rows. Raises DataError for the first bad one, with how many there are."""
        for line, row in numbered:
            self.rows += 1
            why = self._wrong(row)
            if why:
                self._blame(line, why)
                continue
            self.lines.append(line)
            if len(self.waiting) >= PIECE:
                self._take()
        self._take()
        if self.bad:
            line = f"line {self.first[0]}: {self.first[1]}"
            raise user_parts.first_bad(self.name, line, self.bad, self.rows, "rows")
        if not self.rows:
            raise DataError(f"{self.name}: has names of columns, and no rows")
        self._levels()
        return Rows(np.concatenate(self.whole), self.labels, self.lines, self.columns)

    def _blame(self, line: int, why: str) -> None:
        self.bad += 1
        if self.bad == 1 or line < self.first[0]:
            self.first = line, why

    def _wrong(self, row: list[str]) -> str:
        """Why a row is bad; "" for a good one, which is then taken."""
        if len(row) != len(self.columns) + 1:
            has = f"{len(row)} field{'s' * (len(row) != 1)}" if row else "nothing"
            return f"has {has}, the first line {len(self.columns) + 1}"
        label = row.pop(self.place).strip()
        if not label:
            return "has no label"
        if len(label) > LONGEST:
            return f"has a label of {len(label):,} characters, of {LONGEST} at most"
        joined = "".join(row)
        try:
            # Python also reads 1_000 and digits of other scripts.
            if "_" in joined or not joined.isascii():
                raise ValueError
            values = list(map(float, row))
        except ValueError:
            return self._no_number(row)
        if not math.isfinite(sum(values)):
            for column, value in zip(self.columns, values, strict=True):
                if not math.isfinite(value):
                    return f"column {column} is {value}"
        self.waiting.extend(values)
        self.labels.append(label)
        return ""

    def _no_number(self, row: list[str]) -> str:
        for column, field in zip(self.columns, row, strict=True):
            if not field.strip():
                return f"column {column} is missing"
            if axes.number(field.strip()) is None and not _number(field):
                return f"column {column} is {_short(field)!r}, no number"
        return "has what is no number"

    def _take(self) -> None:
        """Moves the rows that wait into float32."""
        width = len(self.columns)
        rows = np.frombuffer(self.waiting, np.float64).reshape(-1, width)
        if not len(rows):
            return
        large = user_parts.unusable(rows)
        if large.any():
            of_rows = self.lines[-len(rows) :]
            for number in np.flatnonzero(large):
                column = int(np.argmax(np.abs(rows[number])))
                why = f"column {self.columns[column]} is too large for float32"
                self._blame(of_rows[number], why)
        self.low = np.minimum(self.low, rows.min(axis=0))
        self.high = np.maximum(self.high, rows.max(axis=0))
        self.whole.append(rows.astype(np.float32) if not large.any() else rows[:0])
        if len(self.lines) * (width * 4 + ROW) > IN_MEMORY:
            raise _too_large(self.name)
        self.waiting = array("d")

    def _levels(self) -> None:
        columns = user_parts.flattened(np.stack([self.low, self.high]))
        if columns:
            raise DataError(
                f"{self.name}: column {self.columns[columns[0]]} differs by less "
                "than float32 can tell at its size: subtract what its numbers have in "
                "common"
            )


def _number(field: str) -> bool:
    """Whether Python reads a plain field as a number, NaN and infinity too."""
    try:
        float(field)
    except ValueError:
        return False
    return field.isascii() and "_" not in field


def _short(field: str) -> str:
    return field if len(field) <= 40 else f"{field[:40]}…"


# ---------------------------------------------------------------------------- labels


def _targets(name: str, rows: Rows, label: str) -> tuple[np.ndarray, list[str], str]:
    """(y, names of classes, what was made of the labels). Raises DataError.

    Whole numbers and text are classes, in sorted order; where all are numbers and one
    has a point or an exponent, they are numbers.
    """
    distinct = set(rows.labels)
    if all(map(axes.INTEGER.fullmatch, distinct)):
        numbers = sorted({int(text) for text in distinct})
        places = {number: place for place, number in enumerate(numbers)}
        return _classes(
            name,
            [places[int(text)] for text in rows.labels],
            [str(number) for number in numbers],
        )
    good = {text for text in distinct if axes.number(text) is not None}
    bad = [place for place, text in enumerate(rows.labels) if text not in good]
    if not bad:
        return _numbers(name, rows, label)
    if 2 * len(bad) < len(rows.labels):
        line = (
            f"line {rows.lines[bad[0]]}: the label {_short(rows.labels[bad[0]])!r} is no "
            "number, as most are"
        )
        raise user_parts.first_bad(name, line, len(bad), len(rows.labels), "rows")
    names = sorted(distinct)
    places = {text: place for place, text in enumerate(names)}
    return _classes(name, [places[text] for text in rows.labels], names)


def _classes(
    name: str, places: list[int], names: list[str]
) -> tuple[np.ndarray, list[str], str]:
    user_parts.one_class(name, names)
    return (
        np.asarray(places, np.int32),
        names,
        f"classes {user_parts.listed(names)}",
    )


def _numbers(name: str, rows: Rows, label: str) -> tuple[np.ndarray, list[str], str]:
    values = np.asarray([float(text) for text in rows.labels])
    bad = user_parts.unusable(values)
    if bad.any():
        line = f"line {rows.lines[int(np.argmax(bad))]}: its label is too large for float32"
        raise user_parts.first_bad(name, line, int(bad.sum()), len(bad), "rows")
    words = f"{label} of mean {values.mean():.3g}, deviation {values.std():.3g}"
    return values.astype(np.float32)[:, None], [], words
