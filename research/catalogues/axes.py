"""Axes: what can vary, which values are allowed, how flags are parsed."""

import math
import re
from typing import Any, Literal, NamedTuple

from depthbench.research.catalogues.catalogue import Catalogue, DataError, Mistake

Value = str | int | float | None


class Axis(NamedTuple):
    """One setting that may take several values in a run.

    values: the standard ones. `choices` names the allowed ones, or `kind` and the
    bounds do, of which `low` and `high` are allowed themselves, `above` and `below` are
    not; text may be any. A single axis takes one value in a run. None
    among the values stands for "not set", typed as "default".
    implied: the value of a cell that names none: of an axis that came after there were
    rows, whose names, columns and reports stay as they were. adds: the columns that rows
    of its other values have.
    """

    help: str
    values: tuple[Value, ...]
    choices: Catalogue | None = None
    kind: Literal["name", "integer", "number", "text"] = "name"
    low: float = -math.inf
    high: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    single: bool = False
    implied: Value = None
    adds: tuple[str, ...] = ()

    def parse(self, flag: str, text: str) -> tuple[Value, ...]:
        """The values typed as "a,b,c", in order and without repeats.

        Raises Mistake with the value, what is allowed and the nearest match.

        >>> Axis("layers", (1,), kind="integer", low=1).parse("--depth", "4,64,4")
        (4, 64)
        """
        whole = self.kind == "text" and self.single  # a path may have commas
        parts = [text.strip()] if whole else items(flag, text)
        if self.choices is not None and parts == ["all"] and not self.single:
            return tuple(self.choices)
        values = tuple(dict.fromkeys(self._value(flag, part) for part in parts))
        if self.single and len(values) > 1:
            raise Mistake(f"{flag} takes one value, not {len(values)}: {text!r}")
        return values

    def _value(self, flag: str, text: str) -> Value:
        if text == "default" and None in self.values:
            return None
        if self.choices is not None:
            try:
                return self.choices.written(text)
            except DataError:
                raise
            except Mistake as error:
                raise Mistake(f"{flag}: {error}") from None
        if self.kind == "text":
            return text
        value = integer(text) if self.kind == "integer" else number(text)
        if value is None:
            raise Mistake(f"{flag} {text!r}: {self._allowed()}")
        if not self._contains(value):
            raise Mistake(f"{flag} {text}: {self._allowed()}")
        return value

    def wrong(self, value: Any) -> str:
        """Why a value that was read from a file is none of the axis's; "" if it is one.

        >>> Axis("layers", (1,), kind="integer", low=1).wrong("4")
        "'4': must be a whole number of at least 1"
        """
        if value is None and None in self.values:
            return ""
        if self.choices is not None or self.kind == "text":
            # Text beside a catalogue may name what is not on this machine.
            text = isinstance(value, str) and self.kind == "text"
            known = text or (self.choices is not None and value in self.choices)
            return "" if known else f"{value!r}: is not known"
        kinds = (int,) if self.kind == "integer" else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            return f"{value!r}: {self._allowed()}"
        return "" if self._contains(value) else f"{value!r}: {self._allowed()}"

    def _contains(self, value: float) -> bool:
        inside = self.low <= value <= self.high and self.above < value < self.below
        return inside and math.isfinite(value)

    def _allowed(self) -> str:
        what = "a whole number" if self.kind == "integer" else "a number"
        if math.isfinite(self.below):
            return f"must be {what} from {self.low:g} to below {self.below:g}"
        if math.isfinite(self.above):
            return f"must be {what} above {self.above:g}, up to {self.high:g}"
        if math.isfinite(self.high):
            return f"must be {what} from {self.low:g} to {self.high:g}"
        return f"must be {what} of at least {self.low:g}"


def items(flag: str, text: str) -> list[str]:
    """The entries of "a,b,c". Raises Mistake where one is empty: of a list that has one
    missing, the default would be run, or less than was meant.

    >>> items("--depth", "4, 64")
    ['4', '64']
    """
    entries = [entry.strip() for entry in text.split(",")]
    if "" in entries:
        raise Mistake(f"{flag} {text!r}: {'an entry ' * (len(entries) > 1)}is empty")
    return entries


DIGITS = 300  # of a number: more is a slip, and what Python reads of them has a limit
INTEGER = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def integer(text: str) -> int | None:
    """The whole number that is typed as a sign and digits; None for any other text.

    >>> [integer(text) for text in ("4", "+4", "-0", "1e3", "4.0", "0x10", "1_000", "٤")]
    [4, 4, 0, None, None, None, None, None]
    """
    plain = INTEGER.fullmatch(text) and len(text) <= DIGITS
    return int(text) if plain else None


def number(text: str) -> float | None:
    """The number that is typed as decimals, with or without an exponent; None for any
    other text, and for what is no 0 and yet too small to be told from it.

    >>> [number(text) for text in ("4", "-.5", "1e-3", "nan", "1_000", "1e-400")]
    [4.0, -0.5, 0.001, None, None, None]
    """
    if not NUMBER.fullmatch(text) or len(text) > DIGITS:
        return None
    value = float(text)
    digits = text.lower().partition("e")[0]
    if value == 0:  # of -0 too: a row of it would be another than that of 0
        return None if re.search("[1-9]", digits) else 0.0
    return value


def flag_of(name: str) -> str:
    """The command-line flag of an axis.

    >>> flag_of("sigma_w2")
    '--sigma-w2'
    """
    return "--" + name.replace("_", "-")
