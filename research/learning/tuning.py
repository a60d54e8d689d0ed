"""The best setting of a grid of several numbers, each in logarithmic steps."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from depthbench.research.learning import selection

Setting = dict[str, Any]


class Steps(NamedTuple):
    """The values of one number of a method, in logarithmic steps.

    least, most: beyond which there are none, `most` also by the examples that a fold
    leaves to learn from where the number counts some of these (`counts`).
    whole: integers.
    """

    values: tuple[float, ...]
    least: float = 0.0
    most: float = math.inf
    whole: bool = False
    counts: bool = False


def within(steps: Steps, learns: int) -> Steps:
    """The steps that so many examples to learn from allow.

    >>> within(Steps((1, 3, 9), counts=True), 4).values
    (1, 3)
    """
    most = min(steps.most, learns) if steps.counts else steps.most
    values = tuple(value for value in steps.values if value <= most)
    return steps._replace(values=values or steps.values[:1], most=most)


def tuned(
    grid: Mapping[str, Steps],
    outcome: Callable[[Setting], selection.Outcome],
    by: selection.By,
) -> tuple[Setting, bool]:
    """(the best setting of a grid, whether it is at an edge that could be passed).

    Where it is at the edge of one number's values, further ones are tried with the other
    numbers as they are, at most `selection.MOST` at each end.

    >>> def apart(setting):
    ...     return selection.Outcome(loss=1 + abs(math.log10(setting["penalty"]) - 2))
    >>> tuned({"penalty": Steps((0.1, 1.0))}, apart, "loss")
    ({'penalty': 100.0}, False)
    """
    names = list(grid)
    tried: dict[tuple[float, ...], selection.Outcome] = {}

    def attempt(place: tuple[float, ...]) -> None:
        tried[place] = outcome(dict(zip(names, place, strict=True)))

    for place in itertools.product(*(grid[name].values for name in names)):
        attempt(place)
    while True:
        best = list(tried)[selection.best(list(tried.values()), by)]
        lines = [_line(tried, best, axis) for axis in range(len(names))]
        further = (
            _further(grid[name], best, axis, line, by)
            for axis, (name, line) in enumerate(zip(names, lines, strict=True))
        )
        place = next((place for place in further if place), None)
        if place is None:
            break
        attempt(place)
    edge = any(
        _open(grid[name], best[axis], line)
        and selection.at_edge(list(line), list(line.values()), by)
        for axis, (name, line) in enumerate(zip(names, lines, strict=True))
    )
    return dict(zip(names, best, strict=True)), edge


def _line(tried, best, axis) -> dict[float, selection.Outcome]:
    """The outcomes along one number, by its value, with the others as the best has them."""
    rest = best[:axis] + best[axis + 1 :]
    return {
        place[axis]: outcome
        for place, outcome in tried.items()
        if place[:axis] + place[axis + 1 :] == rest
    }


def _further(steps: Steps, best, axis, line, by) -> tuple[float, ...] | None:
    """The best setting with its next value beyond the edge, if there is one to try."""
    if not _open(steps, best[axis], line):
        return None
    value = selection.beyond(
        steps.values, list(line), list(line.values()), by, selection.MOST
    )
    if value is None:
        return None
    value = round(value) if steps.whole else value
    return (*best[:axis], value, *best[axis + 1 :])


def _open(steps: Steps, value: float, line: Mapping[float, Any]) -> bool:
    """Whether the method has values one step beyond this one, on its side."""
    ends = sorted(steps.values)
    if len(ends) < 2:
        return False
    if value == max(line):
        return value * ends[-1] / ends[-2] <= steps.most
    return value * ends[0] / ends[1] >= steps.least
