"""How much faster is a grid of nets in one program than net by net?

The ways of running it, and what is the same in all of them: `ensemble_ways`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from depthbench.benchmarks.ensemble_headline import headline
from depthbench.benchmarks.ensemble_ways import (
    ALONE,
    BASE,
    GRID,
    SIGMA_W2,
    WAYS,
    Grid,
)
from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.lazy import lazily
from depthbench.research.study import families
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import (
    Cell,
    Cost,
    Measured,
    Plan,
    Row,
    Shared,
    Study,
)
from depthbench.research.study.tables import Mark, Table, number, ranged

with lazily():
    import jax

    from depthbench.research.machine import ceilings, timing
    from depthbench.research.signal import ensembles

# Two orders of summation differ by some 1e-7 a layer, and a net in its chaotic phase
# multiplies such differences: seen are 5e-5 at depth 64. A wrong net differs by 0.01.
TOLERANCE = 1e-3

AXES = {
    "way": Axis("how the grid is run", tuple(WAYS), WAYS),
    "architecture": Axis("how layers are connected", ("mlp",), ARCHITECTURES),
    "depth": Axis("number of layers", (64,), kind="integer", low=2, high=10**5),
    "width": Axis("units per layer", (64,), kind="integer", low=2, high=10**4),
    "batch": Axis("examples per batch", (16,), kind="integer", low=2, high=1024),
    "seeds": Axis(
        "networks per setting", (3,), kind="integer", low=1, high=1000, single=True
    ),
    "rounds": Axis(
        "times each way is run", (15,), kind="integer", low=1, high=10**4, single=True
    ),
}
SIZES = {
    "smoke": {
        "depth": (4,),
        "width": (16,),
        "batch": (4,),
        "seeds": (2,),
        "rounds": (2,),
    },
    "full": {
        "way": ("ensemble", "torch", "one_by_one", "all_profiles"),
        "seeds": (256,),
        "rounds": (5,),
    },
}
MANY = 32  # seeds from which each way is run beside the ensemble alone


def group(cell: Cell) -> tuple:
    """All ways are run in turn; of a large grid each in its turn with the ensemble
    alone, so that its row is there before the next way is begun."""
    apart = cell["way"] if cell["seeds"] >= MANY else ""
    return (apart, *(value for name, value in cell.items() if name != "way"))


def cost(cells: Sequence[Cell], shared: Shared) -> Cost:
    cell = cells[0]
    layer = cell["width"] ** 2 + 4 * cell["batch"] * cell["width"]
    nets = len(GRID) * len(SIGMA_W2) * cell["seeds"]
    memory = 4 * layer * cell["depth"] * nets * 3 + 2**27
    work = 6e-5 + 8 * cell["batch"] * cell["width"] ** 2 / 2.5e10  # a layer of one
    alone = min(nets, len(GRID) * len(SIGMA_W2) * ALONE)
    together = nets + alone * sum(cell["way"] != BASE for cell in cells)
    seconds = (cell["rounds"] + 2) * together * cell["depth"] * work
    return Cost(memory, memory, seconds)


def prepare(cell: Cell) -> Grid:
    """The grid's draws and batches, the same for every way."""
    shared = {name: cell[name] for name in ("architecture", "width", "batch")}
    program = ensembles.Program(
        normalizer="none",
        activations=GRID,
        capacity=cell["depth"],
        dataset="digits",
        **shared,
    )
    seeds = range(cell["seeds"])
    variables, x, y = ensembles.inputs(program, "normal", seeds)
    arrays = (jax.device_get(variables), x, y)
    return Grid(*shared.values(), cell["depth"], seeds, program, *arrays)


def measure(cells: Sequence[Cell], shared: Shared, memory: int) -> list[Measured]:
    """One Measured for each way; all are run in turn, the ensemble always among them."""
    architecture = cells[0]["architecture"]
    reasons = {c["way"]: WAYS[c["way"]].absent(architecture) for c in cells}
    if all(reasons.values()):
        return [Measured("absent", reasons[cell["way"]], {}) for cell in cells]
    jax.clear_caches()  # another unit may have compiled the ensemble
    grid = prepare(cells[0])
    names = dict.fromkeys([BASE, *(way for way, why in reasons.items() if not why)])
    ready = {name: WAYS[name].ready(grid) for name in names}
    first = {name: timing.first(way.call) for name, way in ready.items()}
    norms = {name: way.read(first[name].result) for name, way in ready.items()}
    calls = {name: way.call for name, way in ready.items()}
    times = timing.interleaved(calls, cells[0]["rounds"])
    # Of a large grid some nets are run net by net: as long as all of them would take.
    scale = {name: grid.count / len(way.nets) for name, way in ready.items()}
    seconds = {name: scale[name] * durations for name, durations in times.items()}
    apart = {name: norms[name] - norms[BASE][way.nets] for name, way in ready.items()}
    load = ceilings.load()
    products = lambda *sides: timing.product_gflops(*sides, operations=load.operations)
    peak = {
        "product_gflops": products(grid.batch, grid.width),
        "peak_gflops": products(load.sides[0], load.sides[0]),
    }
    return [
        Measured("absent", reasons[cell["way"]], {})
        if reasons[cell["way"]]
        else Measured(
            "ok",
            "",
            {
                **_values(cell["way"], grid, ready, seconds, first, apart),
                "threads": ready[cell["way"]].threads,
                **peak,
            },
        )
        for cell in cells
    ]


