"""How far do finite nets stray from infinite width, even at He's initialisation?

Source: Hanin & Nica 2020, arXiv:1812.05994: squared lengths and gradients of ReLU nets
are log-normal, with variance 5 Σ 1/width over the layers.
"""

import functools
import math

from depthbench.experiments.propagation import nets
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Headline, Measured, Study
from depthbench.research.study.estimates import about, mean, mean_of
from depthbench.research.study.headlines import measured
from depthbench.research.study.tables import Mark, Table, number, with_error

with lazily():
    import numpy as np

SEEDS = 2048
SOURCE = "Hanin & Nica 2020, arXiv:1812.05994"


def settings(cell):
    """One ReLU net on one input: the law is about a single path of the signal."""
    return {
        "activation": "relu",
        "initializer": "he_normal",
        "batch": 1,
        "dataset": "noise",
    }


def finish(cell, result):
    """Mean and variance over nets of ln ‖∂L/∂h₀‖² − ln ‖∂L/∂h_L‖², beside theory's."""
    if result.status != "ok":
        return Measured(result.status, result.reason, {})
    log10_gradient = result.profiles["log10_gradient"].astype(np.float64)
    logs = 2 * np.log(10) * (log10_gradient[:, 0] - log10_gradient[:, -1])
    n, variance = len(logs), float(np.var(logs, ddof=1))
    layers_over_width = cell["depth"] / cell["width"]
    spread = variance_error(logs) if n > 3 else None
    return Measured(
        "ok",
        "",
        {
            "layers_over_width": layers_over_width,
            "mean": float(np.mean(logs)),
            "mean_se": float(np.sqrt(variance / n)),
            "mean_theory": -2.5 * layers_over_width,
            "variance": variance,
            "variance_se": spread,
            "variance_theory": 5 * layers_over_width,
            # of a log-normal: its mean is exp(mean + variance / 2) (Cox, in Land 1972)
            "ln_mean_square": float(np.mean(logs)) + variance / 2,
            "ln_mean_square_se": spread
            and math.hypot(np.sqrt(variance / n), spread / 2),
        },
        {"logs": np.sort(logs).astype(np.float32)},
    )


def headline(rows):
    """From which to which width the gradient's spread over nets goes."""
    done = measured(rows)
    least, most = (pick(done, key=lambda row: row["variance"]) for pick in (min, max))

    def at(row):
        return f"{row['variance']:.2g} at {row['width']} × {row['depth']}"

    return Headline(
        f"Over nets ln ‖gradient‖² varies by {at(least)} (width × depth) to {at(most)}, "
        "where infinite width says 0: depth over width decides.",
        f"Worst: width {most['width']}, depth {most['depth']}: mean {most['mean']:+.3g}, "
        f"variance {most['variance']:.3g}; to leading order {most['mean_theory']:+.3g} "
        f"and {most['variance_theory']:.3g}.",
    )


def variance_error(samples):
    """The standard error of the sample variance, from the fourth moment."""
    n, second = len(samples), np.var(samples, ddof=1)
    fourth = np.mean((samples - np.mean(samples)) ** 4)
    return float(np.sqrt(max(fourth - second**2 * (n - 3) / (n - 1), 0) / n))


def tables(rows):
    """Mean and variance of the log squared gradient, measured and to leading order."""
    body = tuple(
        (
            number(row["width"]),
            number(row["depth"]),
            with_error(row["mean"], row["mean_se"]),
            f"{row['mean_theory']:.3f}",
            with_error(row["variance"], row["variance_se"]),
            f"{row['variance_theory']:.3f}",
            number(row["ln_mean_square"]),
        )
        if row["status"] == "ok"
        else (number(row["width"]), number(row["depth"]), Mark(row["status"], "bad"))
        + ("",) * 4
        for row in rows
    )
    headers = ("width", "depth", "mean", "−5L/2n", "variance", "5L/n", "ln E")
    return [Table("ln ‖gradient‖², last layer to first, over nets", headers, body)]


def draw_figures(rows, profiles):
    caption = (
        "Variance over nets of the log squared gradient against layers ÷ width. "
        "Infinite-width theory says 0; the line is 5 L/n."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows))]


