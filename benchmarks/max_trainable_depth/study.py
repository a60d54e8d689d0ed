"""How deep does it still train, does its gradient survive there, and what does it cost?

For each net the deepest that trains under a stated budget is searched for: 90 % of the
training examples right in most seeds at some learning rate. Beside it stand the
gradient before training, infinite-width theory's depth, and the price of a step.
"""

from collections.abc import Callable, Sequence, Set
from typing import Any

import numpy as np

from depthbench.benchmarks import classifiers, fresh_gradients
from depthbench.benchmarks.max_trainable_depth import search as depth_search
from depthbench.benchmarks.max_trainable_depth import show as max_trainable_depth_report
from depthbench.benchmarks.max_trainable_depth import step_cost
from depthbench.benchmarks.max_trainable_depth.axes import AXES, SIZES
from depthbench.benchmarks.max_trainable_depth.trainer import Trainer
from depthbench.benchmarks.max_trainable_depth.verdicts import CLAIMS
from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.catalogues.initializers import INITIALIZERS, NoCriticalPoint
from depthbench.research.lazy import lazily
from depthbench.research.study import dtypes, families, trials
from depthbench.research.study.declaration import (
    Cell,
    Cost,
    Measured,
    Plan,
    Shared,
    Study,
)
from depthbench.research.study.errors import Refusal
from depthbench.research.study.plan import all_but

with lazily():
    from depthbench.research.signal import measurement, profiles

SURVIVES = 3.0  # decades, as in gradient_flow
COST = (
    *("step_ms", "step_ms_low", "step_ms_high", "compile_s", "peak_mib"),
    "step_mflop",
)


def fit(cells: Sequence[Cell], typed: Set[str]) -> tuple[list[Cell], list[str]]:
    """What can be built at its architecture's first depth, from where it is searched.

    Raises Refusal where nothing is left.
    """
    named = {str(cell["architecture"]) for cell in cells}
    first = {name: _first(ARCHITECTURES[name].depths.allows) for name in named}
    cap = int(cells[0]["cap"] or 1)
    at = [{**c, "depth": first[str(c["architecture"])]} for c in cells]
    shallow = [cell for cell in at if int(cell["depth"] or 1) <= cap]
    lines = []
    if len(shallow) < len(at):
        name = next(name for name in sorted(named) if first[name] > cap)
        why = f"--cap {cap}: {name} has no depth below {first[name]}"
        if not shallow:
            raise Refusal(why)
        lines.append(f"left out {len(at) - len(shallow)} of {len(at)} cells: {why}")
    buildable, more = classifiers.fit(shallow, {*typed, "depth"})
    without = [{n: v for n, v in c.items() if n != "depth"} for c in buildable]
    return without, [*lines, *more]


def _first(allows: Callable[[int], bool]) -> int:
    return next(depth for depth in range(1, 1000) if allows(depth))


def group(cell: Cell) -> tuple:
    """Of equal group are cells that differ in their weights' variances alone."""
    draw = INITIALIZERS[str(cell["initializer"])].draw
    return draw, all_but("initializer")(cell)


def shared(alike: Sequence[Cell], run: Sequence[Cell]) -> Shared:
    return fresh_gradients.shared(run, max(int(c["cap"] or 1) for c in run))


