"""Which deep nets learn, and is it those whose gradient survives?

Depth × activation × initialiser × architecture × optimizer, each at the best of several
learning rates, beside the gradient before training and the depth that theory allows.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from depthbench.benchmarks import classifiers, fresh_gradients
from depthbench.benchmarks.trainability import show as trainability_report
from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.initializers import INITIALIZERS
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.catalogues.optimizers import OPTIMIZERS
from depthbench.research.datasets import readable
from depthbench.research.learning import selection
from depthbench.research.study import dtypes, trials
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Cell, Measured, Shared, Study
from depthbench.research.study.doubts import COLUMNS, of_sides, sides, upward
from depthbench.research.study.estimates import above, below, mean

Seen = Mapping[str, Any]  # a row, to be judged

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
    "depth": Axis("number of layers", (4, 16, 64), kind="integer", low=1, high=10**5),
    "width": Axis("units per layer", (64,), kind="integer", low=2, high=10**5),
    "optimizer": Axis("the update rule", ("adam",), OPTIMIZERS),
    "dataset": readable.axis(readable.trained),
    "steps": Axis("training steps", (200,), kind="integer", low=20, high=10**7),
    "batch": Axis("examples per step", (64,), kind="integer", low=2, high=10**5),
    "rates": Axis(
        "learning rates tried, half a decade apart around the optimizer's published one",
        (3,),
        kind="integer",
        low=1,
        high=21,
        single=True,
    ),
    "further_rates": classifiers.further_rates(),
    "target": Axis(
        "training accuracy to which steps are counted",
        (0.9,),
        kind="number",
        low=0.0,
        high=1.0,
        single=True,
    ),
    "dtype": dtypes.axis(),
    "seeds": Axis(
        "networks per cell", (3,), kind="integer", low=1, high=10**5, single=True
    ),
}
SIZES = {
    "smoke": {
        "activation": ("sigmoid",),
        "initializer": ("he_normal",),
        "depth": (2, 8),
        "width": (16,),
        "optimizer": ("adam",),
        "steps": (60,),
        "batch": (16,),
        "rates": (3,),
        "further_rates": (0,),
    },
    "full": {
        "activation": ("tanh", "relu"),
        "normalizer": ("none", "batch"),
        "depth": (16, 64, 256),
        "width": (256,),
        "optimizer": ("momentum",),
        "steps": (500,),
        "batch": (128,),
    },
}


def shared(alike: Sequence[Cell], run: Sequence[Cell]) -> Shared:
    deepest = max(int(cell["depth"] or 1) for cell in run)
    return fresh_gradients.shared(run, deepest)


def measure(cells: Sequence[Cell], shared: Shared, memory: int) -> list[Measured]:
    """One Measured for each cell; cells differ in their weights' variances alone."""
    target = float(cells[0]["target"] or 0.9)
    row = functools.partial(finish, shared)
    return trials.measure(cells, memory, settings, row, target)


def settings(cell: Cell) -> dict[str, Any]:
    """What the training of a cell needs beside it."""
    optimizer = OPTIMIZERS[str(cell["optimizer"])]
    return {"learning_rate": optimizer.rates(int(cell["rates"] or 1))}


def finish(shared: Shared, cell: dict[str, Any], result: Any) -> Measured:
    """The row: what training gave, beside the net before it."""
    fresh = fresh_gradients.measure(cell, cell["depth"], shared)
    values = {**result.values, **fresh.columns}
    if "falling" in values:
        outcome = selection.outcome(values)
        falls = values.pop("falling")
        values["unfinished"] = selection.unfinished(outcome, "trained", falls)
    return Measured(result.status, result.reason, values, result.profiles)


def _plain(row: Seen) -> bool:
    return row["architecture"] == "mlp" and row["normalizer"] == "none"


def _normalised(row: Seen) -> bool:
    """Whether the net is normalised as all nets of the residual paper are."""
    return row["normalizer"] == "batch"


def _too_deep(row: Seen) -> bool:
    """Whether the net is deeper than theory allows, by more than the theory's "about".

    So are those of which nothing is known, other than that there is no such net.
    """
    depth = row.get("theory_depth")
    if depth is None:
        return row["status"] not in ("ok", "no_fixed_point")
    return depth != "inf" and row["depth"] > 2**0.5 * depth


def deeper(architecture: str, rows: Sequence[Seen]) -> list[Seen]:
    """Rows of an architecture beside the shallowest net of the same settings.

    `lost`: how much lower the deeper one's training accuracy is; `lost_se`: its error.
    """

    def rest(row: Seen) -> tuple:
        return tuple(row.get(name) for name in AXES if name != "depth")

    of_kind = [row for row in rows if row["architecture"] == architecture]
    shallow: dict[tuple, Seen] = {}
    for row in sorted(of_kind, key=lambda row: row["depth"]):
        shallow.setdefault(rest(row), row)
    return [
        _beside(row, shallow[rest(row)])
        for row in of_kind
        if row is not shallow[rest(row)]
    ]


