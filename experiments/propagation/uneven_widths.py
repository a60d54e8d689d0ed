"""Do nets of uneven widths, but equal Σ 1/width, have gradients that vary alike?

Source: Hanin 2018, arXiv:1801.03744: β = Σ 1/n_l over the hidden layers decides whether
gradients of a ReLU net explode or vanish at He's variance.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from depthbench.experiments.propagation.finite_width import variance_error
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import (
    Cost,
    Figure,
    Headline,
    Measured,
    Plan,
    Study,
)
from depthbench.research.study.doubts import certain
from depthbench.research.study.estimates import about, mean
from depthbench.research.study.headlines import counted, measured, out_of
from depthbench.research.study.tables import Mark, Table, number

with lazily():
    import numpy as np
    from scipy import special, stats

SOURCE = "Hanin 2018, arXiv:1801.03744"
REFERENCE = "constant"
ALIKE = 0.25  # of a ratio of variances to 1
SIDE_BY_SIDE = 64  # nets in one call


class Shape(NamedTuple):
    """How widths go along the layers.

    weights: from the depth to 1 / width of each layer [depth], up to a factor.
    """

    name: str
    weights: Callable[[int], Any]
    source: str = "ours"


SHAPES: Catalogue[Shape] = Catalogue(
    "shape",
    [
        Shape(REFERENCE, lambda depth: np.ones(depth)),
        Shape("alternating", lambda depth: np.where(np.arange(depth) % 2, 4.0, 1.0)),
        Shape("taper", lambda depth: 4.0 ** np.linspace(0, 1, depth)),
        # a quarter of β in one layer
        Shape(
            "bottleneck",
            lambda d: np.where(np.arange(d) == d // 2, (d - 1) / 3, 1.0),
        ),
    ],
)


def widths(shape, depth, beta):
    """The layers' widths [depth], with Σ 1/width as near to β as whole units allow."""
    weights = SHAPES[shape].weights(depth)
    return np.maximum(np.rint(np.sum(weights) / (beta * weights)), 2).astype(int)


@functools.cache
def layer_variance(width):
    """Var ln of the factor by which one layer of a ReLU net changes a squared gradient.

    The factor is 2/n times χ² of as many degrees as units are active, Binomial(n, ½),
    at least one. Its leading order is 5/n.
    """
    active = np.arange(1, width + 1)
    share = stats.binom.pmf(active, width, 0.5)
    share /= np.sum(share)
    means = special.digamma(active / 2)
    spread = share @ special.polygamma(1, active / 2)
    return float(spread + share @ (means - share @ means) ** 2)


def log_squares(layer_widths, seeds):
    """Ln of the squared gradient at the first layer's units, [seeds]; -inf if it is 0.

    Of a random readout of the last layer, whose scale is that of a layer's weights. In
    numpy: widths that differ from layer to layer are shapes, which jax compiles one by one.
    """
    parts = [
        _block(np.random.default_rng(first), layer_widths)
        for first in range(0, seeds, SIDE_BY_SIDE)
    ]
    with np.errstate(divide="ignore"):
        return np.log(np.concatenate(parts)[:seeds].astype(np.float64))


def _block(random, sizes):
    """The squared gradients of SIDE_BY_SIDE nets."""

    def normal(*shape):
        return random.standard_normal((SIDE_BY_SIDE, *shape), np.float32)

    h, layers = normal(1, sizes[0]), []
    for before, after in itertools.pairwise(sizes):
        weights = normal(before, after) * np.float32(math.sqrt(2 / before))
        layers.append((h > 0, weights))
        h = np.maximum(h, 0) @ weights
    gradient = (h > 0) * normal(1, sizes[-1]) * np.float32(math.sqrt(2 / sizes[-1]))
    for active, weights in reversed(layers):
        gradient = active * (gradient @ weights.transpose(0, 2, 1))
    return np.sum(np.square(gradient), axis=(1, 2))


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return [_measured(cell) for cell in cells]


