"""How many weights has a dense layer between images of a megapixel, and what holds them?

Popular accounts of convolutional nets begin here: a photograph of a megapixel has
3 million numbers, and a dense layer that reads and gives as many has 9 trillion weights.

Nothing is trained: this project's own nets are built by their shapes alone
(`jax.eval_shape`), so that a net of any size is counted exactly, weight by weight and
operation by operation. Beside the dense net stands one of 3 × 3 convolutions, 64 channels
at every pixel. There is no score that a net could be better in: no line of the table of
all systems.
"""

import functools

from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.report import figures
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import (
    Figure,
    Headline,
    Measured,
    Plan,
    Study,
    fixed,
)
from depthbench.research.study.estimates import about, above, exact
from depthbench.research.study.headlines import counted, measured
from depthbench.research.study.tables import Mark, Table, number

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

    from depthbench.research.architectures import contract
    from depthbench.research.learning import supervised
    from depthbench.research.machine import operations

SOURCE = "popular accounts of convolutional nets"
COLOURS, CLASSES, CHANNELS = 3, 10, 64
# Bytes that training keeps: float32 weights, their gradient, Adam's two averages.
A_WEIGHT, A_STATE = 16, 4
DEVICES = {
    "a laptop": 16e9,
    "an H100": 80e9,
    "8 H100s": 640e9,
    "1,024 H100s": 81_920e9,
}
KINDS = choices(
    "kind",
    dense="every number of a state from every number of the one before",
    convolution="each from 3 × 3 pixels around it, with the same weights everywhere",
)
ARCHITECTURE = {"dense": "mlp", "convolution": "cnn_same"}


def net_of(kind, side, depth):
    """The net, dense with as many units as an image has numbers."""
    width = COLOURS * side * side if kind == "dense" else CHANNELS
    recipe = Recipe(architecture=ARCHITECTURE[kind], depth=depth, width=width)
    task = supervised.Task((side, side, COLOURS), CLASSES)
    return supervised.parts(recipe, task=task).net


@functools.cache
def shapes(kind, side, depth):
    """(variables, a state) of a net that reads one image, as shapes."""
    net = net_of(kind, side, depth)
    x = jax.ShapeDtypeStruct((1, side, side, COLOURS), jnp.float32)
    key = jax.random.key(0)
    variables = jax.eval_shape(lambda key, x: contract.init(key, net, x), key, x)
    state = jax.eval_shape(lambda v, x: net.stem.apply(v, x), variables.stem, x)
    return variables, state


def count(tree, kernels=False):
    """How many numbers there are in arrays of these shapes; of kernels alone."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    wanted = (leaf for path, leaf in leaves if not kernels or path[-1].key == "kernel")
    return sum(leaf.size for leaf in wanted)


def mflop(kind, side, depth):
    """Millions of operations of the gradient of one image's outputs."""
    net, (variables, _) = net_of(kind, side, depth), shapes(kind, side, depth)
    x = jax.ShapeDtypeStruct((1, side, side, COLOURS), jnp.float32)
    outputs = lambda v, x: jnp.sum(contract.apply(net, v, x, False)[0])
    return operations.count(jax.make_jaxpr(jax.grad(outputs))(variables, x).jaxpr)


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [counts(cell) for cell in cells]


