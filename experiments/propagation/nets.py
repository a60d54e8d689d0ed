"""Random nets at initialisation: what the experiments of this folder sample."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from research.catalogues.initializers import INITIALIZERS
from research.lazy import lazily
from research.study import families
from research.study.declaration import Cell, Measured, Unit

with lazily():
    from research.signal import measurement

DEFAULTS = {
    "architecture": "mlp",
    "initializer": "free",
    "normalizer": "none",
    "batch": 8,
    "dataset": "digits",
    "sigma_w2": None,
    "sigma_b2": None,
}


def plan(
    cells: Sequence[Cell],
    settings: Callable[[Cell], dict[str, Any]],
    finish: Callable[[Cell, Any], Measured],
    member: str = "member",
    activations: tuple[str, ...] = (),
) -> list[Unit]:
    """One unit for each program, activation, depth and draw, in the cells' order.

    settings: what to add to DEFAULTS for a cell. finish: its row, from the cell and a
    `measurement.Result`. member: the function of `propagation` that sets its variances.
    activations: what the programs are compiled for, if more than the cells have.
    """
    groups: dict[tuple, list[tuple[Cell, dict]]] = {}
    for cell in cells:
        full = {**DEFAULTS, **cell, **settings(cell)}
        names = ("architecture", "normalizer", "width", "batch", "dataset", "seeds")
        program = tuple(full[name] for name in names)
        draw = INITIALIZERS[full["initializer"]].draw
        key = (program, full["activation"], full["depth"], draw)
        groups.setdefault(key, []).append((cell, full))
    activations = activations or tuple(dict.fromkeys(key[1] for key in groups))
    deepest: dict[tuple, int] = {}
    for program, _, depth, _ in groups:
        deepest[program] = max(depth, deepest.get(program, 0))
    units = []
    for (program, _, depth, _), pairs in groups.items():
        full = pairs[0][1]
        capacity = deepest[program]
        cost = families.cost(full, capacity)
        work = full["seeds"] * depth * cost.layer_seconds
        units.append(
            Unit(
                tuple(cell for cell, _ in pairs),
                program,
                memory=cost.memory,
                peak=cost.memory * full["seeds"],
                seconds=len(pairs) * work,
                run=functools.partial(
                    _run, pairs, finish, member, activations, capacity, cost.memory
                ),
            )
        )
    return units


SIDE_BY_SIDE = 32  # seeds in one call: more gain nothing, and take memory


def _run(pairs, finish, member, activations, capacity, seed, memory):
    settings = [full for _, full in pairs]
    program = measurement.program_of(settings[0], activations, capacity)
    seeds = max(1, min(settings[0]["seeds"], SIDE_BY_SIDE, memory // seed))
    of = getattr(measurement, member)
    results = measurement.measure(settings, program, seeds, of)
    return [finish(cell, r) for (cell, _), r in zip(pairs, results, strict=True)]
