"""Do random networks train only where information can travel through them?

Source: Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017, Deep Information Propagation,
arXiv:1611.01232, section 5.
"""

import functools

from depthbench.experiments.training import nets
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.optimizers import OPTIMIZERS
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study import trials
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Headline, Measured, Study
from depthbench.research.study.doubts import upward
from depthbench.research.study.estimates import above, below, mean
from depthbench.research.study.headlines import counted, listed, measured, out_of
from depthbench.research.study.plan import grouped, longest_first
from depthbench.research.study.tables import Mark, Table

with lazily():
    import numpy as np

    from depthbench.research.theory import mean_field

ACTIVATION = "tanh"
SLOW = 2e-5  # the largest learning rate of which the claims are
PROTOCOL = "tanh, digits, 100 units, RMSProp at 2e-5, 300 steps of 64 examples"
DIFFERS = "MNIST, 300 units, SGD at 1e-3 or RMSProp at 1e-5, 200 to 10,000 steps"
GUESSING = 0.1  # accuracy
TRAINS = 0.55  # half-way from guessing to none wrong


def settings(cell):
    return {"activation": ACTIVATION, "initializer": "free"}


def finish(cell, result):
    """Accuracy on the training set beside theory's depth, 6 ξ_c."""
    theory = mean_field.theory(
        ACTIVATIONS[ACTIVATION], cell["sigma_w2"], cell["sigma_b2"]
    )
    depth = theory.trainable_depth
    row = nets.scores(result) | {
        "phase": theory.phase,
        "xi_c": nets.finite(theory.xi_c),
        "trainable_depth": nets.finite(depth),
        "depth_over": cell["depth"] / depth,
        "diverged_at": result.values.get("diverged_at"),
    }
    row["trains"] = result.status == "ok" and row["train_accuracy"] >= TRAINS
    row["unfinished"] = bool(result.values.get("falling")) and not row["trains"]
    # Theory near this σ_w², so that the figure's lines need no theory, which needs jax.
    near = cell["sigma_w2"] * np.linspace(0.5, 1.5, 61)
    lines = {"sigma_w2": near, "xi_c": depth_scales(near, cell["sigma_b2"])}
    return Measured(result.status, result.reason, row, lines)


def depth_scales(sigma_w2, sigma_b2):
    """ξ_c [as sigma_w2]."""
    phi = ACTIVATIONS[ACTIVATION]
    scales = [mean_field.depth_scales(phi, float(s), sigma_b2).xi_c for s in sigma_w2]
    return np.array(scales)


def accuracy(row):
    return mean(row["train_accuracy"], row["train_accuracy_se"], row["seeds"])


def deep(row):
    """Whether a net is deeper than 6 ξ_c; None where that was not computed."""
    return None if row["depth_over"] is None else row["depth_over"] > 1


def fit(cells, typed):
    """The cells; of larger rates, unless typed, with every third variance alone."""
    if {"learning_rate", "sigma_w2"} & typed:
        return cells, []
    some = sorted({cell["sigma_w2"] for cell in cells})[::3]
    slowest = min(cell["learning_rate"] for cell in cells)
    return [
        cell
        for cell in cells
        if cell["learning_rate"] == slowest or cell["sigma_w2"] in some
    ], []


def slow(rows):
    """The rows of the smallest learning rate: what the claims are of."""
    least = min((row["learning_rate"] for row in rows), default=None)
    return [row for row in rows if row["learning_rate"] == least]


def headline(rows):
    """How many nets train within 6 ξ_c layers and beyond, and the least that does not."""
    done = slow(measured(rows))
    within = [row for row in done if row["depth_over"] <= 1]
    beyond = [row for row in done if row["depth_over"] > 1]

    def trained(nets):
        return out_of(sum(bool(row["trains"]) for row in nets), len(nets), "nets")

    parts = [f"{trained(within)} of at most 6 ξ_c layers"] if within else []
    parts += [f"{trained(beyond)} deeper than that"] if beyond else []
    failed = [row for row in within if not row["trains"]] or beyond or within
    worst = min(failed, key=lambda row: row["train_accuracy"])
    ratio = f"{worst['depth_over']:.2g} × 6 ξ_c"
    return Headline(
        f"Trained are {listed(parts)}.",
        f"Worst{' within 6 ξ_c' * (worst['depth_over'] <= 1)}: σ_w² = "
        f"{worst['sigma_w2']:g} with {counted(worst['depth'], 'layer')} ({ratio}), "
        f"{worst['train_accuracy']:.0%} right in training.",
    )


