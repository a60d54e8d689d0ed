"""Grids that a best setting is at the edge of, made wider: cells beyond the edge.

Where an axis of a study's cells is one of settings of which each method has its best, a
best one at the edge says that the grid is too small, and nothing of the method. The next
setting beyond the edge, at the same ratio, is then a cell of the run too, until the best
is at the edge no longer, or `MOST` were added on that side.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from depthbench.research.learning import selection
from depthbench.research.study.declaration import Cell, Row, Study
from depthbench.research.study.plan import grouped

MOST = selection.MOST


def widens(study: Study, size: str, typed: Collection[str]) -> bool:
    """Whether a run's grid may be made wider.

    Values that were typed are taken as they are, and so are the few of a smoke run, whose
    verdicts mean nothing.
    """
    return bool(study.sweep and size != "smoke" and study.sweep.axis not in typed)


def widened(
    study: Study, cells: Sequence[Cell], rows: Sequence[Row]
) -> tuple[list[Cell], list[Cell]]:
    """(cells beyond the grid's edges that have rows, those that are to be run now).

    cells: the grid. rows: of whatever has been run. Nothing is to be run now before all
    of the grid has rows, nor where no best setting is at an edge.
    """
    by_cell = {_key(study, row): row for row in rows}
    known, wanted = [], list(cells)
    while all(_key(study, cell) in by_cell for cell in wanted):
        known += wanted
        seen = [by_cell[_key(study, cell)] for cell in known]
        wanted = _beyond(study, cells, seen)
        if not wanted:
            break
    return known[len(cells) :], wanted if known else []


def most(study: Study, cells: Sequence[Cell]) -> int:
    """The number of cells that could be added to a grid, at most."""
    return 2 * MOST * len(_lines(study, cells)) if study.sweep else 0


def _ran(row: Row) -> bool:
    """Whether runs were made, however they ended."""
    return row.get("first_loss") is not None


def _key(study: Study, settings: Mapping[str, Any]) -> str:
    return json.dumps([settings.get(name) for name in study.axes])


def _lines(study: Study, cells: Sequence[Mapping[str, Any]]) -> dict[Any, list[Any]]:
    """Cells, or rows, that differ in the swept axis alone."""
    assert study.sweep
    names = [name for name in study.axes if name != study.sweep.axis]
    return grouped(cells, lambda cell: tuple(cell.get(name) for name in names))


def _beyond(study: Study, cells: Sequence[Cell], rows: Sequence[Row]) -> list[Cell]:
    """One further cell for each method whose best setting is at the edge of its line."""
    assert study.sweep
    axis, by, choose = study.sweep
    lines = {id(row): line for line in _lines(study, rows).values() for row in line}
    grid = [float(value) for cell in cells if (value := cell[axis]) is not None]
    further = []
    for group in grouped(rows, by).values():
        measured = [row for row in group if _ran(row)]
        if not measured:
            continue
        outcomes = [selection.outcome(row) for row in measured]
        best = measured[selection.best(outcomes, choose)]
        line = [row for row in lines[id(best)] if _ran(row)]
        tried = [row[axis] for row in line]
        of_line = [selection.outcome(row) for row in line]
        beyond = selection.beyond(grid, tried, of_line, choose, MOST)
        if beyond is not None:
            further.append(study.cell(best) | {axis: beyond})
    return further
