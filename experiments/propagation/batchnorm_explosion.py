"""Does batch normalisation make the gradients of deep nets explode?

Layers h′ = W φ(batch norm of h) with scale 1 and shift 0, at initialisation. Whatever
φ is, the squared gradient grows by a factor above 1 per layer; σ_w cancels. The paper's
nets add ε = 1e-3 to a variance of order 1, these 1e-5, and the theory none.

The theory takes all examples as alike: a batch whose Gram matrix is symmetric. Where φ
bends upwards (relu_squared, silu) that is an unstable point: a net singles out some
examples, and its rate is another one. `spread` tells these activations.

Whether nets of 16 / ln(rate) layers train is not tested here: no net is trained.

Source: Yang, Pennington, Rao, Sohl-Dickstein & Schoenholz 2019, arXiv:1902.08129.
"""

import functools
import math

from depthbench.experiments.propagation import nets
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Headline, Measured, Study
from depthbench.research.study.estimates import about, above, mean
from depthbench.research.study.headlines import counted, measured, out_of
from depthbench.research.study.tables import Mark, Table, number

with lazily():
    import numpy as np

    from depthbench.research.signal import profiles
    from depthbench.research.theory import quadrature, trajectories

SOURCE = "Yang et al. 2019, arXiv:1902.08129"
EDGE = 4  # states left out at either end, where the input and the loss are felt
REACH = 16  # the paper's estimate: nets of up to 16 / ln(rate) layers train


def settings(cell):
    """He's variance, which batch norm takes out again; inputs of no structure."""
    return {"initializer": "he_normal", "normalizer": "batch", "dataset": "noise"}


def finish(cell, result):
    """The factor of the squared gradient per layer, beside theory's at this batch."""
    activation = ACTIVATIONS[cell["activation"]]
    rate_theory = trajectories.batch_norm_rate(activation, cell["batch"])
    values = {
        "rate_theory": rate_theory,
        "rate_large_batch": trajectories.batch_norm_rate(activation),
        "trainable_depth_paper": trainable_depth(rate_theory),
        "spread": spread(activation),
    }
    if result.status != "ok":
        return Measured(result.status, result.reason, values)
    log10_gradient = result.profiles["log10_gradient"]
    slopes = profiles.over_seeds(profiles.slope(log10_gradient, EDGE), 1.0)
    rate = 10 ** (2 * slopes.mean)
    values |= {"rate": rate, "log10_ratio": result.values["log10_ratio"]}
    if cell["seeds"] > 1:
        values["rate_se"] = rate * 2 * math.log(10) * slopes.error
    return Measured("ok", "", values, {"log10_gradient": log10_gradient})


def trainable_depth(rate):
    """16 / ln(rate), the depth that the paper found trainable; None if not above 1."""
    return REACH / math.log(rate) if rate > 1 else None


@functools.cache
def spread(activation):
    """Factor per layer of one example's excess in length over the others'.

    In a large batch examples are uncorrelated. One of length q among others of length 1
    has the centred length E[φ(√q z)²] − 2 E[φ(√q z)] E[φ(z)] + E[φ(z)]² after a layer,
    in units of Var φ: this is its derivative at q = 1.
    """
    step = 1e-4
    at = quadrature.moments(activation, [1 - step, 1, 1 + step])
    mean = at.mean[1]
    centred = at.phi2 - 2 * mean * at.mean
    change = (centred[2] - centred[0]) / (2 * step)
    return float(change / (at.phi2[1] - mean**2))


def headline(rows):
    """In how many nets the gradient grows at each layer, the least and the most."""
    done = measured(rows)
    grown = [row for row in done if row["rate"] > 1]
    least, most = (pick(done, key=lambda row: row["rate"]) for pick in (min, max))

    def at(row):
        return f"{row['rate']:.3g} ({row['activation']}, batch {row['batch']})"

    deep = max(done, key=lambda row: abs(row["log10_ratio"]))
    return Headline(
        f"With batch norm the squared gradient grows at each layer in "
        f"{out_of(len(grown), len(done), 'nets')}, by factors from {at(least)} to "
        f"{at(most)}.",
        f"Worst: {deep['activation']} with {counted(deep['depth'], 'layer')}, batch "
        f"{deep['batch']}: {deep['log10_ratio']:+.1f} decades.",
    )