def tables(rows):
    """A table for each learning rate: at larger ones deeper nets train."""
    by_rate = grouped(rows, lambda row: row["learning_rate"])
    return [accuracies(rate, by_rate[rate]) for rate in sorted(by_rate)]


def accuracies(rate, rows):
    """Accuracy by depth and σ_w²; red where theory and net differ on what trains."""
    sigmas = sorted({row["sigma_w2"] for row in rows})
    depths = sorted({row["depth"] for row in rows})
    at = {(row["sigma_w2"], row["depth"]): row for row in rows}
    body = []
    for sigma in sigmas:
        line = [at.get((sigma, depth)) for depth in depths]
        limit = next(row.get("trainable_depth") for row in line if row)
        text = "∞" if limit is None else f"{limit:.0f}"
        body.append((f"{sigma:g}", text, *(map(entry, line))))
    headers = ("σ_w²", "6 ξ_c", *(f"{depth} layers" for depth in depths))
    title = (
        f"Training accuracy at a rate of {rate:g} (red: trains beyond 6 ξ_c, or does not "
        "within it)"
    )
    return Table(title, headers, tuple(body))


def entry(row):
    if row is None:
        return ""
    if row["status"] != "ok":
        at = row.get("diverged_at")
        text = row["status"] if at is None else f"{row['status']} at {at}"
        return Mark(text, "good" if row.get("depth_over", 0) > 1 else "bad")
    agrees = row["trains"] == (row["depth_over"] <= 1)
    return Mark(f"{row['train_accuracy']:.0%}", "good" if agrees else "bad")


def draw_figures(rows, profiles):
    caption = (
        "Training accuracy after the same number of small steps. Dashed: theory's 6 ξ_c, "
        "below which nets should train; dotted: ξ_c."
    )
    return [Figure("figure", caption, functools.partial(_draw, slow(rows), profiles))]


def _draw(rows, profiles):
    figure = figures.new(5.6, 3.8)
    axes = figure.subplots()
    sigmas = sorted({row["sigma_w2"] for row in rows})
    depths = sorted({row["depth"] for row in rows})
    shown = np.full((len(depths), len(sigmas)), np.nan)
    for row in rows:
        if row.get("train_accuracy") is not None:
            place = depths.index(row["depth"]), sigmas.index(row["sigma_w2"])
            shown[place] = row["train_accuracy"]
    across = edges(sigmas)
    image = axes.pcolormesh(
        across, edges(depths, log=True), shown, vmin=0, vmax=1, cmap="inferno"
    )
    near = {row["sigma_w2"]: profiles(row) for row in rows}.values()
    points = sorted({pair for of in near for pair in zip(*_line(of), strict=True)})
    grid, scale = np.array(points).T if points else np.empty((2, 0))
    axes.plot(grid, 6 * scale, color="white", ls="--", lw=1.6, label="6 ξ_c")
    axes.plot(grid, scale, color="white", ls=":", lw=1.2, label="ξ_c")
    axes.set_xlim(across[0], across[-1])
    axes.set_yscale("log")
    axes.set_ylim(*edges(depths, log=True)[[0, -1]])
    axes.set_yticks(depths, [str(depth) for depth in depths])
    axes.minorticks_off()
    axes.set_xlabel("σ_w²")
    axes.set_ylabel("layers")
    axes.set_title(f"{ACTIVATION}, σ_b² = {rows[0]['sigma_b2']:g}", loc="left")
    axes.legend(fontsize=7, facecolor="#555555", labelcolor="white", loc="upper right")
    figure.colorbar(image, ax=axes, label="training accuracy")
    return figure


def _line(profiles):
    """(σ_w², ξ_c), each [points], of a row's theory; runs of before have none."""
    return profiles.get("sigma_w2", ()), profiles.get("xi_c", ())