def _draw(rows):
    rows = [r for r in rows if r["status"] == "ok"]
    figure = figures.new(5, 4)
    axes = figure.subplots()
    for width in sorted({r["width"] for r in rows}):
        of = [r for r in rows if r["width"] == width]
        axes.errorbar(
            [r["layers_over_width"] for r in of],
            [r["variance"] for r in of],
            yerr=[3 * (r["variance_se"] or 0) for r in of],
            fmt="o",
            ms=4,
            label=f"width {width}",
        )
    ends = np.array(sorted(r["layers_over_width"] for r in rows))[[0, -1]]
    axes.plot(ends, 5 * ends, color="black", lw=0.8, label="5 L/n")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("layers ÷ width")
    axes.set_ylabel("variance of ln ‖gradient‖²")
    axes.legend(frameon=False)
    return figure


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return nets.measure(cells, shared, memory, settings, finish)


HERE = (
    f"ReLU nets at He's variance, one input of noise, {SEEDS:,} drawn nets of 64 or 128 "
    "units and no more layers than units"
)


def scope(row):
    """Leading order in 1/width and in many layers, of which the ends are few."""
    return row["width"] >= 64 and 16 <= row["depth"] <= row["width"]


def nearly_log_normal(row):
    """Where terms beyond the leading one leave the mean of exp(logs) as it is."""
    return row["width"] >= 64 and 4 * row["depth"] <= row["width"]


STUDY = Study(
    name="finite_width",
    kind="experiment",
    question="How far do finite nets stray from infinite width?",
    source=SOURCE,
    axes={
        "width": Axis("units", (16, 32, 64, 128), kind="integer", low=2, high=10**5),
        "depth": Axis("layers", (4, 16, 64), kind="integer", low=1, high=10**5),
        "seeds": Axis(
            "networks per cell",
            (SEEDS,),
            kind="integer",
            low=2,
            high=10**6,
            single=True,
        ),
    },
    sizes={
        "smoke": {"width": (16, 32), "depth": (4, 8), "seeds": (32,)},
        "full": {
            "width": (32, 64, 128, 256, 512),
            "depth": (4, 16, 64, 256),
            "seeds": (4096,),
        },
    },
    plan=nets.plan(settings, (*nets.PROGRAM, "depth")),  # many seeds: drawing is dear
    measure="depthbench.experiments.propagation.finite_width:measure",
    columns=tuple(
        "width depth seeds status reason layers_over_width mean mean_se mean_theory "
        "variance variance_se variance_theory ln_mean_square ln_mean_square_se".split()
    ),
    claims=(
        Claim(
            "hanin2020.gradient-variance",
            "the log squared gradient's variance over drawn nets is 5 L/n",
            f"{SOURCE}, theorem 1",
            tag="S10",
            protocol=HERE,
            differs="a theorem to leading order in 1/n, for any product of layers",
            estimate=lambda row: mean(
                row["variance"] / row["variance_theory"],
                row["variance_se"] and row["variance_se"] / row["variance_theory"],
                row["seeds"],
            ),
            published="5 L/n: ratio 1",
            allows=about(1.0, within=0.2),
            scope=scope,
            label=("width", "depth"),
        ),
        Claim(
            "hanin2020.gradient-drift",
            "the log squared gradient's mean drifts by −5 L/2n, though χ₁ = 1",
            f"{SOURCE}, theorem 1",
            tag="S10",
            protocol=HERE,
            differs="a theorem to leading order in 1/n, for any product of layers",
            estimate=lambda row: mean(
                row["mean"] / row["mean_theory"],
                -row["mean_se"] / row["mean_theory"],
                row["seeds"],
            ),
            published="−5 L/2n: ratio 1",
            allows=about(1.0, within=0.2),
            scope=scope,
            label=("width", "depth"),
        ),
        Claim(
            "he2015.gradient-kept",
            "He's variance keeps the variance of a ReLU net's gradient from layer to "
            "layer",
            "He et al. 2015, arXiv:1502.01852, section 2.2, equation 14",
            tag="S13",
            protocol=f"{HERE} over four; of the mean square over nets, as of a log-normal, "
            "within a factor of √2 (a single net's gradient drifts: see the mean)",
            differs="a derivation for wide layers, convolutional nets of 30 layers",
            estimate=mean_of("ln_mean_square"),
            published="ln of the ratio: 0",
            allows=about(0.0, within=math.log(2) / 2),
            scope=nearly_log_normal,
            label=("width", "depth"),
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=10.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
