"""Random nets at initialisation: what the experiments of this folder sample."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from depthbench.research.catalogues.initializers import INITIALIZERS
from depthbench.research.lazy import lazily
from depthbench.research.study import families
from depthbench.research.study.declaration import Cell, Cost, Measured, Plan, Shared

with lazily():
    from depthbench.research.signal import measurement

DEFAULTS = {
    "architecture": "mlp",
    "initializer": "free",
    "normalizer": "none",
    "batch": 8,
    "dataset": "digits",
    "sigma_w2": None,
    "sigma_b2": None,
}


PROGRAM = ("architecture", "normalizer", "width", "batch", "dataset", "seeds")


def plan(
    settings: Callable[[Cell], dict[str, Any]], names: Sequence[str] = PROGRAM
) -> Plan:
    """One unit for each program, activation, depth and draw; `measure` measures them.

    settings: what to add to DEFAULTS for a cell. names: of the settings that cells of one
    program share. Where the depth is not among them, shallow nets are the first layers of
    deep ones: less is compiled, and more drawn.
    """
    full = functools.partial(_full, settings)

    def program(cell: Cell) -> tuple:
        return tuple(full(cell)[name] for name in names)

    def group(cell: Cell) -> tuple:
        values = full(cell)
        draw = INITIALIZERS[values["initializer"]].draw
        return program(cell), values["activation"], values["depth"], draw

    def shared(alike: Sequence[Cell], run: Sequence[Cell]) -> dict[str, Any]:
        activations = dict.fromkeys(full(cell)["activation"] for cell in run)
        capacity = max(full(cell)["depth"] for cell in alike)
        return {"activations": list(activations), "capacity": capacity}

    def cost(cells: Sequence[Cell], shared: Shared) -> Cost:
        values = full(cells[0])
        one = families.cost(values, shared["capacity"])
        work = values["seeds"] * values["depth"] * one.layer_seconds
        return Cost(one.memory, one.memory * values["seeds"], len(cells) * work)

    return Plan(group, program, shared, cost)


def _full(settings: Callable[[Cell], dict[str, Any]], cell: Cell) -> dict[str, Any]:
    return {**DEFAULTS, **cell, **settings(cell)}


SIDE_BY_SIDE = 32  # seeds in one call: more gain nothing, and take memory


def measure(
    cells: Sequence[Cell],
    shared: Shared,
    memory: int,
    settings: Callable[[Cell], dict[str, Any]],
    finish: Callable[[Cell, Any], Measured],
    member: str = "member",
) -> list[Measured]:
    """One Measured for each cell of a unit.

    finish: a cell's row, from the cell and a `measurement.Result`. member: the function
    of `measurement` that sets its variances.
    """
    fulls = [_full(settings, cell) for cell in cells]
    activations, capacity = tuple(shared["activations"]), shared["capacity"]
    program = measurement.program_of(fulls[0], activations, capacity)
    one = families.cost(fulls[0], capacity).memory
    seeds = max(1, min(fulls[0]["seeds"], SIDE_BY_SIDE, memory // one))
    of = getattr(measurement, member)
    results = measurement.measure(fulls, program, seeds, of)
    return [finish(cell, r) for cell, r in zip(cells, results, strict=True)]