def _measured(cell):
    sizes = widths(cell["shape"], cell["depth"], cell["beta"])
    logs = log_squares(sizes, cell["seeds"])
    alive = logs[np.isfinite(logs)]
    if len(alive) < 4:
        return Measured("lost", "no unit of some layer is active", {})
    variance = float(np.var(alive, ddof=1))
    beta = float(np.sum(1 / sizes))
    values = {
        "beta_used": beta,
        "narrowest": int(min(sizes)),
        "widest": int(max(sizes)),
        "neurons": int(sum(sizes)),
        "dead": 1 - len(alive) / len(logs),
        "mean": float(np.mean(alive)),
        "variance": variance,
        "variance_se": variance_error(alive),
        "variance_theory": 5 * beta,
        "variance_exact": sum(layer_variance(int(n)) for n in sizes),
        "variance_mean_width": 5 * cell["depth"] / float(np.mean(sizes)),
    }
    return Measured("ok", "", values, {"logs": np.sort(alive).astype(np.float32)})


def against_reference(rows):
    """Rows with the variance per β over that of the constant net, the shallowest, at β."""
    ok = [row for row in rows if row["status"] == "ok" and row["shape"] == REFERENCE]
    references = {}
    for row in sorted(ok, key=lambda row: -row["depth"]):
        references[row["beta"]] = row
    compared = []
    for row in rows:
        reference = references.get(row["beta"])
        if reference is row or reference is None:
            continue
        compared.append({**row, "reference": reference})
    return compared


def ratio(row):
    """The variance per β over the reference's: Estimate."""
    reference = row["reference"]
    value = (row["variance"] / row["beta_used"]) / (
        reference["variance"] / reference["beta_used"]
    )
    errors = (r["variance_se"] / r["variance"] for r in (row, reference))
    return mean(value, value * math.hypot(*errors), row["seeds"])


def headline(rows):
    """How many uneven nets vary as the even one of their β, and which does so least."""
    pairs = against_reference(measured(rows))
    if not pairs:
        return Headline(f"No {REFERENCE} net was measured at the β of another.")
    alike = [row for row in pairs if abs(ratio(row).value - 1) <= ALIKE]
    worst = max(pairs, key=lambda row: abs(math.log(ratio(row).value)))
    return Headline(
        f"At equal Σ 1/width the log squared gradient varies, to {ALIKE:.0%}, as in the "
        f"shallowest net of {REFERENCE} width in {out_of(len(alike), len(pairs), 'nets')}.",
        f"Worst: {worst['shape']} widths, {counted(worst['depth'], 'layer')}, β = "
        f"{worst['beta']:g}: {ratio(worst).value:.3g} times its variance (narrowest "
        f"layer {counted(worst['narrowest'], 'unit')}).",
    )


def tables(rows):
    """Variances over nets by shape: measured, by β, exact, and by the mean width."""
    body = tuple(
        (
            row["shape"],
            number(row["depth"]),
            f"{row['narrowest']} to {row['widest']}",
            number(row["beta_used"]),
            f"{row['variance']:.3f} ± {row['variance_se']:.3f}",
            number(row["variance_theory"]),
            number(row["variance_exact"]),
            number(row["variance_mean_width"]),
        )
        if row["status"] == "ok"
        else (row["shape"], number(row["depth"]), Mark(row["status"], "bad"))
        + ("",) * 5
        for row in rows
    )
    headers = (
        "shape",
        "depth",
        "widths",
        "β",
        "variance",
        "5 β",
        "exact",
        "5 L/mean width",
    )
    return [Table("ln ‖gradient‖², variance over nets", headers, body)]


def draw_figures(rows, profiles):
    caption = (
        "Variance over nets of the log squared gradient. Left: against β = Σ 1/width, "
        "where shapes fall together, for wide layers on the line 5 β. Right: against "
        "layers over mean width, where uneven ones do not."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows))]


def _draw(rows):
    figure = figures.new(8.4, 3.6)
    panels = figure.subplots(1, 2, sharey=True)
    ok = [row for row in rows if row["status"] == "ok"]
    columns = ("variance_theory", "variance_mean_width")
    for axes, column in zip(panels, columns, strict=True):
        for place, shape in enumerate(SHAPES):
            of = [row for row in ok if row["shape"] == shape]
            axes.errorbar(
                [row[column] / 5 for row in of],
                [row["variance"] for row in of],
                yerr=[3 * row["variance_se"] for row in of],
                fmt="os^D"[place],
                ms=4,
                label=shape,
            )
        top = max((row["variance_theory"] for row in ok), default=1.0) / 5
        axes.plot([0, 1.2 * top], [0, 6 * top], color="black", lw=0.8)
        axes.grid(alpha=0.25, lw=0.5)
    panels[0].set_xlabel("β = Σ 1/width")
    panels[1].set_xlabel("layers / mean width")
    panels[0].set_ylabel("variance of ln ‖gradient‖²")
    panels[0].legend(frameon=False)
    return figure


