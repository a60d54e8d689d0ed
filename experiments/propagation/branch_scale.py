"""Does batch norm make residual branches smaller, against the skip, the deeper they are?

Source: De & Smith 2020, Batch Normalization Biases Residual Blocks Towards the Identity
Function in Deep Networks, arXiv:2002.10444, section 2. At initialisation a normalised
branch has the same variance at every block, and the skip's grows by it: after l blocks
their ratio is about 1/l, and the branch is smaller than the skip by √l in size. Without
norms a branch has the variance of its skip, which doubles.

Dense nets, and the first group of pre-activation residual nets (opened by a block of its
own), of digits. Variances are over a batch (and pixels), of a unit, averaged over units.
"""

import functools
import itertools

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.catalogues.initializers import DRAWS, INITIALIZERS
from depthbench.research.catalogues.normalizers import NORMALIZERS
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
from depthbench.research.study.estimates import about, mean_of
from depthbench.research.study.headlines import counted, listed, measured
from depthbench.research.study.tables import Mark, Table, number

with lazily():
    import jax
    import numpy as np

    from depthbench.experiments.propagation import transformers
    from depthbench.research.architectures import contract, walk
    from depthbench.research.signal import profiles as profiles_of

SOURCE = "De & Smith 2020, arXiv:2002.10444, section 2"
NETS = ("residual_mlp", "resnet_v2")
SLOPES = {"batch": -0.5, "none": 0.0}  # of log size on log depth
WITHIN = 0.1  # over the fit's factor of 12 in depth, a factor of 1.3
LEAST = 8  # blocks: the law is asymptotic


def build(cell):
    """The stem, and as many blocks as the cell is deep; of images the first group."""
    name, depth = cell["architecture"], cell["depth"]
    rule = INITIALIZERS["he_normal"].hidden(ACTIVATIONS["relu"])

    def gains(fan_in, fan_out):
        variances = rule(fan_in, fan_out)
        return variances.sigma_w2**0.5, variances.sigma_b2**0.5

    images = ARCHITECTURES[name].takes == "image"
    layers = 6 * depth + 2 if images else depth  # a group has `depth` blocks
    settings = contract.Settings(
        width=cell["width"],
        depth=layers,
        activation=ACTIVATIONS["relu"].phi,
        weights=contract.Weights(DRAWS["normal"], gains),
        normalizer=NORMALIZERS[cell["normalizer"]],
        outputs=10,
        active_depth=layers,
    )
    net = ARCHITECTURES[name].build(settings)
    return net._replace(stages=net.stages[:2]) if images else net


def variance(h):
    """Mean over units of the variance over all else, of h [..., units]."""
    flat = np.asarray(h, np.float64).reshape(-1, h.shape[-1])
    return float(np.mean(np.var(flat, axis=0)))


def ratios(states):
    """log10 of a branch's size over its skip's [blocks], of states [blocks + 1, …]."""
    return np.array(
        [
            0.5 * np.log10(variance(after - before) / variance(before))
            for before, after in itertools.pairwise(states)
        ]
    )


