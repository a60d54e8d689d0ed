"""Rows of two cells that differ in one setting: of two methods, or of two depths."""

from collections.abc import Mapping, Sequence
from typing import Any

from depthbench.experiments import comparisons
from depthbench.experiments.training import pairs
from depthbench.research.study.declaration import Row

Seen = Mapping[str, Any]  # a row, as claims see it


def by(rows: Sequence[Seen], every: Sequence[str], one: str) -> list[dict[Any, Seen]]:
    """Rows in groups that differ in `one` of the settings alone, by its value."""
    groups: dict[tuple, dict[Any, Seen]] = {}
    for row in rows:
        key = tuple(row[name] for name in every if name != one)
        groups.setdefault(key, {})[row[one]] = row
    return list(groups.values())


def difference(one: Seen, other: Seen, of: str = "score") -> Row:
    """The first's row, and by how much a column of it is above the second's: `gap`."""
    both = pairs.joint([dict(one), dict(other)])
    return {**one, **both, **comparisons.apart(one, other, of)}


def values(
    rows: Sequence[Seen], every: Sequence[str], axis: str, first: Any, second: Any
) -> list[Row]:
    """The first value's score less the second's, for all that both were measured of."""
    groups = by(rows, every, axis)
    both = [g for g in groups if first in g and second in g]
    return [difference(group[first], group[second]) for group in both]
