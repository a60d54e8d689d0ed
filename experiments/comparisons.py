"""Two rows beside each other, as claims take them: by how much one is better."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from depthbench.experiments.training import pairs
from depthbench.research.study.declaration import Row


def apart(
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    of: str = "score",
    higher: bool = True,
) -> dict[str, float | None]:
    """By how much a row's number is better than another's, with its standard error.

    higher: whether a higher number is better. Errors are taken for independent; None
    where a row has none.
    """
    known = one.get(of) is not None and other.get(of) is not None
    errors = [row.get(f"{of}_se") for row in (one, other)]
    gap = (one[of] - other[of]) * (1 if higher else -1) if known else None
    return {
        "gap": gap,
        "gap_se": None
        if None in errors
        else math.hypot(*(error or 0.0 for error in errors)),
    }


def against(
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    by: Sequence[str],
    of: str = "score",
    higher: bool = True,
) -> Callable[[Sequence[Mapping[str, Any]]], list[Row]]:
    """From rows to a pair for each that has the settings `one`: with that which has
    `other`, and is equal `by` what is named. of, higher: as of `apart`."""

    def has(row: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
        return all(row[name] == value for name, value in settings.items())

    def key(row: Mapping[str, Any]) -> tuple:
        return tuple(row[name] for name in by)

    def compared(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        others = {key(row): row for row in rows if has(row, other)}
        found = [(r, others[key(r)]) for r in rows if has(r, one) and key(r) in others]
        return [
            {
                **pairs.joint([row, base]),
                **{name: row[name] for name in (*by, *one, "seeds")},
                **apart(row, base, of, higher),
            }
            for row, base in found
        ]

    return compared
