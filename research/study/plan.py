"""The planner: from a study and the cells of a run to units of work, always the same."""

import importlib
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

from depthbench.research.study.declaration import Cell, Measured, Study, Unit
from depthbench.research.study.studies import studies


def units(study: Study, cells: Sequence[Cell], data_dir: str = "") -> list[Unit]:
    """The units of a run, in the order in which they are to be begun.

    data_dir: the folder that prepared data lie in.
    """
    plan = study.plan
    program = plan.program or plan.group or (lambda cell: None)
    alike = grouped(cells, program)
    shared = {key: plan.shared(members, cells) for key, members in alike.items()}
    groups = list(grouped(cells, plan.group).values()) if plan.group else None
    parts = share_out(groups, plan.split) if groups else [[cell] for cell in cells]
    planned = []
    for part in parts:
        key = program(part[0])
        cost = plan.cost(placed(part, data_dir), shared[key])
        unit = Unit(study.name, tuple(part), shared[key], key, cost, data_dir)
        planned.append(unit)
    return sorted(planned, key=plan.priority) if plan.priority else planned


def placed(cells: Sequence[Cell], data_dir: str) -> list[Cell]:
    """The cells, each with the folder that its data lie in, where one is named."""
    more: Cell = {"data_dir": data_dir} if data_dir else {}
    return [{**cell, **more} for cell in cells]


def grouped(
    cells: Sequence[Any], key: Callable[[Any], Hashable]
) -> dict[Hashable, list[Any]]:
    """Cells by their key, both in the order in which they come."""
    groups: dict[Hashable, list[Any]] = {}
    for cell in cells:
        groups.setdefault(key(cell), []).append(cell)
    return groups


def share_out(groups: Sequence[list[Any]], parts: int) -> list[list[Any]]:
    """The groups; a lone one is shared out in so many parts.

    >>> share_out([["a", "b", "c"]], 2)
    [['a', 'c'], ['b']]
    """
    if len(groups) > 1:
        return list(groups)
    (group,) = groups
    return [part for n in range(parts) if (part := group[n::parts])]


def all_but(*names: str) -> Callable[[Cell], Hashable]:
    """A group for cells that differ in these axes alone.

    >>> all_but("depth")({"depth": 4, "width": 8})
    (8,)
    """
    return lambda cell: tuple(v for name, v in cell.items() if name not in names)


def longest_first(unit: Unit) -> float:
    """A priority: no worker is left with a long unit alone at the end."""
    return -unit.cost.seconds


def measure(unit: Unit, memory: int) -> Sequence[Measured]:
    """One Measured for each cell, by the function that the unit's study names.

    memory: bytes that may be used. The study is looked up by its name: a unit can be
    measured by any process that has the same code.
    """
    study = studies()[unit.study]
    cells = placed(unit.cells, unit.data_dir)
    results = resolve(study.measure)(cells, unit.shared, memory)
    return list(map(with_score, results)) if study.summary else results


def with_score(one: Measured) -> Measured:
    """A system's result; without a score, which is what headlines, pictures and claims
    are of, it has diverged.

    >>> with_score(Measured("ok", "", {"score": None})).status
    'diverged'
    """
    if one.status == "ok" and one.values.get("score") is None:
        return one._replace(status="diverged", reason="its score is not finite")
    return one


def resolve(name: str) -> Any:
    """What "module:name" names: a function, or a list of entries."""
    module, _, inner = name.partition(":")
    return getattr(importlib.import_module(module), inner)


def listed(name: str) -> list[Any]:
    """What a folder's files list, file by file: "package.in_*:NAME" names the lists."""
    pattern, _, inner = name.partition(":")
    package, _, stem = pattern.rpartition(".")
    (folder,) = importlib.import_module(package).__path__
    entries = []
    for module in sorted(path.stem for path in Path(folder).glob(f"{stem}.py")):
        entries += getattr(importlib.import_module(f"{package}.{module}"), inner)
    return entries
