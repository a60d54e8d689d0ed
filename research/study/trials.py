"""Units of training runs: from a study's cells to calls of `research.trainability`."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from research.catalogues.initializers import INITIALIZERS
from research.catalogues.optimizers import tried
from research.lazy import lazily
from research.study import families
from research.study.declaration import Cell, Measured, Unit

with lazily():
    from research.learning import trainability

# What a cell that does not say otherwise is trained with.
DEFAULTS: dict[str, Any] = {
    "architecture": "mlp",
    "activation": "relu",
    "initializer": "he_normal",
    "normalizer": "none",
    "width": 64,
    "dataset": "digits",
    "data_dir": "",
    "optimizer": "adam",
    "schedule": "constant",
    "batch": 64,
    "dtype": "float32",
    "accumulate": 1,
    "loop": "scan",
    "augment": (),
    "learning_rate": None,
    "momentum": None,
    "decay": None,
    "epsilon": None,
    "weight_decay": None,
    "clip": None,
    "warmup": None,
    "sigma_w2": None,
    "sigma_b2": None,
    "seeds": 3,
}
STATIC = (
    *("architecture activation normalizer depth width dataset data_dir".split()),
    *("optimizer schedule batch dtype accumulate loop augment steps".split()),
)
COPIES = 5  # of the parameters: themselves, gradient, step, two averages


def plan(
    cells: Sequence[Cell],
    settings: Callable[[Cell], dict[str, Any]],
    finish: Callable[[Cell, Any], Measured],
    target: float = 0.9,
) -> list[Unit]:
    """Units of cells that one compiled program trains.

    settings: what to add to DEFAULTS for a cell; `steps` must be there. Of a tuple of
    learning rates all are tried, and the best one's row is the cell's.
    finish: a cell's row, from the cell and its `propagation.Result`.
    """
    groups: dict[tuple, list[tuple[Cell, dict]]] = {}
    for cell in cells:
        full = {**DEFAULTS, **cell, **settings(cell)}
        groups.setdefault(program(full), []).append((cell, full))
    units = []
    for key, pairs in groups.items():
        # One program's runs are shared by two workers where there is no other for them.
        parts = 2 if len(groups) == 1 and len(pairs) > 1 else 1
        for part in range(parts):
            units.append(_unit(key, pairs[part::parts], finish, target))
    return units


def program(full: dict[str, Any]) -> tuple:
    """What cells of one compiled program have in common."""
    draw = INITIALIZERS[full["initializer"]].draw
    return (draw, *(str(full[name]) for name in STATIC))


def _unit(key: tuple, pairs, finish, target: float) -> Unit:
    full = pairs[0][1]
    cost = families.cost(full, full["depth"])
    runs = sum(own["seeds"] * len(tried(own["learning_rate"])) for _, own in pairs)
    work = full["steps"] * full["depth"] * cost.layer_seconds
    memory = COPIES * cost.memory
    return Unit(
        tuple(cell for cell, _ in pairs),
        key,
        memory=memory,
        peak=memory * runs,
        seconds=runs * work,
        run=functools.partial(_run, pairs, finish, target, memory),
    )


def _run(pairs, finish, target: float, one: int, memory: int) -> list[Measured]:
    settings = [full for _, full in pairs]
    at_a_time = max(1, memory // one)
    results = trainability.measure(settings, at_a_time, target)
    return [finish(cell, r) for (cell, _), r in zip(pairs, results, strict=True)]
