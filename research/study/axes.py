"""Axes of a study: what can vary, which values are allowed, how they are typed."""

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from research.catalogues.catalogue import Catalogue, UnknownName, nearest
from research.study.errors import Refusal

Value = str | int | float | None


class Axis(NamedTuple):
    """One setting that may take several values in a run.

    values: the standard ones. `choices` names the allowed ones, or `kind` and the
    bounds (inclusive) do. A single axis takes one value in a run. None among the values
    stands for "not set", typed as "default".
    """

    help: str
    values: tuple[Value, ...]
    choices: Catalogue | None = None
    kind: Literal["name", "integer", "number"] = "name"
    low: float = -math.inf
    high: float = math.inf
    single: bool = False

    def parse(self, flag: str, text: str) -> tuple[Value, ...]:
        """The values typed as "a,b,c", in order and without repeats.

        Raises Refusal with the value, what is allowed and the nearest match.
        """
        parts = [part.strip() for part in text.split(",")]
        if self.choices is not None and parts == ["all"] and not self.single:
            return tuple(self.choices)
        values = tuple(dict.fromkeys(self._value(flag, part) for part in parts))
        if self.single and len(values) > 1:
            raise Refusal(f"{flag} takes one value, not {len(values)}: {text!r}")
        return values

    def _value(self, flag: str, text: str) -> Value:
        if text == "default" and None in self.values:
            return None
        if self.choices is not None:
            try:
                return self.choices[text].name
            except UnknownName as error:
                raise Refusal(f"{flag}: {error}") from None
        try:
            value = int(text) if self.kind == "integer" else float(text)
        except ValueError:
            raise Refusal(f"{flag} {text!r}: {self._allowed()}") from None
        if not (self.low <= value <= self.high) or not math.isfinite(value):
            raise Refusal(f"{flag} {text}: {self._allowed()}")
        return value

    def _allowed(self) -> str:
        what = "a whole number" if self.kind == "integer" else "a number"
        if math.isfinite(self.high):
            return f"must be {what} from {self.low:g} to {self.high:g}"
        return f"must be {what} of at least {self.low:g}"


def flag_of(name: str) -> str:
    """The command-line flag of an axis.

    >>> flag_of("sigma_w2")
    '--sigma-w2'
    """
    return "--" + name.replace("_", "-")


def check_names(given: Mapping[str, Any], allowed: Mapping[str, Any], what: str):
    """Raises Refusal for the first name that is not allowed."""
    for name in given:
        if name not in allowed:
            raise Refusal(f"unknown {what} {name!r}: {nearest(name, allowed)}")
