"""What is claimed of a million layers, and how `million_layers` judges it."""

import math

from depthbench.research.lazy import lazily
from depthbench.research.signal.profiles import SURVIVES
from depthbench.research.study.claims import Claim
from depthbench.research.study.estimates import about, above, below, exact, mean

with lazily():
    import numpy as np

    from depthbench.research.signal import profiles

ISOMETRY = "Pennington, Schoenholz & Ganguli 2017, arXiv:1711.04735"
PRODUCTS = "Hanin & Nica 2020, arXiv:1812.05994"
COMPILE_BOUND = 1.3  # of the deepest over the shallowest, as in `compile_time`


def ratio(row):
    return mean(row["log10_ratio"], row["log10_ratio_se"], row["seeds"])


def of_product(row):
    """The Gaussian drift over that of a product of Gaussian matrices."""
    expected = row["log10_ratio_product"]
    error = row["log10_ratio_se"]
    error = None if error is None else abs(error / expected)
    return mean(row["log10_ratio"] / expected, error, row["seeds"])


def compile_ratios(rows):
    """By depth, the seconds to compile over those at the least depth, recipe by recipe."""
    done = [row for row in rows if row["compile_s"] is not None]
    least = min((row["depth"] for row in done), default=0)
    under = {(r["recipe"], r["width"]): r for r in done if r["depth"] == least}
    found = []
    for depth, width in sorted({(r["depth"], r["width"]) for r in done}):
        pairs = [
            row["compile_s"] / under[row["recipe"], width]["compile_s"]
            for row in done
            if (row["depth"], row["width"]) == (depth, width)
            and (row["recipe"], width) in under
        ]
        if depth > least and pairs:
            of_pairs = profiles.over_seeds(np.array(pairs))
            found.append(
                {
                    "depth": depth,
                    "width": width,
                    "over_depth": least,
                    "status": "ok",
                    "ratio": of_pairs.mean,
                    "ratio_se": of_pairs.error if len(pairs) > 1 else None,
                    "pairs": len(pairs),
                }
            )
    return found


HERE = "dense nets on noise, at initialisation, {} layers"
LOST = {"lost": math.inf, "overflow": math.inf}

CLAIMS = (
    Claim(
        "pennington2017.gradient-kept",
        "orthogonal weights at q* = 1/L keep a tanh net's gradient at any depth, within "
        "a factor of 3",
        ISOMETRY,
        tag="S4",
        protocol=HERE.format("100 to 1,000,000"),
        differs="infinitely wide; at most 1,000 layers, trained",
        estimate=ratio,
        published="0 decades",
        # χ₁ ≤ σ_w² = 1 + 2/L at each layer: e in all, 0.43 decades
        allows=about(0.0, within=0.5),
        scope=lambda row: row["recipe"] == "orthogonal",
        label=("depth", "width"),
    ),
    Claim(
        "hanin2020.critical-gaussian-lost",
        "Gaussian weights lose a tanh net's gradient, at q* = 1/L and by Glorot's rule, "
        "from 1,000 layers of 16 units on",
        f"{PRODUCTS}, theorem 1",
        tag="S10",
        protocol=HERE.format("1,000 to 1,000,000") + "; decades up or down",
        differs="ReLU and linear nets, to leading order in 1/n",
        estimate=lambda row: mean(
            row["log10_ratio"] and abs(row["log10_ratio"]),
            row["log10_ratio_se"],
            row["seeds"],
        ),
        published="−L/2n: 13.6 decades and more",
        allows=above(SURVIVES),
        scope=lambda row: (
            row["recipe"] in ("gaussian", "glorot")
            and 2 * row["depth"] >= 125 * row["width"]
        ),
        label=("recipe", "depth", "width"),
        counts=LOST,
    ),
    Claim(
        "hanin2020.drift-of-gaussian-products",
        "the log squared gradient of critical Gaussian tanh nets drifts by −L/n, as a "
        "product of L Gaussian n × n matrices",
        f"{PRODUCTS}, theorem 1",
        tag="S10",
        protocol=HERE.format("100,000 and more, 1,000 × width")
        + "; over ψ(n/2) − ln(n/2) a layer, of which −1/n is the leading order",
        differs="ReLU and linear nets, to leading order in 1/n",
        estimate=of_product,
        published="ratio 1",
        # Leading and exact order differ by 2 % at 16 units: either is within.
        allows=about(1.0, within=0.1),
        scope=lambda row: (
            row["recipe"] in ("gaussian", "glorot")
            and row["depth"] >= 1000 * row["width"]
        ),
        label=("recipe", "depth", "width"),
    ),
    Claim(
        "xiao2018.dense-inputs-apart-by-c-map",
        "two inputs of an orthogonal tanh net at q* = 1/L are as far apart at its end as "
        "the c map says",
        "Xiao et al. 2018, arXiv:1806.05393",
        tag="S6",
        protocol=HERE.format("100 to 1,000,000") + "; 1 − correlation",
        differs="convolutional nets; the map of infinitely many units",
        estimate=lambda row: mean(
            row["apart"] - row["apart_theory"], row["apart_se"], row["seeds"]
        ),
        published="the c map's: gap 0",
        allows=about(0.0, within=0.1),
        scope=lambda row: row["recipe"] == "orthogonal",
        label=("depth", "width"),
    ),
    Claim(
        "depthbench.million-layers-float32",
        "float32 changes the gradient of an orthogonal net by less than a tenth of a "
        "decade",
        "depthbench's own bar",
        protocol="the same weights gone through in float32 and in float64, first seed",
        estimate=lambda row: exact(row["rounding"]),
        allows=about(0.0, within=0.1),
        scope=lambda row: row["recipe"] == "orthogonal",
        label=("depth", "width"),
    ),
    Claim(
        "depthbench.million-layers-compile-alike",
        "compile time does not grow with depth: 10,000 and more over 100 layers at most "
        f"{COMPILE_BOUND}",
        "depthbench's own bar: depth is a scan",
        tag="C1",
        of=compile_ratios,
        estimate=lambda row: mean(row["ratio"], row["ratio_se"], row["pairs"]),
        allows=below(COMPILE_BOUND),
        scope=lambda row: row["depth"] >= 10_000,
        doubt=lambda row: (
            ""
            if row["over_depth"] == 100
            else f"over depth {row['over_depth']}, not 100"
        ),
        label=("depth", "width"),
    ),
)