def counts(cell):
    """The weights of a net and of one of its layers, and what they need."""
    kind, side, depth = (cell[name] for name in ("kind", "side", "depth"))
    variables, state = shapes(kind, side, depth)
    (stage,) = variables.stages
    layer, ends = count(stage) // depth, count((variables.stem, variables.head))
    weights, held = count(variables), state.size
    training = A_WEIGHT * weights + A_STATE * held * (depth + 1)
    values = {
        "layer_weights": float(count(stage, kernels=True) // depth),
        "weights": float(weights),
        "state": float(held),
        "weights_gb": 4 * weights / 1e9,
        "training_gb": training / 1e9,
        "step_mflop": mflop(kind, side, depth).total / 1e6,
        "device": device(training),
        "deepest": float(deepest(layer, ends, held, DEVICES["an H100"])),
    }
    return Measured("ok", "", values)


def device(need):
    """The smallest of DEVICES that holds so many bytes."""
    return next((name for name, room in DEVICES.items() if need <= room), "none")


def deepest(layer, ends, state, room):
    """How many layers can be trained in so many bytes; −1 if not even the ends fit."""
    left = room - A_WEIGHT * ends - A_STATE * state
    return max(int(left // (A_WEIGHT * layer + A_STATE * state)), -1)


def headline(rows):
    """What one layer has at the largest image, and how deep each kind can be."""
    done = measured(rows)
    side = max(row["side"] for row in done)
    largest = {row["kind"]: row for row in done if row["side"] == side}
    said = [
        f"a {kind} layer has {row['layer_weights']:,.0f} weights"
        for kind, row in largest.items()
    ]
    deep = [
        f"{kind} {counted(max(int(row['deepest']), 0), 'layer')}"
        for kind, row in largest.items()
    ]
    worst = max(done, key=lambda row: row["training_gb"])
    return Headline(
        f"Between images of {side} × {side} pixels {' and '.join(said)}; an H100 trains "
        f"{' and '.join(deep)}.",
        f"Most: {worst['kind']}, {counted(worst['depth'], 'layer')}, "
        f"{worst['training_gb']:,.0f} GB to train; held by {worst['device']}.",
    )


def tables(rows):
    body = tuple(
        (
            *(str(row[name]) for name in ("kind", "side", "depth")),
            f"{row['layer_weights']:,.0f}",
            number(row["weights"]),
            number(row["training_gb"]),
            number(row["step_mflop"]),
            Mark(row["device"], "bad" if row["device"] == "none" else "good"),
            f"{row['deepest']:,.0f}" if row["deepest"] >= 0 else "-",
        )
        for row in measured(rows)
    )
    needs = ("GB to train", "Mflop an image", "held by", "layers in 80 GB")
    headers = ("kind", "side", "depth", "a layer's weights", "all", *needs)
    return [Table("Dense layers and convolutions between images", headers, body)]


def draw(rows):
    """Draws a layer's weights by the image's size, and how deep an H100 trains."""
    figure = figures.new(8.4, 3.4)
    left, right = figure.subplots(1, 2)
    lines = {}
    for row in sorted(measured(rows), key=lambda row: row["side"]):
        lines.setdefault(row["kind"], {})[row["side"]] = row
    for kind, by_side in lines.items():
        at = np.array([*by_side]) ** 2
        left.plot(at, [r["layer_weights"] for r in by_side.values()], "o-", label=kind)
        deep = [max(row["deepest"], 0) for row in by_side.values()]
        right.plot(at, deep, "o-", label=kind)
    for name in ("an H100", "1,024 H100s"):
        most = DEVICES[name] / A_WEIGHT
        left.axhline(most, color="black", lw=0.8, ls=":")
        beside = left.get_yaxis_transform()
        left.text(0.02, most * 1.4, f"trained by {name}", fontsize=6, transform=beside)
    left.set_yscale("log")
    right.set_yscale("symlog")
    left.set_title("weights of one layer", loc="left")
    right.set_title("layers that an H100 trains", loc="left")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xlabel("pixels of an image of three colours")
        axes.grid(alpha=0.25, lw=0.5)
        axes.legend(fontsize=7, frameon=False)
    return figure


STUDY = Study(
    name="dense_weights",
    kind="experiment",
    question="How many weights has a dense layer between images, and what holds them?",
    source=SOURCE,
    axes={
        "kind": Axis("how states are connected", tuple(KINDS), KINDS),
        "side": whole("pixels along an image's side", (10, 32, 100, 1000), 3, False),
        "depth": whole("layers after the first", (1, 16), single=False),
    },
    sizes={
        "smoke": {"side": (10, 1000), "depth": (1,)},
        "full": {"side": (10, 32, 100, 320, 1000, 3200), "depth": (1, 16, 256)},
    },
    plan=Plan(cost=fixed(seconds=1.0)),
    measure="depthbench.experiments.training.dense_weights:measure",
    columns=(
        *("kind", "side", "depth", "status", "reason", "layer_weights", "weights"),
        *("state", "weights_gb", "training_gb", "step_mflop", "device", "deepest"),
    ),
    claims=(
        Claim(
            "popular.nine-trillion-weights",
            "a dense layer between images of a megapixel in three colours has exactly "
            "9 trillion weights",
            SOURCE,
            estimate=lambda row: exact(row["layer_weights"]),
            allows=about(9e12, within=0.5),
            protocol="counted from the shapes of the net's arrays, biases apart",
            differs="reckoned: 3 million times 3 million",
            published="9 trillion",
            scope=lambda row: row["kind"] == "dense" and row["side"] == 1000,
            label=("kind", "side", "depth"),
        ),
        Claim(
            "popular.too-many-for-any-device",
            "a dense layer between images of a megapixel needs more memory to train than "
            "1,024 H100s have",
            SOURCE,
            estimate=lambda row: exact(row["training_gb"]),
            allows=above(81_920.0),
            protocol="16 bytes a weight: float32, its gradient and Adam's two averages",
            differs="no number of bytes is given",
            scope=lambda row: row["kind"] == "dense" and row["side"] == 1000,
            label=("kind", "side", "depth"),
        ),
        Claim(
            "depthbench.convolution-100-layers",
            "depthbench's own bar: of 3 × 3 convolutions of 64 channels an H100 trains "
            "100 layers between images of a megapixel",
            "depthbench",
            estimate=lambda row: exact(row["deepest"]),
            allows=above(100.0),
            protocol="80 GB; 16 bytes a weight, and every state of one image kept",
            differs="a bar of our own",
            scope=lambda row: row["kind"] == "convolution" and row["side"] == 1000,
            label=("kind", "side", "depth"),
        ),
    ),
    headline=headline,
    tables=tables,
    figures=lambda rows, profiles: [
        Figure(
            "figure",
            "Left: weights of one layer between images, and what can be trained at 16 "
            "bytes a weight (dotted). Right: how many layers an H100 trains.",
            lambda: draw(rows),
        )
    ],
    shows=("dense layer on a megapixel",),
    compile_seconds=0.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