def tables(rows):
    """The rate by activation and batch size in the deepest nets, beside theory's."""
    deepest = max(row["depth"] for row in rows)
    batches = sorted({row["batch"] for row in rows})
    at = {(row["activation"], row["batch"], row["depth"]): row for row in rows}
    body = []
    for name in dict.fromkeys(row["activation"] for row in rows):
        of = [at.get((name, batch, deepest)) for batch in batches]
        row = next(r for r in rows if r["activation"] == name)
        limit = row["rate_large_batch"]
        shown = (f"{limit:.3f}", number(trainable_depth(limit)))
        shown = shown if limit > 1.0001 else ("1", "∞")
        apart = Mark(f"{row['spread']:.2f}", "" if symmetric(row) else "warning")
        body.append((name, *map(_entry, of), *shown, apart))
    batches = [f"B = {batch}" for batch in batches]
    headers = ("activation", *batches, "B → ∞", "trainable", "spread")
    title = (
        "Factor of the squared gradient per layer (theory at that batch). Trainable: "
        "16 / ln(rate) layers, says the paper. Spread: above 1 examples do not stay alike"
    )
    return [Table(title, headers, tuple(body))]


def _entry(row):
    if row is None or row["status"] != "ok":
        return Mark(row["status"] if row else "", "dim")
    far = abs(misses(row)) - 3 * error(row) > WITHIN
    text = f"{row['rate']:.3f} ({row['rate_theory']:.3f})"
    return Mark(text, "warning" if far else "good")


