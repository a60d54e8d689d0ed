"""Random Transformers of many depths, and powers of the depth: what two studies share."""

import functools

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.catalogues.initializers import DRAWS, INITIALIZERS
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.lazy import lazily
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Cost, Plan
from depthbench.research.study.tables import Mark, Table, with_error

with lazily():
    import jax
    import numpy as np
    import optax

    from depthbench.research import datasets
    from depthbench.research.architectures import contract, walk
    from depthbench.research.signal import profiles

XAVIER = INITIALIZERS["glorot_normal"]  # what both papers start from
RELU = ACTIVATIONS["relu"]
COLOURS = {
    "transformer_post_ln": "#c0392b",
    "transformer_pre_ln": "#1f5f99",
    "transformer_deepnorm": "#1e8449",
}


def axes(names, depth, batch, seeds):
    """Architectures, the deepest stack, and sizes; a row holds every depth up to it."""
    chosen = Catalogue("architecture", [ARCHITECTURES[name] for name in names])
    return {
        "architecture": Axis("where the normaliser stands", names, chosen),
        "depth": Axis(
            "deepest stack; shallower ones are its first layers",
            (depth,),
            kind="integer",
            low=4,
            high=2**14,
        ),
        "width": Axis("units per state", (64,), kind="integer", low=8, high=2**14),
        "batch": Axis("digits", (batch,), kind="integer", low=2, high=1797),
        "seeds": Axis(
            "networks per row", (seeds,), kind="integer", low=1, high=999, single=True
        ),
    }


def depths_to(deepest, step):
    """The deepest [depths], and its quotients by powers of `step`: shallow to deep."""
    depths = [deepest]
    while depths[0] >= step:
        depths.insert(0, depths[0] // step)
    return np.asarray(depths, np.int32)


def build(cell, active_depth, normalizer="layer"):
    """A net of ReLUs, and of layer norms by default, with Xavier's variances.

    active_depth: how many of its layers are run, which DeepNorm's scales refer to.
    """
    rule = XAVIER.hidden(RELU)

    def gains(fan_in, fan_out):
        variances = rule(fan_in, fan_out)
        return variances.sigma_w2**0.5, variances.sigma_b2**0.5

    settings = contract.Settings(
        width=cell["width"],
        depth=cell["depth"],
        activation=RELU.phi,
        weights=contract.Weights(DRAWS[XAVIER.draw], gains),
        normalizer=NORMALIZERS[normalizer],
        outputs=10,
        active_depth=active_depth,
    )
    return ARCHITECTURES[cell["architecture"]].build(settings)


@functools.cache
def _digits():
    return datasets.DATASETS["digits"].load()


def batches(cell):
    """(keys [seeds], x [seeds, batch, 8, 8, 1], y [seeds, batch]): digits, row by row."""
    data = _digits()
    chosen = np.stack(
        [
            np.random.default_rng(seed).choice(len(data.y), cell["batch"], False)
            for seed in range(cell["seeds"])
        ]
    )
    keys = [jax.random.key(seed) for seed in range(cell["seeds"])]
    return keys, data.x[chosen], data.y[chosen]


OUTER = {"value", "output", "wide", "narrow"}  # what β is a factor of


def brought(variables, ratio):
    """The variables of a net whose β is `ratio` times that of these: of another depth.

    So one draw serves every depth of DeepNorm; β of the other nets is 1.
    """

    def times(path, leaf):
        kernel = path[-1].key == "kernel" and path[-2].key in OUTER
        return leaf * ratio if kernel else leaf

    layers = jax.tree_util.tree_map_with_path(times, variables.stages)
    return variables._replace(stages=layers)


def beta(net):
    """The factor of σ_w in a net's values, attention outputs and feed-forward nets."""
    return net.stages[0].layer.placement.beta


def walked(net, variables, x, depth):
    """(layers, the last state [batch, time, width], those before each layer, head).

    layers: one link of them all. head: from the last state to the outputs.
    depth: how many layers are run; may be traced, so that one program serves all.
    """
    links = contract.links(net, variables, depths=(depth,))
    (layers,), h, head = walk.begin(links, x)
    last, before = walk.through(layers, h)
    return layers, last, before, lambda h: walk.fold(head, h)[0]


def plan(layer_seconds):
    """Each cell by itself, with a program and the memory that its nets take.

    layer_seconds: that a layer of 64 units takes, on 8 examples.
    """

    def cost(cells, shared):
        (cell,) = cells
        layer = 12 * cell["width"] ** 2 + 24 * cell["batch"] * cell["width"]
        size = 2**28 + 16 * cell["depth"] * layer  # 4 bytes; variables twice, and room
        layers = cell["depth"] * cell["seeds"] * layer / (12 * 64**2 + 24 * 8 * 64)
        return Cost(size, size, layer_seconds * layers)

    return Plan(program=lambda cell: tuple(cell.values()), cost=cost)


def labelled(y):
    """The mean cross-entropy of outputs [batch, classes] at labels y [batch]."""

    def loss(logits):
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    return loss


def exponent(log10, depths, least=1):
    """(p, its standard error over seeds) of value ∝ depth^p, from depth `least` on.

    log10: [seeds, depths].
    """
    chosen = np.asarray(depths) >= least
    powers = np.log10(np.asarray(depths, np.float64)[chosen])
    slopes = np.polyfit(powers, np.asarray(log10, np.float64)[:, chosen].T, 1)[0]
    return profiles.over_seeds(slopes, 1.0)


def table(rows, title, headers, names, tone):
    """One line a row: the net, and exponents with their standard errors.

    headers: for the columns `names`. tone: from (row, name) to the mark's tone.
    """

    def entry(row, name):
        if row["status"] != "ok":
            return Mark(row["status"], "bad")
        text = with_error(row[name], row[f"{name}_se"], "+.3f")
        return Mark(text, tone(row, name))

    body = tuple(
        (
            row["architecture"],
            str(row["depth"]),
            str(row["width"]),
            *(entry(row, name) for name in names),
        )
        for row in rows
    )
    return Table(title, ("architecture", "depth", "width", *headers), body)


def draw_power(axes, rows, profiles, name, label):
    """10^(a row's profile `name`) against depth, both logarithmic: a seed is a dot."""
    for row in rows:
        if row["status"] != "ok":
            continue
        curves, colour = profiles(row), COLOURS[row["architecture"]]
        depths, log10 = curves["depths"], curves[name]
        text = row["architecture"].removeprefix("transformer_")
        text = f"{text}, {row['width']} wide: {row[f'{name}_exponent']:+.2f}"
        style = "-" if row["width"] <= 64 else "--"
        axes.plot(depths, 10 ** log10.mean(0), style, color=colour, lw=1.4, label=text)
        for seed in log10:
            axes.plot(depths, 10**seed, ".", color=colour, ms=4, alpha=0.5)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("layers")
    axes.set_ylabel(label)
    axes.grid(alpha=0.25, lw=0.5)
    axes.legend(fontsize=6.5, frameon=False, title="exponent", title_fontsize=6.5)