def edges(values, log=False):
    """The borders of a map's columns (or rows), half-way between their middles."""
    middle = np.log(values) if log else np.asarray(values, float)
    if len(middle) == 1:
        borders = np.array([middle[0] - 0.5, middle[0] + 0.5])
    else:
        inner = (middle[1:] + middle[:-1]) / 2
        first, last = 2 * middle[0] - inner[0], 2 * middle[-1] - inner[-1]
        borders = np.concatenate([[first], inner, [last]])
    return np.exp(borders) if log else borders


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return trials.measure(cells, memory, settings, finish)


STUDY = Study(
    name="trainable_depth",
    kind="experiment",
    question="Do random nets train only up to about 6 ξ_c layers?",
    source="Schoenholz et al. 2017, arXiv:1611.01232",
    axes={
        "sigma_w2": Axis(
            "variance of the weights × fan-in",
            (1.0, 1.25, 1.5, 1.75, 2.5, 3.0, 4.0),
            kind="number",
            low=1e-3,
            high=1e3,
        ),
        "sigma_b2": Axis(
            "variance of the biases",
            (0.05,),
            kind="number",
            low=0,
            high=1e3,
            single=True,
        ),
        "depth": Axis(
            "layers", (10, 20, 40, 80, 160), kind="integer", low=1, high=10**4
        ),
        "optimizer": Axis("the update rule", ("rmsprop",), OPTIMIZERS, single=True),
        "learning_rate": Axis(
            "the claims are of the smallest, as larger ones hide the border",
            (SLOW, 10 * SLOW),
            kind="number",
            low=1e-12,
            high=1e3,
        ),
        "dataset": readable.axis(readable.classified),
        "width": nets.one("units", 100, low=2),
        "steps": nets.one("steps per run", 300),
        "seeds": nets.one("runs per cell", 3),
    },
    sizes={
        "smoke": {
            "sigma_w2": (1.0, 1.75, 4.0),
            "depth": (4, 60),
            "learning_rate": (SLOW,),
            "width": (16,),
            "steps": (20,),
        },
        "full": {
            "sigma_w2": tuple(1 + k / 8 for k in range(25)),
            "depth": (10, 20, 40, 60, 80, 100, 140, 180, 220, 260, 300),
            "dataset": ("fashion_mnist",),
            "width": (300,),
            "learning_rate": (1e-5, 1e-4),
            "steps": (3000,),
            "seeds": (5,),
        },
    },
    fit=fit,
    plan=trials.plan(settings, longest_first),
    measure="depthbench.experiments.training.trainable_depth:measure",
    columns=tuple(
        "sigma_w2 sigma_b2 depth optimizer learning_rate dataset width steps seeds "
        "status reason train_accuracy train_accuracy_se train_accuracy_low "
        "train_accuracy_high test_accuracy trains unfinished phase xi_c "
        "trainable_depth depth_over diverged_at".split()
    ),
    claims=(
        Claim(
            "schoenholz2017.shallow-trains",
            "nets of at most 6 ξ_c layers train (to over 55 %, half-way from guessing)",
            "Schoenholz et al. 2017, arXiv:1611.01232, section 5",
            tag="S3",
            estimate=accuracy,
            allows=above(TRAINS),
            moves=upward,
            counts={"diverged": GUESSING},
            protocol=PROTOCOL,
            differs=DIFFERS,
            published="accuracy above 0.55",
            scope=lambda row: row["learning_rate"] <= SLOW and deep(row) is not True,
            label=("sigma_w2", "depth"),
        ),
        Claim(
            "schoenholz2017.deep-fails-by-variance",
            "nets of more than 6 ξ_c layers do not train, at a rate of 2e-5: larger "
            "ones hide the border",
            "Schoenholz et al. 2017, arXiv:1611.01232, section 5",
            tag="S3",
            estimate=accuracy,
            allows=below(TRAINS),
            moves=upward,
            counts={"diverged": GUESSING},
            protocol=PROTOCOL,
            differs=DIFFERS,
            published="accuracy below 0.55",
            scope=lambda row: row["learning_rate"] <= SLOW and deep(row) is not False,
            label=("sigma_w2", "depth"),
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=5.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
