"""Which deep nets keep their gradient at initialisation?

Depth × activation × initialiser × architecture, on real digits, with infinite-width
theory beside every measurement.
"""

from collections.abc import Callable, Sequence
from typing import Any

from depthbench.benchmarks import kept_by_dtype
from depthbench.benchmarks.gradient_flow import pictures
from depthbench.benchmarks.gradient_flow import show as gradient_flow_report
from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.initializers import INITIALIZERS
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.study import dtypes, families, fixed_points
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim, Seen
from depthbench.research.study.declaration import (
    Cell,
    Cost,
    Measured,
    Plan,
    Shared,
    Study,
)
from depthbench.research.study.estimates import Estimate, about, mean

with lazily():
    from depthbench.research.signal import measurement

AXES = {
    "architecture": Axis(
        "how layers are connected",
        ("mlp", "residual_mlp", "highway_mlp"),
        ARCHITECTURES,
    ),
    "activation": Axis("the nonlinearity", ACTIVATIONS.published, ACTIVATIONS),
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
    "dataset": readable.axis(readable.any_task, "the input data"),
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
    "dtype": dtypes.axis(),
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
    # Beside the exact gradient: weights of their own, and both passes again in a dtype.
    dtyped = 3 if any("dtype" in cell for cell in cells) else 1
    memory = dtyped * one.memory
    return Cost(memory, memory * cell["seeds"], dtyped * len(cells) * seconds)


def measure(cells: Sequence[Cell], shared: Shared, memory: int) -> list[Measured]:
    """One Measured for each cell, as many seeds at a time as fit in memory."""
    activations, capacity = tuple(shared["activations"]), shared["capacity"]
    compiled = measurement.program_of(cells[0], activations, capacity)
    one = cost(cells, shared).memory
    at_a_time = max(1, min(cells[0]["seeds"], memory // one))
    return [Measured(*r) for r in measurement.measure(cells, compiled, at_a_time)]


def _plain(row: Seen) -> bool:
    return row["architecture"] == "mlp" and row["normalizer"] == "none"


def _case(row: Seen, activation: str, initializer: str) -> bool:
    return (
        row["activation"] == activation
        and row["initializer"] == initializer
        and row["sigma_w2"] is None
        and row["depth"] >= 16
    )


LOG10_2 = 0.30102999566398120
WITHIN = fixed_points.RATE_WITHIN
HERE = "digits, {} of 64 units, 3 drawn nets, at initialisation"
PLAIN = HERE.format("plain nets")


def _slope(theory: float) -> Callable[[Seen], Estimate]:
    return lambda row: mean(
        row["log10_slope"] - theory, row["log10_slope_se"], row["seeds"]
    )


CLAIMS = (
    Claim(
        "schoenholz2017.rate-by-initializer",
        "a plain net's gradient changes by √χ₁ per layer, however weights are drawn",
        "Schoenholz et al. 2017, arXiv:1611.01232, section 4",
        tag="S1",
        protocol=f"{PLAIN}, 50 layers or more whose length ends at its fixed point by "
        "theory",
        differs="tanh and a hard-tanh, Gaussian weights of many variances",
        estimate=lambda r: mean(
            r["log10_slope"] - r["log10_slope_theory"], r["log10_slope_se"], r["seeds"]
        ),
        published="½ log10 χ₁: gap 0",
        allows=about(0.0, within=WITHIN),
        scope=lambda r: _plain(r) and fixed_points.arrived(r),
        of=kept_by_dtype.of_one,
    ),
    Claim(
        "de2020.relu-block-doubles-gradient",
        "without normalisation a residual ReLU block doubles the squared gradient",
        "De & Smith 2020, arXiv:2002.10444, section 2",
        tag="S8",
        protocol=HERE.format("residual nets"),
        differs="of convolutional nets' variances, and on the way forward",
        estimate=_slope(LOG10_2 / 2),
        published="½ log10 2 = 0.151: gap 0",
        allows=about(0.0, within=WITHIN),
        scope=lambda r: (
            r["architecture"] == "residual_mlp"
            and r["normalizer"] == "none"
            and _case(r, "relu", "he_normal")
        ),
        of=kept_by_dtype.of_one,
    ),
    Claim(
        "klambauer2017.selu-keeps-length",
        "SELU with LeCun's variance keeps squared lengths at 1, within 26 %",
        "Klambauer et al. 2017, arXiv:1706.02515, theorem 1",
        tag="S11",
        protocol=PLAIN,
        differs="of mean and variance of every unit, in nets of any width",
        estimate=lambda r: mean(r["log10_length"], r["log10_length_se"], r["seeds"]),
        published="log10 q = 0",
        allows=about(0.0, within=0.1),
        scope=lambda r: (
            _plain(r)
            and (_case(r, "selu", "glorot_normal") or _case(r, "selu", "lecun_normal"))
        ),
        of=kept_by_dtype.of_one,
    ),
    Claim(
        "he2015.xavier-halves-gradient",
        "Xavier's variance halves a ReLU net's squared gradient at each layer",
        "He et al. 2015, arXiv:1502.01852, section 2.2",
        tag="S13",
        protocol=PLAIN,
        differs="convolutional nets of 22 and 30 layers on ImageNet",
        estimate=_slope(-LOG10_2 / 2),
        published="−½ log10 2 = −0.151: gap 0",
        allows=about(0.0, within=WITHIN),
        scope=lambda r: _plain(r) and _case(r, "relu", "glorot_normal"),
        of=kept_by_dtype.of_one,
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
    measure="depthbench.benchmarks.gradient_flow.study:measure",
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
            "dtype",
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
            "log10_length_se",
            "log10_length_theory",
            "decorrelation",
            "decorrelation_se",
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
            *dtypes.COLUMNS,
        ]
    ),
    claims=CLAIMS,
    headline=gradient_flow_report.headline,
    tables=gradient_flow_report.tables,
    figures=pictures.draw_figures,
    compile_seconds=7.0,
)