def _values(way: str, grid: Grid, ready, seconds, first, apart) -> dict[str, Any]:
    step = timing.times(seconds[way])
    ratio = timing.ratio(seconds[way], seconds[BASE])
    largest = float(np.max(np.abs(apart[way])))
    compiled, timed = first[way].compile_s, len(ready[way].nets)
    step_s = step.median_ms / 1e3 * timed / grid.count
    return {
        "cells": grid.count,
        "timed": timed,
        "trace_s": max(0.0, first[way].total_s - compiled - step_s),
        "compile_s": compiled,
        "step_ms": step.median_ms,
        "step_ms_low": step.low_ms,
        "step_ms_high": step.high_ms,
        "n": step.n,
        "ratio": ratio.median,
        "ratio_low": ratio.low,
        "ratio_high": ratio.high,
        "agrees": largest <= TOLERANCE,
        "largest_difference": largest,
        "gflops": work(grid) / step.median_ms / 1e6,
    }


def work(grid: Grid) -> float:
    """Floating-point operations that the question needs: two products a layer."""
    kernels = 2 if grid.architecture == "highway_mlp" else 1
    return grid.count * grid.depth * kernels * 2 * 2.0 * grid.batch * grid.width**2


def tables(rows: Sequence[Row]) -> list[Table]:
    """One line a way; times beside the ensemble's."""
    body = []
    for row in rows:
        shown = tuple(number(row[name]) for name in ("way", "depth", "width"))
        if row["status"] != "ok":
            body.append((*shown, *[""] * 5, Mark(row["status"], "dim")))
            continue
        quartiles = row["ratio_low"], row["ratio_high"]
        ratio = ranged(row["ratio"], *quartiles, digits=2, form="f")
        figures = (("compile_s", 2), ("step_ms", 3), ("gflops", 3))
        shown += (_nets(row), *(number(row[name], digits) for name, digits in figures))
        agrees = Mark("yes", "good") if row["agrees"] else Mark("no", "bad")
        body.append((*shown, agrees, ratio))
    headers = "way depth width cells compile_s step_ms gflops agrees ratio"
    title = f"The same grid of nets, run in turn; ratio of times to {BASE} (quartiles)"
    shown = [Table(title, tuple(headers.split()), tuple(body)), *_bounds(rows)]
    reasons = tuple(dict.fromkeys((r["way"], r["reason"]) for r in rows if r["reason"]))
    return [*shown, Table("Not run", ("way", "why"), reasons)] if reasons else shown


def _nets(row: Row) -> str:
    """How many nets the grid has, and those of them that were run, if they are fewer."""
    timed = row.get("timed") or row["cells"]
    return (
        number(row["cells"]) if timed == row["cells"] else f"{timed} of {row['cells']}"
    )


def _bounds(rows: Sequence[Row]) -> list[Table]:
    """What the machine can do, beside what the ensemble does."""
    body = [
        tuple(
            number(row[name])
            for name in ("depth", "width", "product_gflops", "peak_gflops", "gflops")
        )
        for row in rows
        if row["status"] == "ok" and row["way"] == BASE
    ]
    title = "GFLOP/s: of the grid's matrix products alone (one core), of a large one"
    headers = ("depth", "width", "small products", "large product", BASE)
    return [Table(title, headers, tuple(body))] if body else []


STUDY = Study(
    name="ensemble_speed",
    kind="benchmark",
    question="How much faster is a grid of nets in one program than net by net?",
    source="measured here, against PyTorch's eager loop",
    axes=AXES,
    sizes=SIZES,
    plan=Plan(group=group, cost=cost),
    fit=families.at_own_depths,
    measure="depthbench.benchmarks.ensemble_speed:measure",
    columns=tuple(
        "way architecture depth width batch seeds rounds status reason cells timed "
        "trace_s compile_s step_ms step_ms_low step_ms_high n ratio ratio_low ratio_high "
        "agrees largest_difference gflops product_gflops peak_gflops threads".split()
    ),
    headline=headline,
    tables=tables,
    compile_seconds=7.0,
    timings=tuple(
        "trace_s compile_s step_ms step_ms_low step_ms_high n ratio ratio_low ratio_high "
        "gflops product_gflops peak_gflops".split()
    ),
    threads=1,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
