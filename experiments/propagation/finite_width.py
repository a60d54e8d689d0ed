"""How far do finite nets stray from infinite width, even at He's initialisation?

Source: Hanin & Nica 2020, arXiv:1812.05994: squared lengths and gradients of ReLU nets
are log-normal, with variance 5 Σ 1/width over the layers.
"""

import functools

from experiments.propagation import nets
from research.lazy import lazily
from research.report import figures
from research.study.axes import Axis
from research.study.claims import Claim
from research.study.declaration import Figure, Headline, Measured, Study
from research.study.headlines import measured
from research.study.tables import Mark, Table, number

with lazily():
    import numpy as np

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
    return Measured(
        "ok",
        "",
        {
            "layers_over_width": layers_over_width,
            "mean": float(np.mean(logs)),
            "mean_se": float(np.sqrt(variance / n)),
            "mean_theory": -2.5 * layers_over_width,
            "variance": variance,
            # of the variance of a normal sample, which these logs nearly are
            "variance_se": variance * float(np.sqrt(2 / (n - 1))) if n > 1 else 0.0,
            "variance_theory": 5 * layers_over_width,
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


def tables(rows):
    """Mean and variance of the log squared gradient, measured and to leading order."""
    body = tuple(
        (
            number(row["width"]),
            number(row["depth"]),
            f"{row['mean']:.3f} ± {row['mean_se']:.3f}",
            f"{row['mean_theory']:.3f}",
            f"{row['variance']:.3f} ± {row['variance_se']:.3f}",
            f"{row['variance_theory']:.3f}",
        )
        if row["status"] == "ok"
        else (number(row["width"]), number(row["depth"]), Mark(row["status"], "bad"))
        + ("",) * 3
        for row in rows
    )
    headers = ("width", "depth", "mean", "−5L/2n", "variance", "5L/n")
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
            yerr=[3 * r["variance_se"] for r in of],
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


STUDY = Study(
    name="finite_width",
    kind="experiment",
    question="How far do finite nets stray from infinite width?",
    source=SOURCE,
    axes={
        "width": Axis("units", (16, 32, 64, 128), kind="integer", low=2, high=10**5),
        "depth": Axis("layers", (4, 16, 64), kind="integer", low=1, high=10**5),
        "seeds": Axis(
            "networks per cell", (256,), kind="integer", low=1, high=10**6, single=True
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
    plan=nets.plan(settings),
    measure="experiments.propagation.finite_width:measure",
    columns=tuple(
        "width depth seeds status reason layers_over_width mean mean_se mean_theory "
        "variance variance_se variance_theory".split()
    ),
    claims=(
        Claim(
            "hanin2020.gradient-variance",
            "the log squared gradient's variance over nets is 5 L/n",
            SOURCE,
            tag="S10",
            gap=lambda row: row["variance"] / row["variance_theory"] - 1,
            error=lambda row: row["variance_se"] / row["variance_theory"],
            published="5 L/n: ratio 1",
            ours=lambda row: row["variance"] / row["variance_theory"],
            within=0.1,
            scope=lambda row: row["layers_over_width"] <= 1,
            label=("width", "depth"),
        ),
        Claim(
            "hanin2020.gradient-drift",
            "the log squared gradient's mean drifts by −5 L/2n, though χ₁ = 1",
            SOURCE,
            tag="S10",
            gap=lambda row: row["mean"] / row["mean_theory"] - 1,
            error=lambda row: -row["mean_se"] / row["mean_theory"],
            published="−5 L/2n: ratio 1",
            ours=lambda row: row["mean"] / row["mean_theory"],
            within=0.1,
            scope=lambda row: row["layers_over_width"] <= 1,
            label=("width", "depth"),
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=3.0,
)

if __name__ == "__main__":
    from research.cli.main import script

    script(STUDY.name)
