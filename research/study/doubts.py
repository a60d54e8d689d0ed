"""Doubts: why a row's training may not have been enough, and which way more might go.

A net whose best rate is at the edge of its grid, or that was still learning, would be no
worse after more rates or steps: the best of what was tried is what is chosen. A verdict
that this could only make surer stands.
"""

from collections.abc import Mapping
from typing import Any

from depthbench.research.study.estimates import Moves

COLUMNS = ("rate_at_edge", "unfinished")  # of what was too small: the grid, the budget
EDGE = "best rate at the edge of its grid"
UNFINISHED = "still learning when its steps ended"

Seen = Mapping[str, Any]  # a row, to be judged


def of_training(row: Seen) -> str:
    """Why a verdict cannot rest on a row's training: its grid or budget was too small."""
    reasons = [EDGE] if row.get("rate_at_edge") else []
    return ", ".join(reasons + [UNFINISHED] * bool(row.get("unfinished")))


def after_steps(row: Seen) -> str:
    """The doubts of a claim on what a number of steps gives: of the choice of rates alone.

    There the paper compares losses after so many steps, of nets that are all learning.
    """
    return EDGE if row.get("rate_at_edge") else ""


def certain(row: Seen) -> str:
    """No doubt: of what is measured before any training."""
    return ""


def anywhere(row: Seen) -> Moves:
    """Further training might raise what is estimated, or lower it."""
    return Moves(up=True, down=True)


def upward(row: Seen) -> Moves:
    """Further training could only raise it: what the net's best setting is chosen by."""
    return Moves(up=True, down=False)


def downward(row: Seen) -> Moves:
    """Further training could only lower it: an error, or a loss."""
    return Moves(up=False, down=True)


def sides(one: Seen, other: Seen) -> dict[str, bool]:
    """Whether further training might make the one better, or the other, as columns.

    They are of how much better the one is, which might then rise, or fall.
    """
    rises, falls = (any(bool(row.get(n)) for n in COLUMNS) for row in (one, other))
    return {"may_rise": rises, "may_fall": falls}


def of_sides(row: Seen) -> Moves:
    """Of how much better one of two nets is: what `sides` says of them."""
    return Moves(up=bool(row["may_rise"]), down=bool(row["may_fall"]))
