"""What is claimed of the deepest net that trains, and how rows are judged by it."""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from depthbench.benchmarks.max_trainable_depth.axes import AXES
from depthbench.research.study.claims import Claim
from depthbench.research.study.doubts import (
    COLUMNS,
    anywhere,
    of_sides,
    of_training,
    sides,
    upward,
)
from depthbench.research.study.estimates import Estimate, Moves, above, below, mean

Seen = Mapping[str, Any]  # a row, to be judged


def _layers(value: Any) -> float:
    return math.inf if value == "inf" else float(value)


def _bounded(row: Seen, normalizer: str) -> bool:
    """Whether theory says of the net how deep it trains, and that was tried."""
    if row["architecture"] != "mlp" or row["normalizer"] != normalizer:
        return False
    depth = row.get("theory_depth")
    if row["status"] == "ok":
        return depth is not None and _layers(depth) < row["cap"]
    return row["status"] != "no_fixed_point"  # theory's own answer; others do not say


def _beyond(row: Seen) -> Estimate:
    """How many times, as log2, the net trains deeper than theory says it can."""
    excess = row["log2_depth"] - math.log2(_layers(row["theory_depth"]))
    return mean(excess, row["log2_depth_se"], row["seeds"])


def pairs(axis: str, plain: str, other: str, rows: Sequence[Seen]) -> list[Seen]:
    """Rows of `other` beside that of `plain`, all else equal; `gain`: log2 of how many
    times as deep they train."""

    def rest(row: Seen) -> tuple:
        return tuple(row.get(name) for name in AXES if name != axis)

    base = {rest(row): row for row in rows if row[axis] == plain}
    others = [row for row in rows if row[axis] == other and rest(row) in base]
    return [_beside(row, base[rest(row)]) for row in others]


def _beside(row: Seen, against: Seen) -> Seen:
    bad = next((one for one in (row, against) if one["status"] != "ok"), None)
    if bad is not None:
        return {**row, "status": bad["status"], "reason": bad["reason"], "gain": None}
    gain = row["log2_depth"] - against["log2_depth"]
    errors = [one["log2_depth_se"] or 0.0 for one in (row, against)]
    doubtful = {n: bool(row[n] or against[n]) for n in COLUMNS} | sides(row, against)
    both = bool(row["capped"] and against["capped"])
    gained = {"gain": gain, "gain_se": math.hypot(*errors), "both_capped": both}
    return {**row, **gained, **doubtful}


def _comparable(row: Seen) -> str:
    """Why two depths may say nothing of which net trains deeper."""
    return "both train at the deepest tried" if row["both_capped"] else of_training(row)


def _towards(row: Seen) -> Moves:
    """Which way that might go yet."""
    return anywhere(row) if row["both_capped"] else of_sides(row)


PROTOCOL = (
    "digits, 64 units, Adam, 200 steps of 64 examples, the best of a grid of rates, the "
    "deepest of which most runs end at 90 % right"
)
# Depths are known to one step of the grid, √2: that much is no excess, and no gain less.
STEP = 0.5
CLAIMS = (
    Claim(
        "schoenholz2017.deepest-plain-net",
        "no plain dense net trains deeper than about 6 ξ_c",
        "Schoenholz et al. 2017, arXiv:1611.01232, abstract and section 5",
        tag="S3",
        estimate=_beyond,
        allows=below(STEP),
        moves=upward,  # more rates and steps make no net shallower
        protocol=PROTOCOL,
        differs="MNIST, 300 units, one small rate",
        scope=lambda r: _bounded(r, "none"),
        label=("activation", "initializer", "optimizer", "dtype"),
        published="log2 of depth / 6 ξ_c: at most 0",
    ),
    Claim(
        "yang2019.deepest-net-with-batch-norm",
        "no plain dense net with batch norm trains deeper than about 16 / ln(rate)",
        "Yang et al. 2019, arXiv:1902.08129",
        tag="S7",
        estimate=_beyond,
        allows=below(STEP),
        moves=upward,  # more rates and steps make no net shallower
        protocol=PROTOCOL,
        differs="MNIST and CIFAR-10, 10 to 50 epochs, rates from 1e-6",
        scope=lambda r: _bounded(r, "batch"),
        label=("activation", "initializer", "optimizer", "dtype"),
        published="log2 of depth × ln(rate) / 16: at most 0",
    ),
    Claim(
        "he2016.residual-trains-deeper",
        "with batch norm residual dense nets train deeper than plain ones",
        "He, Zhang, Ren & Sun 2016, arXiv:1512.03385",
        tag="T1",
        estimate=lambda r: mean(r["gain"], r["gain_se"], r["seeds"]),
        allows=above(0.8 * STEP),
        doubt=_comparable,
        moves=_towards,
        protocol=PROTOCOL,
        differs="convolutional nets on CIFAR-10, two depths, 64,000 steps, one rate",
        scope=lambda r: r["normalizer"] == "batch",  # as all nets of the paper
        label=("activation", "initializer", "optimizer", "dtype"),
        of=functools.partial(pairs, "architecture", "mlp", "residual_mlp"),
        published="log2 of the depths' ratio: above 0",
    ),
    Claim(
        "he2016.normalised-trains-deeper",
        "normalisation lets plain dense nets train deeper",
        "He, Zhang, Ren & Sun 2016, arXiv:1512.03385, section 1",
        tag="T1",
        estimate=lambda r: mean(r["gain"], r["gain_se"], r["seeds"]),
        allows=above(0.8 * STEP),
        doubt=_comparable,
        moves=_towards,
        protocol=PROTOCOL,
        differs="convolutional nets on CIFAR-10, two depths, 64,000 steps, one rate",
        scope=lambda r: r["architecture"] == "mlp",
        label=("activation", "initializer", "optimizer", "dtype"),
        of=functools.partial(pairs, "normalizer", "none", "batch"),
        published="log2 of the depths' ratio: above 0",
    ),
)
