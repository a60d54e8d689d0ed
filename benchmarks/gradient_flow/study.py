"""Which deep nets keep their gradient at initialisation?

Depth × activation × initialiser × architecture, on real digits, with infinite-width
theory beside every measurement.
"""

import math
from collections.abc import Sequence
from typing import Any

from benchmarks.gradient_flow import pictures
from benchmarks.gradient_flow import show as gradient_flow_report
from research.architectures import ARCHITECTURES
from research.catalogues.activations import ACTIVATIONS
from research.catalogues.initializers import INITIALIZERS
from research.catalogues.normalizers import NORMALIZERS
from research.datasets import FLOAT_CLASSES
from research.lazy import lazily
from research.study import families
from research.study.axes import Axis
from research.study.claims import Claim
from research.study.declaration import Cell, Cost, Measured, Plan, Row, Shared, Study

with lazily():
    from research.signal import measurement

AXES = {
    "architecture": Axis(
        "how layers are connected",
        ("mlp", "residual_mlp", "highway_mlp"),
        ARCHITECTURES,
    ),
    "activation": Axis("the nonlinearity", tuple(ACTIVATIONS), ACTIVATIONS),
    "initializer": Axis(
        "how weights are drawn",
        ("glorot_normal", "he_normal", "orthogonal", "critical"),
        INITIALIZERS,
    ),
    "normalizer": Axis("what comes before the activation", ("none",), NORMALIZERS),
    "depth": Axis(
        "number of layers",
        (1, 4, 16, 64, 256, 1024),
        kind="integer",
        low=1,
        high=10**9,
    ),
    "width": Axis("units per layer", (64,), kind="integer", low=2, high=10**6),
    "batch": Axis("examples per batch", (16,), kind="integer", low=2, high=1024),
    "dataset": Axis("the input data", ("digits",), FLOAT_CLASSES, single=True),
    "sigma_w2": Axis(
        "weight variance × fan-in, instead of the initialiser's",
        (None,),
        kind="number",
        low=0,
        high=1e6,
    ),
    "sigma_b2": Axis(
        "bias variance, instead of the initialiser's",
        (None,),
        kind="number",
        low=0,
        high=1e6,
    ),
    "seeds": Axis(
        "networks per cell", (3,), kind="integer", low=1, high=10**5, single=True
    ),
}
SIZES = {
    "smoke": {
        "activation": ("sigmoid", "tanh", "relu", "relu_squared"),
        "initializer": ("glorot_normal", "he_normal", "critical"),
        "depth": (1, 4, 16),
        "width": (32,),
        "batch": (8,),
    },
    "full": {
        "normalizer": ("none", "layer"),
        "depth": (1, 4, 16, 64, 256, 1024, 4096),
        "width": (128,),
        "batch": (32,),
        "seeds": (5,),
    },
}
SHARED_CAPACITY = 1024  # nets up to this depth share one program and its draws


def program(cell: Cell) -> tuple:
    """What is compiled once: nets that are the first layers of a deeper one share it."""
    repeats = ARCHITECTURES[cell["architecture"]].repeats
    together = repeats and cell["depth"] <= SHARED_CAPACITY
    names = ("architecture", "normalizer", "width", "batch", "dataset", "seeds")
    return (*(cell[name] for name in names), together or cell["depth"])


def group(cell: Cell) -> tuple:
    """Of equal group are cells that differ in their variances alone."""
    return program(cell), draw(cell), cell["activation"], cell["depth"]


def draw(cell: Cell) -> str:
    return INITIALIZERS[cell["initializer"]].draw


def shared(alike: Sequence[Cell], run: Sequence[Cell]) -> dict[str, Any]:
    """What a program is compiled for."""
    return {
        "activations": list(dict.fromkeys(cell["activation"] for cell in alike)),
        "capacity": max(cell["depth"] for cell in alike),
    }


def cost(cells: Sequence[Cell], shared: Shared) -> Cost:
    cell, one = cells[0], families.cost(cells[0], shared["capacity"])
    seconds = cell["seeds"] * cell["depth"] * one.layer_seconds + 0.01
    return Cost(one.memory, one.memory * cell["seeds"], len(cells) * seconds)