def cost(cells: Sequence[Cell], shared: Shared) -> Cost:
    cell: dict[str, Any] = cells[0]
    one = families.cost(cell, cell["cap"])
    runs = (cell["seeds"] // 2 + 1) * (cell["rates"] + 1)
    layers = cell["cap"] / 4  # of all that are tried, about
    memory = trials.COPIES * one.memory
    seconds = len(cells) * runs * layers * cell["steps"] * one.layer_seconds
    return Cost(memory, memory * cell["seeds"], seconds)


def measure(cells: Sequence[Cell], shared: Shared, memory: int) -> list[Measured]:
    """One Measured for each cell."""
    programs: dict[Any, Any] = {}
    at_a_time = max(1, memory // cost(cells, shared).memory)
    return [searched(cell, shared, at_a_time, programs) for cell in cells]


def searched(
    cell: dict[str, Any], shared: Shared, at_a_time: int, programs: dict[Any, Any]
) -> Measured:
    """The search's outcome, and beside it the gradient and the cost at its depth."""
    settings = {**trials.DEFAULTS, **cell}
    try:
        measurement.member(settings)
    except NoCriticalPoint as error:
        return Measured("no_fixed_point", str(error), {"gradient": "no fixed point"})
    allows = ARCHITECTURES[cell["architecture"]].depths.allows
    steps = depth_search.ladder(allows, cell["cap"])
    trainer = Trainer(settings, steps.grid[-1], at_a_time, programs, {})
    result = depth_search.search(trainer.trains, steps, cell["start"], cell["patience"])
    shown = result.deepest or min(result.probed)
    there = trainer.tries[shown]
    fresh = fresh_gradients.measure(cell, shown, shared)
    deepest = fresh_gradients.measure(cell, steps.grid[-1], shared)
    values = {
        "max_depth": result.deepest,
        "fails_at": result.fails_at,
        "capped": result.deepest == steps.grid[-1],
        **_over_seeds(trainer, result),
        "steady": result.steady,
        "probed": result.summary(),
        "best_rate": there.rate,
        "train_accuracy": float(np.mean(there.right)),
        "diverged": there.diverged,
        "runs": sum(one.runs for one in trainer.tries.values()),
        **fresh.columns,
        "gradient_depth": fresh_gradients.survives_to(
            cell["architecture"], deepest, steps.grid[-1], SURVIVES
        ),
        "gradient_at_cap": deepest.columns["gradient"],
        **{n: v for n, v in deepest.columns.items() if n in dtypes.COLUMNS},
        **_cost(trainer, shown),
    }
    tries = trainer.tries.values()
    arrays = {
        "depth": np.array(list(trainer.tries)),
        "accuracy": np.array([np.mean(one.right) for one in tries]),
        "rate": np.array([one.rate for one in tries]),
        "diverged": np.array([one.diverged for one in tries]),
        "decades": deepest.decades,
    }
    return Measured("ok", "", values, arrays)


def _over_seeds(trainer: Trainer, found: depth_search.Found) -> dict[str, Any]:
    """The mean of log2 of each seed's own deepest, and what is doubtful of the failure.

    A seed's own is where most fail if it trains there, or else the deepest at which most
    train if it trains there, or else the one that was tried before.
    """
    own = np.full(trainer.settings["seeds"], 1.0)
    below = [d for d, good in found.probed.items() if good and d < found.deepest]
    own[:] = max(below, default=max(found.deepest // 2, 1))
    for depth in filter(None, (found.deepest, found.fails_at)):
        own = np.where(trainer.each(depth), depth, own)
    mean_, error = profiles.over_seeds(np.log2(own))
    failure = trainer.tries.get(found.fails_at or 0)
    return {
        "log2_depth": mean_,
        "log2_depth_se": None if np.isnan(error) else error,
        "rate_at_edge": failure is not None and failure.at_edge,
        "unfinished": failure is not None and failure.falling,
    }


def _cost(trainer: Trainer, depth: int) -> dict[str, Any]:
    """COST at a depth: step_ms is the median over its runs, between its quartiles."""
    there = trainer.tries[depth]
    hyper = trainer.runs(there.rate, 1)[0].hyper
    operations = step_cost.operations(trainer.recipe(depth), hyper)
    program = next(p for (d, _), p in trainer.programs.items() if d == depth)
    low, middle, high = np.quantile(there.step_ms, (0.25, 0.5, 0.75)).tolist()
    costs = (middle, low, high, program.compile_s, program.peak_mib)
    return {
        **dict(zip(COST, costs, strict=False)),
        "step_mflop": operations / 1e6,
    }


STUDY = Study(
    name="max_trainable_depth",
    kind="benchmark",
    question="How deep does it still train, beside its gradient and its cost?",
    source="Schoenholz et al. 2017, arXiv:1611.01232; Yang et al. 2019, arXiv:1902.08129",
    axes=AXES,
    sizes=SIZES,
    fit=fit,
    plan=Plan(group, shared=shared, cost=cost),
    measure="depthbench.benchmarks.max_trainable_depth.study:measure",
    columns=(
        *("architecture", "activation", "initializer", "normalizer", "optimizer"),
        *("width", "dataset", "cap", "steps", "batch", "rates", "target", "start"),
        *("patience", "dtype"),
        *("seeds", "status", "reason", "max_depth", "fails_at", "capped", "steady"),
        *("log2_depth", "log2_depth_se", "rate_at_edge", "unfinished"),
        *("probed", "runs", "best_rate", "train_accuracy", "diverged"),
        *("gradient_depth", "gradient_at_cap", *fresh_gradients.COLUMNS),
        *dtypes.COLUMNS,
        *COST,
    ),
    claims=CLAIMS,
    headline=max_trainable_depth_report.headline,
    tables=max_trainable_depth_report.tables,
    figures=max_trainable_depth_report.draw_figures,
    compile_seconds=10.0,  # a program for each depth, and for the fresh gradient
    timings=("step_ms", "step_ms_low", "step_ms_high", "compile_s", "peak_mib"),
)