def cost(cells, shared):
    """Drawing the weights takes most of the time."""
    square = max((cell["depth"] / cell["beta"]) ** 2 for cell in cells)
    weights = sum(
        (c["depth"] / c["beta"]) ** 2 * c["depth"] * c["seeds"] for c in cells
    )
    memory = 16 * SIDE_BY_SIDE * int(square) * max(cell["depth"] for cell in cells)
    return Cost(memory, memory, 1.2e-8 * weights)


def narrowest(row):
    """The least units of a layer: of what was set, not of what was measured."""
    return min(widths(row["shape"], row["depth"], row["beta"]))


STUDY = Study(
    name="uneven_widths",
    kind="experiment",
    question="Do nets of equal Σ 1/width have gradients that vary alike?",
    source=SOURCE,
    axes={
        "shape": Axis("how widths go along the layers", tuple(SHAPES), SHAPES),
        "beta": Axis(
            "β, the sum of 1/width over hidden layers",
            (0.125, 0.25, 0.5),
            kind="number",
            low=1e-3,
            high=10,
        ),
        "depth": Axis("hidden layers", (8, 16), kind="integer", low=2, high=10**4),
        "seeds": Axis(
            "networks per cell", (2048,), kind="integer", low=1, high=10**6, single=True
        ),
    },
    sizes={
        "smoke": {"beta": (0.5,), "depth": (8,), "seeds": (128,)},
        "full": {
            "beta": (0.125, 0.25, 0.5),
            "depth": (8, 16, 32, 64),
            "seeds": (8192,),
        },
    },
    plan=Plan(group=lambda cell: tuple(cell.values()), cost=cost),
    measure="depthbench.experiments.propagation.uneven_widths:measure",
    columns=tuple(
        "shape beta depth seeds status reason beta_used narrowest widest neurons mean "
        "variance variance_se variance_theory variance_exact variance_mean_width "
        "dead".split()
    ),
    claims=(
        Claim(
            "hanin2018.equal-beta-equal-variance",
            "ReLU nets of equal Σ 1/width have gradients of equal log variance, whatever "
            "their depth and the shape of their widths",
            f"{SOURCE}, theorem 2",
            tag="S25",
            estimate=ratio,
            allows=about(1, within=ALIKE),
            of=against_reference,
            published="β alone: ratio 1",
            scope=lambda row: narrowest(row) >= 16,
            protocol="2,048 nets a shape at He's variance: widths that alternate 4 : 1, "
            "taper 4 : 1, or have a quarter of β in one layer; the variance of ln "
            "‖gradient‖² per β, over that of the shallowest net of one width; no layer of "
            "fewer than 16 units",
            differs="bounds fourth moments of the Jacobian's entries between exponentials "
            "of β whose constants differ; equality is to leading order in 1/width "
            "(Hanin & Nica 2020)",
            doubt=certain,
            label=("shape", "beta", "depth"),
        ),
        Claim(
            "hanin2018.beta-sets-the-variance",
            "the log variance of a ReLU net's gradient is 5 Σ 1/width",
            f"{SOURCE}; 5 from Hanin & Nica 2020, arXiv:1812.05994",
            tag="S25",
            estimate=lambda row: mean(
                row["variance"] / row["variance_theory"],
                row["variance_se"] / row["variance_theory"],
                row["seeds"],
            ),
            allows=about(1, within=0.2),
            published="5 β: ratio 1",
            scope=lambda row: narrowest(row) >= 32,
            protocol="2,048 ReLU nets a shape at He's variance, no layer of fewer than 32 "
            "units; the variance of ln ‖gradient‖² over 5 β",
            differs="bounds the constant; that of 2020 is to leading order in 1/width",
            doubt=certain,
            label=("shape", "beta", "depth"),
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=1.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
