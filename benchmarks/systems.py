"""Every system that popular accounts of deep learning name, each at its best depth.

A cell is a study of a system, run whole at this run's size; its row is the study's
summary: the net that serves the system best, its score with an interval, the strong
simple baseline, the first layer's gradient at the start, and the cost of a step.
"""

from depthbench.research.catalogues.catalogue import choices
from depthbench.research.lazy import lazily
from depthbench.research.report import systems
from depthbench.research.study import studies as catalogue
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import (
    Cost,
    Headline,
    Measured,
    Plan,
    Study,
    Summary,
    chosen_values,
    grid,
)
from depthbench.research.study.headlines import endings, measured

with lazily():
    from depthbench.research.engine import runner
    from depthbench.research.study import plan

SIZES = choices("size", smoke="seconds", standard="minutes", full="for an accelerator")
SYSTEMS = choices("system", **catalogue.systems())


def inner(cell):
    """The study that a cell runs, and that study's cells at its size."""
    study = catalogue.studies()[cell["system"]]
    return study, study.fit(grid(study, chosen_values(study, cell["run"], {})), set())[
        0
    ]


def cost(cells, shared):
    """What the studies' own estimates come to, one unit after the other."""
    of_units = [unit.cost for cell in cells for unit in plan.units(*inner(cell))]
    return Cost(
        max(one.memory for one in of_units),
        max(one.peak for one in of_units),
        sum(one.seconds for one in of_units),
    )


def measure(cells, shared, memory):
    """One Measured for each system."""
    return [summarised(cell, memory) for cell in cells]


def summarised(cell, memory):
    """The summary of a study's rows at a size, all of them measured here and now."""
    study, cells = inner(cell)
    rows = []
    for unit in plan.units(study, cells, cell.get("data_dir", "")):
        every = runner.attempt(unit, memory)
        rows += [
            {**one, "status": row.status, "reason": row.reason, **row.values}
            for one, row in zip(unit.cells, every, strict=True)
        ]
    line = systems.summary(study, sorted(rows, key=study.order))
    if line is None:
        return Measured("no_numbers", endings(rows), {})
    values = {name: value for name, value in line._asdict().items() if name != "system"}
    return Measured("ok", "", {"what": line.system, **values, "cells": len(rows)})


def lines(rows):
    """The systems' lines, by the names of their studies."""
    return {
        row["system"]: Summary(
            **{name: row[name] for name in Summary._fields if name != "system"},
            system=row["what"],
        )
        for row in measured(rows)
    }


STUDY = Study(
    name="systems",
    kind="benchmark",
    question="Which depth serves each system best, and does it beat a simple baseline?",
    source="popular accounts of deep learning; each system's own study names its papers",
    axes={
        "system": Axis("a study of a system", tuple(SYSTEMS), SYSTEMS),
        "run": Axis("the size at which each is run", ("standard",), SIZES, single=True),
    },
    sizes={"smoke": {"run": ("smoke",)}, "full": {"run": ("full",)}},
    plan=Plan(program=lambda cell: cell["system"], cost=cost),
    measure="depthbench.benchmarks.systems:measure",
    columns=("system", "run", "status", "reason", "what", *Summary._fields[1:]),
    headline=lambda rows: Headline(*systems.headline(lines(rows))),
    tables=lambda rows: [systems.table(lines(rows))],
    inner=inner,
    compile_seconds=10.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