def slope(log10, first):
    """The power of depth that sizes [blocks] follow; the first is of block `first`."""
    depth = np.arange(len(log10)) + first
    later = depth >= min(LEAST, depth[-1] // 2)
    return float(np.polyfit(np.log10(depth[later]), np.asarray(log10)[later], 1)[0])


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [branches(cell) for cell in cells]


def branches(cell):
    """The slope of every seed's sizes, and their mean by block."""
    net = build(cell)
    first = sum(stage.depth for stage in net.stages[:-1]) + 1

    @jax.jit
    def run(variables, x):
        *others, link, _ = contract.links(net, variables)
        with jax.default_matmul_precision("highest"):
            h, _ = walk.fold(others, x)
            last, before = walk.through(link, h)
        return jax.numpy.concatenate([before, last[None]])

    curves = []
    for key, x, _ in zip(*transformers.batches(cell), strict=True):
        states = np.asarray(run(contract.init(key, net, x), x), np.float64)
        if not np.all(np.isfinite(states)):
            return Measured("overflow", "a state is not finite in float32", {})
        curves.append(ratios(states))
    power = profiles_of.over_seeds(np.array([slope(curve, first) for curve in curves]))
    curves = np.stack(curves)
    values = {
        "power": power.mean,
        "power_se": power.error,
        "log10_last": float(np.mean(curves[:, -1])),
    }
    depth = np.arange(curves.shape[1]) + first
    return Measured("ok", "", values, {"log10_ratio": curves, "block": depth})


def headline(rows):
    """By which power of depth branches shrink, and the one farthest from theory."""
    done = measured(rows)
    powers = [f"l^{row['power']:+.2f} in {net(row)}" for row in done]
    answer = f"At block l a branch's size over its skip's goes as {listed(powers, 4)}"
    known = [row for row in done if row["normalizer"] in SLOPES]
    if not known:
        return Headline(f"{answer}.")
    worst = max(known, key=off)
    return Headline(
        f"{answer}.",
        f"Farthest from theory ({SLOPES[worst['normalizer']]:+g}): {net(worst)} of "
        f"{counted(worst['depth'], 'block')}, by {off(worst):.2f}.",
    )


def net(row):
    norm = "no norm" if row["normalizer"] == "none" else f"{row['normalizer']} norm"
    return f"{row['architecture']} with {norm}"


def off(row):
    """By how much a power misses theory's; 0 where there is none."""
    return abs(row["power"] - SLOPES.get(row["normalizer"], row["power"]))


def tables(rows):
    def line(row):
        names = ("architecture", "normalizer", "depth")
        if row["status"] != "ok":
            return (
                *(str(row[name]) for name in names),
                Mark(row["status"], "bad"),
                "-",
            )
        text = f"{row['power']:+.3f} ± {row['power_se'] or 0:.3f}"
        return (
            *(str(row[name]) for name in names),
            Mark(text, "good" if off(row) <= WITHIN else "bad"),
            number(10 ** row["log10_last"]),
        )

    headers = ("architecture", "normalizer", "blocks")
    theory = "power of depth (theory: −½ batch, 0 none)"
    title = "Size of a branch over that of its skip"
    body = tuple(line(row) for row in rows)
    return [Table(title, (*headers, theory, "at the last block"), body)]


def draw_figures(rows, profiles):
    caption = (
        "Standard deviation of a residual branch over that of its skip, block by block at "
        "initialisation: mean and range over seeds. Dotted: 1/√l through the last block."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


def _draw(rows, profiles):
    import matplotlib

    figure = figures.new(6.5, 3.8)
    axes = figure.subplots()
    colours = matplotlib.color_sequences["tab10"]
    for place, row in enumerate(row for row in rows if row["status"] == "ok"):
        curves = profiles(row)
        block, sizes = curves["block"].astype(float), 10 ** curves["log10_ratio"]
        label = f"{row['architecture']}, {row['normalizer']}: {row['power']:+.2f}"
        axes.plot(block, sizes.mean(0), color=colours[place], lw=1.4, label=label)
        low, high = sizes.min(0), sizes.max(0)
        axes.fill_between(block, low, high, color=colours[place], alpha=0.15, lw=0)
        if row["normalizer"] == "batch":
            law = sizes.mean(0)[-1] * (block / block[-1]) ** -0.5
            axes.plot(block, law, ":", color=colours[place], lw=1)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("block")
    axes.set_ylabel("size of branch / size of skip")
    axes.grid(alpha=0.25, lw=0.5)
    axes.legend(fontsize=7, frameon=False, title="power of depth", title_fontsize=7)
    return figure


def plan():
    """Each cell by itself, with the memory that its states take."""

    def cost(cells, shared):
        (cell,) = cells
        states = cell["batch"] * cell["width"] * (64 if "resnet" in str(cell) else 1)
        size = 2**27 + 16 * cell["depth"] * (states + 18 * cell["width"] ** 2)
        work = states * cell["depth"] * cell["width"] * cell["seeds"]
        return Cost(size, size, 3.0 + 3.5e-9 * work)

    return Plan(cost=cost)


def claim(key, says, normalizer, published):
    return Claim(
        key,
        says,
        SOURCE,
        tag="S22",
        estimate=mean_of("power"),
        allows=about(SLOPES[normalizer], within=WITHIN),
        # Three factors of two to fit at the least.
        scope=lambda row: row["normalizer"] == normalizer and row["depth"] >= 8 * LEAST,
        protocol=(
            "digits, dense nets and the first group of pre-activation residual nets, ReLU "
            "at He's variance, slope of log size on log depth from block 8 on"
        ),
        differs="wide residual nets on CIFAR-10, one of Gaussian inputs",
        doubt=certain,
        published=published,
        label=("architecture", "normalizer", "depth"),
    )


STUDY = Study(
    name="branch_scale",
    kind="experiment",
    question="Does batch norm make residual branches smaller, the deeper they are?",
    source=SOURCE,
    axes={
        "architecture": Axis(
            "how blocks are made",
            NETS,
            Catalogue("architecture", [ARCHITECTURES[name] for name in NETS]),
        ),
        "normalizer": Axis(
            "what comes before the activation",
            ("none", "batch"),
            NORMALIZERS.only(
                lambda one: one.name in ("none", "batch", "layer", "rms"),
                lambda one: "is not compared here",
            ),
        ),
        "depth": Axis("blocks", (96,), kind="integer", low=4, high=10**4),
        "width": Axis("units or channels", (32,), kind="integer", low=4, high=10**4),
        "batch": Axis("digits", (64,), kind="integer", low=2, high=1797),
        "seeds": Axis(
            "networks per row", (10,), kind="integer", low=1, high=999, single=True
        ),
    },
    sizes={
        "smoke": {"depth": (8,), "width": (8,), "batch": (8,), "seeds": (3,)},
        "full": {"depth": (110,), "width": (32, 256), "batch": (256,), "seeds": (16,)},
    },
    plan=plan(),
    measure="depthbench.experiments.propagation.branch_scale:measure",
    columns=tuple(
        "architecture normalizer depth width batch seeds status reason power power_se "
        "log10_last".split()
    ),
    claims=(
        claim(
            "de2020.batch-norm-shrinks-branches",
            "batch norm makes residual branches smaller than their skip by the square "
            "root of their depth",
            "batch",
            "power −½",
        ),
        claim(
            "de2020.branches-without-norm-do-not",
            "without norms residual branches stay as large against their skip at every "
            "depth",
            "none",
            "power 0",
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
