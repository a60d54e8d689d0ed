"""How deep does it still train, does its gradient survive there, and what does it cost?

For each net the deepest that trains under a stated budget is searched for: 90 % of the
training examples right in most seeds at some learning rate. Beside it stand the
gradient before training, infinite-width theory's depth, and the price of a step.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from benchmarks import classifiers, fresh_gradients
from benchmarks.max_trainable_depth import search as depth_search
from benchmarks.max_trainable_depth import show as max_trainable_depth_report
from benchmarks.max_trainable_depth import step_cost
from benchmarks.max_trainable_depth.trainer import Trainer
from research.architectures import ARCHITECTURES
from research.catalogues.activations import ACTIVATIONS
from research.catalogues.initializers import INITIALIZERS, NoCriticalPoint
from research.catalogues.normalizers import NORMALIZERS
from research.catalogues.optimizers import OPTIMIZERS
from research.datasets import DATASETS
from research.lazy import lazily
from research.study import families, trials
from research.study.axes import Axis
from research.study.claims import Claim
from research.study.declaration import Cell, Cost, Measured, Plan, Shared, Study
from research.study.errors import Refusal
from research.study.plan import all_but

Seen = Mapping[str, Any]  # a row, to be judged

with lazily():
    from research.signal import measurement

AXES = {
    "architecture": Axis(
        "how layers are connected", ("mlp", "residual_mlp"), ARCHITECTURES
    ),
    "activation": Axis("the nonlinearity", ("tanh", "relu", "sigmoid"), ACTIVATIONS),
    "initializer": Axis(
        "how weights are drawn", ("he_normal", "critical"), INITIALIZERS
    ),
    "normalizer": Axis(
        "what comes before the activation", ("none", "batch"), NORMALIZERS
    ),
    "optimizer": Axis("the update rule", ("adam",), OPTIMIZERS),
    "width": Axis("units per layer", (64,), kind="integer", low=2, high=10**5),
    "dataset": Axis("the data set", ("digits",), DATASETS, single=True),
    "cap": Axis(
        "the largest depth to try",
        (256,),
        kind="integer",
        low=1,
        high=10**5,
        single=True,
    ),
    "steps": Axis(
        "training steps, for each depth", (200,), kind="integer", low=20, high=10**7
    ),
    "batch": Axis("examples per step", (64,), kind="integer", low=2, high=10**5),
    "rates": Axis(
        "learning rates tried, half a decade apart around the optimizer's published one",
        (3,),
        kind="integer",
        low=1,
        high=21,
    ),
    "target": Axis(
        "training accuracy that counts as trained",
        (0.9,),
        kind="number",
        low=0.0,
        high=1.0,
        single=True,
    ),
    "start": Axis(
        "the first depth to try",
        (8,),
        kind="integer",
        low=1,
        high=10**5,
        single=True,
    ),
    "patience": Axis(
        "doublings in a row that fail before the search turns back",
        (1,),
        kind="integer",
        low=1,
        high=20,
        single=True,
    ),
    "seeds": Axis(
        "networks, most of which must train",
        (3,),
        kind="integer",
        low=1,
        high=99,
        single=True,
    ),
}
SIZES = {
    "smoke": {
        "activation": ("sigmoid",),
        "initializer": ("he_normal",),
        "normalizer": ("none",),
        "width": (16,),
        "cap": (4,),
        "steps": (60,),
        "batch": (16,),
        "rates": (3,),
        "target": (0.3,),
    },
    "full": {
        "architecture": (
            *("mlp", "residual_mlp", "residual_mlp_scaled", "rezero_mlp"),
            *("highway_mlp", "resnet"),
        ),
        "optimizer": ("momentum", "adam"),
        "width": (256,),
        "cap": (1024,),
        "steps": (2000,),
        "batch": (128,),
        "rates": (7,),
        "start": (1,),
        "patience": (2,),
    },
}
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


def _layers(value: Any) -> float:
    return math.inf if value == "inf" else float(value)


def _bounded(row: Seen, normalizer: str) -> bool:
    """Whether theory says of the net how deep it trains, and that was tried."""
    depth = row.get("theory_depth")
    plain = row["architecture"] == "mlp" and row["normalizer"] == normalizer
    return plain and depth is not None and _layers(depth) < row["cap"]


def _beyond(row: Seen) -> float:
    """How many times, as log2, the net trains deeper than theory says it can; or 0."""
    return max(0.0, math.log2(max(row["max_depth"], 1) / _layers(row["theory_depth"])))


def pairs(axis: str, plain: str, other: str, rows: Sequence[Seen]) -> list[Seen]:
    """Rows of `other` beside that of `plain`, all else equal; `gain`: log2 of how many
    times as deep they train. Without those that both train at the deepest tried."""

    def rest(row: Seen) -> tuple:
        return tuple(row[name] for name in AXES if name != axis)

    base = {rest(r): r for r in rows if r[axis] == plain and r["status"] == "ok"}
    paired: list[Seen] = []
    for row in rows:
        if row[axis] != other or row["status"] != "ok" or rest(row) not in base:
            continue
        against = base[rest(row)]
        if row["capped"] and against["capped"]:
            continue
        gain = math.log2(max(row["max_depth"], 1) / max(against["max_depth"], 1))
        paired.append({**row, "gain": gain})
    return paired


# Depths are known to one step of the grid, √2: that much is no excess, and no gain less.
STEP = 0.5
CLAIMS = (
    Claim(
        "schoenholz2017.deepest-plain-net",
        "no plain net trains deeper than about 6 ξ_c",
        "Schoenholz et al. 2017, arXiv:1611.01232, abstract and section 5",
        tag="S3",
        gap=_beyond,
        error=lambda r: 0.0,
        within=STEP,
        scope=lambda r: _bounded(r, "none"),
        label=("activation", "initializer", "optimizer"),
        published="at most 6 ξ_c layers",
        ours=lambda r: r["max_depth"] / _layers(r["xi_c"]),
    ),
    Claim(
        "yang2019.deepest-net-with-batch-norm",
        "no plain net with batch norm trains deeper than about 16 / ln(rate)",
        "Yang et al. 2019, arXiv:1902.08129",
        tag="S7",
        gap=_beyond,
        error=lambda r: 0.0,
        within=STEP,
        scope=lambda r: _bounded(r, "batch"),
        label=("activation", "initializer", "optimizer"),
        published="at most 16 / ln(rate) layers",
        ours=lambda r: 16 * r["max_depth"] / _layers(r["theory_depth"]),
    ),
    Claim(
        "he2016.residual-trains-deeper",
        "with batch norm residual nets train deeper than plain ones",
        "He, Zhang, Ren & Sun 2016, arXiv:1512.03385",
        tag="T1",
        gap=lambda r: min(0.0, r["gain"] - 0.8 * STEP),
        error=lambda r: 0.0,
        within=0.0,
        scope=lambda r: r["normalizer"] == "batch",  # as all nets of the paper
        label=("activation", "initializer", "optimizer"),
        of=functools.partial(pairs, "architecture", "mlp", "residual_mlp"),
        published="deeper",
        ours=lambda r: 2 ** r["gain"],
    ),
    Claim(
        "he2016.normalised-trains-deeper",
        "normalisation lets plain nets train deeper",
        "He, Zhang, Ren & Sun 2016, arXiv:1512.03385, section 1",
        tag="T1",
        gap=lambda r: min(0.0, r["gain"] - 0.8 * STEP),
        error=lambda r: 0.0,
        within=0.0,
        scope=lambda r: r["architecture"] == "mlp",
        label=("activation", "initializer", "optimizer"),
        of=functools.partial(pairs, "normalizer", "none", "batch"),
        published="deeper",
        ours=lambda r: 2 ** r["gain"],
    ),
)

STUDY = Study(
    name="max_trainable_depth",
    kind="benchmark",
    question="How deep does it still train, beside its gradient and its cost?",
    source="Schoenholz et al. 2017, arXiv:1611.01232; Yang et al. 2019, arXiv:1902.08129",
    axes=AXES,
    sizes=SIZES,
    fit=fit,
    plan=Plan(group, shared=shared, cost=cost),
    measure="benchmarks.max_trainable_depth.study:measure",
    columns=(
        *("architecture", "activation", "initializer", "normalizer", "optimizer"),
        *("width", "dataset", "cap", "steps", "batch", "rates", "target", "start"),
        "patience",
        *("seeds", "status", "reason", "max_depth", "fails_at", "capped", "steady"),
        *("probed", "runs", "best_rate", "train_accuracy", "diverged"),
        *("gradient_depth", "gradient_at_cap", *fresh_gradients.COLUMNS),
        *COST,
    ),
    claims=CLAIMS,
    headline=max_trainable_depth_report.headline,
    tables=max_trainable_depth_report.tables,
    figures=max_trainable_depth_report.draw_figures,
    compile_seconds=15.0,  # a program for each depth, and for the fresh gradient
)