def draw_figures(rows, profiles):
    caption = (
        "Left: measured factor of the squared gradient per layer, less 1, against theory "
        "at the same batch size; the line is equality, 0 would be a stable net; hollow "
        "where theory's fixed point is unstable. Right: the gradient's size by layer "
        "relative to the last; dashed lines are theory."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


def _draw(rows, profiles):
    rows = [row for row in rows if row["status"] == "ok"]
    deepest = max((row["depth"] for row in rows), default=0)
    rows = [row for row in rows if row["depth"] == deepest]
    figure = figures.new(9.2, 4)
    left, right = figure.subplots(1, 2)
    batches = sorted({row["batch"] for row in rows})
    _against_theory(left, [row for row in rows if row["rate"] > 1], batches)
    lines = []
    for name in ("linear", "tanh", "relu"):
        for row in rows:
            if (row["activation"], row["batch"]) == (name, batches[-1]):
                measured = profiles(row)["log10_gradient"].mean(axis=0)
                steps = np.arange(len(measured))[::-1]
                theory = steps * math.log10(row["rate_theory"]) / 2
                lines.append(figures.Line(name, measured - measured[-1], theory))
    figures.profile_lines(right, lines, f"batch {batches[-1]}")
    right.set_xlabel("state (layer)")
    right.set_ylabel("log10 gradient / last state's")
    if lines:
        right.legend(frameon=False)
    return figure


def _against_theory(axes, rows, batches):
    """Excess rates over 1, hollow where the theory's fixed point is unstable."""
    for place, batch in enumerate(batches):
        colour = f"C{place % 10}"
        for row in (row for row in rows if row["batch"] == batch):
            axes.errorbar(
                row["rate_theory"] - 1,
                row["rate"] - 1,
                yerr=3 * (row.get("rate_se") or 0),
                fmt="o",
                ms=4,
                color=colour,
                mfc=colour if symmetric(row) else "white",
            )
        axes.plot([], [], "o", color=colour, ms=4, label=f"batch {batch}")
    axes.plot([], [], "o", color="black", mfc="white", ms=4, label="examples spread")
    far = {}
    for row in sorted(rows, key=lambda row: -abs(misses(row))):
        far.setdefault(row["activation"], row)
    for row in list(far.values())[:5]:
        axes.annotate(
            row["activation"],
            (row["rate_theory"] - 1, row["rate"] - 1),
            fontsize=6.5,
            ha="right",
            xytext=(-5, 2),
            textcoords="offset points",
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.axline((0.1, 0.1), (1, 1), color="black", lw=0.8)
    axes.set_xlabel("theory: factor per layer − 1")
    axes.set_ylabel("measured")
    axes.legend(frameon=False)


WITHIN = 0.03  # corrections are of order 1/width per layer, and B/width


def misses(row):
    return row["rate"] / row["rate_theory"] - 1


def error(row):
    return row["rate_se"] / row["rate_theory"]


def wide(row):
    """Widths well above the batch: theory lets the width grow at a fixed batch."""
    return row["width"] >= 8 * row["batch"]


def symmetric(row):
    """Whether examples stay alike over the depths that are run here."""
    return row["spread"] is not None and row["spread"] <= 1.01


def relative(row):
    """The rate over theory's; 1 where they agree."""
    return mean(1 + misses(row), row.get("rate_se") and error(row), row["seeds"])


def excess(row, rate=1.0):
    """The rate over another."""
    error = row.get("rate_se")
    return mean(row["rate"] / rate, error and error / rate, row["seeds"])


LARGE = math.pi / (math.pi - 1)  # ReLU's rate in large batches
HERE = "noise, dense nets of 16 and 48 layers of 256 units, 10 drawn nets"
PAPER = "images, ε = 1e-3, batches that the width is large beside"


LABEL = ("activation", "batch", "depth")


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return nets.measure(cells, shared, memory, settings, finish)


STUDY = Study(
    name="batchnorm_explosion",
    kind="experiment",
    question="Does batch norm make the gradients of deep nets explode?",
    source=SOURCE,
    axes={
        "activation": Axis("the nonlinearity", ACTIVATIONS.published, ACTIVATIONS),
        "batch": Axis("examples", (8, 32, 128), kind="integer", low=4, high=1024),
        "depth": Axis("layers", (16, 48), kind="integer", low=12, high=10**5),
        "width": Axis("units", (256,), kind="integer", low=2, high=10**5, single=True),
        "seeds": Axis(
            "networks per cell", (10,), kind="integer", low=1, high=999, single=True
        ),
    },
    sizes={
        "smoke": {
            "activation": ("linear", "relu", "tanh"),
            "batch": (8, 16),
            "depth": (12,),
            "width": (32,),
            "seeds": (3,),
        },
        "full": {
            "batch": (8, 32, 128, 512),
            "depth": (16, 48, 128),
            "width": (2048,),
            "seeds": (10,),
        },
    },
    plan=nets.plan(settings),
    measure="depthbench.experiments.propagation.batchnorm_explosion:measure",
    columns=tuple(
        "activation batch depth width seeds status reason rate rate_se rate_theory "
        "rate_large_batch spread trainable_depth_paper log10_ratio".split()
    ),
    claims=(
        Claim(
            "yang2019.batch-norm-explodes",
            "with batch norm gradients explode, for every activation: the squared "
            "gradient's rate is above 1 a layer",
            f"{SOURCE}, section 1",
            tag="S7",
            protocol=f"{HERE}, batches of 8, 32 and 128",
            differs=PAPER,
            estimate=excess,
            published="above 1",
            allows=above(1.0),
            scope=lambda row: True,
            label=LABEL,
        ),
        Claim(
            "yang2019.relu-rate-in-large-batches",
            "with batch norm the rate of ReLU nets tends to π/(π − 1) in large batches",
            f"{SOURCE}, section 4",
            tag="S7",
            protocol=f"{HERE}, batches of 128",
            differs=PAPER,
            estimate=lambda row: excess(row, LARGE),
            published=f"{LARGE:.4g}: ratio 1",
            allows=about(1.0, within=WITHIN),
            scope=lambda row: row["activation"] == "relu" and row["batch"] >= 64,
            label=LABEL,
        ),
        Claim(
            "yang2019.linear-rate",
            "with batch norm the rate of linear nets is (B − 2)/(B − 3)",
            f"{SOURCE}, section 4",
            tag="S7",
            protocol=f"{HERE}, batches B of 8 and 32",
            differs=PAPER,
            estimate=relative,
            published="(B − 2)/(B − 3): ratio 1",
            allows=about(1.0, within=WITHIN),
            scope=lambda row: row["activation"] == "linear" and wide(row),
            label=LABEL,
        ),
        Claim(
            "yang2019.symmetric-rate",
            "with batch norm the rate is that of the symmetric fixed point, where it "
            "is stable",
            f"{SOURCE}, section 3",
            tag="S7",
            protocol=f"{HERE}, batches of 8 and 32",
            differs=PAPER,
            estimate=relative,
            published="the fixed point's: ratio 1",
            allows=about(1.0, within=WITHIN),
            scope=lambda row: wide(row) and symmetric(row),
            label=LABEL,
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=6.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