def _beside(row: Seen, base: Seen) -> Seen:
    """A row with what it lost against a shallower net, and what is doubtful of either."""
    bad = next((one for one in (row, base) if one["status"] != "ok"), row)
    pair = {
        **row,
        "status": bad["status"],
        "reason": bad["reason"],
        **{name: bool(row.get(name) or base.get(name)) for name in COLUMNS},
        **sides(base, row),  # of what is lost
    }
    if bad["status"] != "ok":
        return {**pair, "lost": None, "lost_se": None}
    errors = [r["train_accuracy_se"] or math.nan for r in (row, base)]
    lost = base["train_accuracy"] - row["train_accuracy"]
    return {**pair, "lost": lost, "lost_se": math.hypot(*errors)}


PROTOCOL = (
    "digits, 64 units, Adam, 200 steps of 64 examples, the best of a grid "
    "of rates, trained to 90 % right"
)
NORMALISED = (
    "digits, dense nets of 64 units, batch norm, 200 steps of 64 examples, the best of a "
    "grid of rates"
)
RESIDUAL = "convolutional nets on CIFAR-10 and ImageNet, 64,000 steps, one rate"
LABEL = ("activation", "initializer", "normalizer", "optimizer", "depth", "dtype")
CLAIMS = (
    Claim(
        "schoenholz2017.deep-fails-by-initializer",
        "plain nets deeper than about 6 ξ_c are not trained at any rate that was tried",
        "Schoenholz et al. 2017, arXiv:1611.01232",
        tag="S3",
        estimate=lambda r: mean(
            r["train_accuracy"] - r["target"], r["train_accuracy_se"], r["seeds"]
        ),
        allows=below(0.0),
        moves=upward,
        protocol=PROTOCOL,
        differs="MNIST, 300 units, one small rate",
        scope=lambda r: _plain(r) and _too_deep(r),
        label=LABEL,
        published="accuracy beyond the target: below 0",
    ),
    Claim(
        "he2016.plain-mlp-degrades",
        "with batch norm a deeper plain dense net is less accurate on what it trained on",
        "He, Zhang, Ren & Sun 2016, arXiv:1512.03385, figure 1",
        tag="T1",
        estimate=lambda r: mean(r["lost"], r["lost_se"], r["seeds"]),
        allows=above(0.0),
        moves=of_sides,
        protocol=NORMALISED,
        differs=RESIDUAL,
        scope=_normalised,
        label=LABEL,
        of=functools.partial(deeper, "mlp"),
        published="less",
    ),
    Claim(
        "he2016.residual-mlp-not-degraded",
        "with batch norm a deeper residual dense net is no less accurate on what it "
        "trained on",
        "He, Zhang, Ren & Sun 2016, arXiv:1512.03385, figure 4",
        tag="T1",
        estimate=lambda r: mean(r["lost"], r["lost_se"], r["seeds"]),
        allows=below(0.02),  # a difference that no figure of the paper would show
        moves=of_sides,
        protocol=NORMALISED,
        differs=RESIDUAL,
        scope=_normalised,
        label=LABEL,
        of=functools.partial(deeper, "residual_mlp"),
        published="no less",
    ),
)

OVER_SEEDS = ("", "_se", "_low", "_high")
STUDY = Study(
    name="trainability",
    kind="benchmark",
    question="Which deep nets learn, and is it those whose gradient survives?",
    source="Schoenholz et al. 2017, arXiv:1611.01232; He et al. 2016, arXiv:1512.03385",
    axes=AXES,
    sizes=SIZES,
    fit=classifiers.fit,
    plan=trials.plan(settings)._replace(shared=shared),
    measure="depthbench.benchmarks.trainability.study:measure",
    columns=(
        *("architecture", "activation", "initializer", "normalizer", "depth", "width"),
        *("optimizer", "dataset", "steps", "batch", "rates", "target", "dtype"),
        "seeds",
        *("status", "reason", "best_rate"),
        *(f"train_accuracy{end}" for end in OVER_SEEDS),
        *(f"test_accuracy{end}" for end in OVER_SEEDS),
        *("steps_to_target", "reached", "trained", "unfinished", "rate_at_edge"),
        *("rates_diverged", "diverged", "diverged_at"),
        *("first_loss", "train_loss", "test_loss", *fresh_gradients.COLUMNS),
        *dtypes.COLUMNS,
    ),
    claims=CLAIMS,
    headline=trainability_report.headline,
    tables=trainability_report.tables,
    figures=trainability_report.draw_figures,
    compile_seconds=8.0,
)
