"""Units of training runs: from a study's cells to calls of `learning.training`."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from depthbench.research.catalogues.optimizers import tried
from depthbench.research.lazy import lazily
from depthbench.research.learning import recipe
from depthbench.research.learning.recipe import DEFAULTS as DEFAULTS
from depthbench.research.study import families
from depthbench.research.study.declaration import Cell, Cost, Measured, Plan, Unit

with lazily():
    from depthbench.research.learning import training

COPIES = 5  # of the parameters: themselves, gradient, step, two averages


def plan(
    settings: Callable[[Cell], dict[str, Any]],
    priority: Callable[[Unit], Any] | None = None,
) -> Plan:
    """Units of cells that one compiled program trains; `measure` measures them.

    settings: what to add to DEFAULTS for a cell; `steps` must be there.
    """
    full = functools.partial(_full, settings)
    return Plan(
        group=lambda cell: recipe.compiled(full(cell)),
        cost=lambda cells, shared: cost([full(cell) for cell in cells]),
        priority=priority,
        # One program's runs are shared by two workers where there is no other for them.
        split=2,
    )


def measure(
    cells: Sequence[Cell],
    memory: int,
    settings: Callable[[Cell], dict[str, Any]],
    finish: Callable[[Cell, Any], Measured],
    target: float = 0.9,
) -> list[Measured]:
    """One Measured for each cell of a unit.

    Of a tuple of learning rates all are tried, and the best one's row is the cell's.
    finish: a cell's row, from the cell and what its training measured.
    """
    results = train([_full(settings, cell) for cell in cells], memory, target)
    return [finish(cell, r) for cell, r in zip(cells, results, strict=True)]


def _full(settings: Callable[[Cell], dict[str, Any]], cell: Cell) -> dict[str, Any]:
    return {**DEFAULTS, **cell, **settings(cell)}


def train(
    fulls: Sequence[dict[str, Any]], memory: int, target: float
) -> list[Measured]:
    """A Measured for each of the settings, which share one program."""
    at_a_time = max(1, memory // cost(fulls).memory)
    return training.measure(fulls, at_a_time, target)


def cost(fulls: Sequence[dict[str, Any]]) -> Cost:
    """The estimate for settings that share one program."""
    one = families.cost(fulls[0], fulls[0]["depth"])
    runs = sum(full["seeds"] * len(tried(full["learning_rate"])) for full in fulls)
    work = fulls[0]["steps"] * fulls[0]["depth"] * one.layer_seconds
    memory = COPIES * one.memory
    return Cost(memory, peak=memory * runs, seconds=runs * work)