def measure(cells: Sequence[Cell], shared: Shared, memory: int) -> list[Measured]:
    """One Measured for each cell, as many seeds at a time as fit in memory."""
    activations, capacity = tuple(shared["activations"]), shared["capacity"]
    compiled = measurement.program_of(cells[0], activations, capacity)
    one = cost(cells, shared).memory
    at_a_time = max(1, min(cells[0]["seeds"], memory // one))
    return [Measured(*r) for r in measurement.measure(cells, compiled, at_a_time)]


def _plain(row: Row) -> bool:
    return row["architecture"] == "mlp" and row["normalizer"] == "none"


def _arrived(row: Row) -> bool:
    """The lengths are where the theory ends: the theorem speaks of nets at their q*."""
    if row["log10_slope_theory"] is None or row["log10_length"] is None:
        return False
    if row["q_star"] == "inf":
        return row["log10_length"] > 4
    if row["q_star"] == 0:
        return row["log10_length"] < -4
    return abs(row["log10_length"] - math.log10(row["q_star"])) < 0.2


def _case(row: Row, activation: str, initializer: str) -> bool:
    return (
        row["activation"] == activation
        and row["initializer"] == initializer
        and row["sigma_w2"] is None
        and row["depth"] >= 16
    )


LOG10_2 = 0.30102999566398120
CLAIMS = (
    Claim(
        "schoenholz2017.rate-by-initializer",
        "per layer the gradient's norm changes by √χ₁",
        "Schoenholz et al. 2017, arXiv:1611.01232",
        tag="S1",
        gap=lambda r: r["log10_slope"] - r["log10_slope_theory"],
        error=lambda r: r["log10_slope_se"],
        published="½ log10 χ₁: gap 0",
        within=0.01,
        scope=lambda r: _plain(r) and r["depth"] >= 64 and _arrived(r),
    ),
    Claim(
        "de2020.relu-block-doubles-gradient",
        "without normalisation a residual ReLU block doubles the squared gradient",
        "De & Smith 2020, arXiv:2002.10444",
        tag="S8",
        gap=lambda r: r["log10_slope"] - LOG10_2 / 2,
        error=lambda r: r["log10_slope_se"],
        published="½ log10 2 = 0.151",
        ours=lambda r: r["log10_slope"],
        within=0.01,
        scope=lambda r: (
            r["architecture"] == "residual_mlp"
            and r["normalizer"] == "none"
            and _case(r, "relu", "he_normal")
        ),
    ),
    Claim(
        "klambauer2017.selu-keeps-length",
        "SELU with LeCun's variance keeps lengths at 1",
        "Klambauer et al. 2017, arXiv:1706.02515",
        tag="S11",
        gap=lambda r: r["log10_length"],
        error=lambda r: 0.0,
        published="log10 q = 0",
        within=0.1,
        scope=lambda r: (
            _plain(r)
            and (_case(r, "selu", "glorot_normal") or _case(r, "selu", "lecun_normal"))
        ),
    ),
    Claim(
        "popular.selu-keeps-gradient",
        "SELU with LeCun's variance keeps gradients (widely believed)",
        "measured here: the paper shows it of the variance alone",
        tag="S11",
        gap=lambda r: r["log10_ratio"],
        error=lambda r: r["log10_ratio_se"],
        published="0 decades",
        within=0.5,
        scope=lambda r: (
            _plain(r)
            and (_case(r, "selu", "glorot_normal") or _case(r, "selu", "lecun_normal"))
        ),
    ),
    Claim(
        "he2015.xavier-halves-gradient",
        "Xavier's variance halves a ReLU net's squared gradient at each layer",
        "He et al. 2015, arXiv:1502.01852",
        tag="S13",
        gap=lambda r: r["log10_slope"] + LOG10_2 / 2,
        error=lambda r: r["log10_slope_se"],
        published="−½ log10 2 = −0.151",
        ours=lambda r: r["log10_slope"],
        within=0.01,
        scope=lambda r: _plain(r) and _case(r, "relu", "glorot_normal"),
    ),
    Claim(
        "he2015.gradient-kept",
        "He's variance keeps a ReLU net's gradient, at any depth",
        "He et al. 2015, arXiv:1502.01852",
        tag="S13",
        gap=lambda r: r["log10_ratio"],
        error=lambda r: r["log10_ratio_se"],
        published="0 decades",
        within=0.5,
        scope=lambda r: _plain(r) and _case(r, "relu", "he_normal"),
    ),
)

STUDY = Study(
    name="gradient_flow",
    kind="benchmark",
    question="Which deep nets keep their gradient?",
    source="Glorot & Bengio 2010; Schoenholz et al. 2017, arXiv:1611.01232",
    axes=AXES,
    sizes=SIZES,
    fit=families.fit,
    plan=Plan(
        group,
        program,
        shared,
        cost,
        # The draw changes slowest, since drawing takes the longest.
        priority=lambda unit: draw(unit.cells[0]),
    ),
    measure="benchmarks.gradient_flow.study:measure",
    columns=tuple(
        [
            "architecture",
            "activation",
            "initializer",
            "normalizer",
            "depth",
            "width",
            "batch",
            "dataset",
            "seeds",
            "status",
            "reason",
            "log10_ratio",
            "log10_ratio_se",
            "log10_ratio_theory",
            "log10_slope",
            "log10_slope_se",
            "log10_slope_theory",
            "verdict",
            "verdict_theory",
            "signal_lost_at",
            "signal_lost_how",
            "saturated",
            "log10_length",
            "decorrelation",
            "sigma_w2",
            "sigma_b2",
            "sigma_w2_used",
            "sigma_b2_used",
            "phase",
            "q_star",
            "chi_1",
            "c_star",
            "xi_c",
            "trainable_depth",
            "theory_reason",
        ]
    ),
    claims=CLAIMS,
    headline=gradient_flow_report.headline,
    tables=gradient_flow_report.tables,
    figures=pictures.draw_figures,
    compile_seconds=7.0,
)
