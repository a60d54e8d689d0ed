"""Do deeper plain nets train worse than shallower ones, and residual nets not?

Source: He, Zhang, Ren & Sun 2016, Deep Residual Learning, arXiv:1512.03385, section 4.2
and figure 6: on CIFAR-10 the training error of plain nets with batch norm grows from 20
to 56 layers, that of residual nets falls. Training error is what counts: a deeper net
could copy a shallower one, so this is no overfitting.

The nets are the paper's, with 16 channels at first; at the standard size they have
fewer, and read scikit-learn's digits. SGD with momentum 0.9, a rate that falls to a tenth
after half of the steps, no weight decay, no augmentation. Every net has the best learning
rate of its own.
"""

import functools

from depthbench.experiments.buildable import one_of
from depthbench.experiments.training import pairs
from depthbench.experiments.training.pairs import deviation, error, loss, rates, whole
from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.datasets import readable
from depthbench.research.study import trials
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Study
from depthbench.research.study.doubts import of_sides
from depthbench.research.study.errors import Refusal
from depthbench.research.study.estimates import above, below
from depthbench.research.study.headlines import measured

SOURCE = "He et al. 2016, arXiv:1512.03385, section 4.2, figure 6"
NETS = ("plain_cnn", "resnet")
PROTOCOL = (
    "digits, 20 against 56 layers of 8 channels at first, batches of 16, 400 steps, the "
    "best of several rates, which falls to a tenth after half of the steps"
)
DIFFERS = "CIFAR-10, 16 channels, batches of 128, 64,000 steps, one rate, augmentation"
COMPARED = one_of(NETS, "is not compared here")


def settings(cell):
    return {"normalizer": "batch", "optimizer": "momentum", "schedule": "step"}


def fit(cells, typed):
    """The cells of depths that these nets have. Raises Refusal where there are none."""
    why = [_refusal(cell) for cell in cells]
    buildable = [
        cell for cell, reason in zip(cells, why, strict=True) if reason is None
    ]
    bad = list(filter(None, why))
    if not buildable:
        raise Refusal(f"--depth: {bad[0]}")
    return buildable, [
        f"left out {len(bad)} of {len(why)} cells: {bad[0]}"
    ] if bad else []


def _refusal(cell):
    family = ARCHITECTURES[cell["architecture"]]
    return family.refuses(cell["depth"], "relu", "batch", cell["width"])


def deeper(rows):
    """Of each net, the deepest's training error over the shallowest's."""
    depths = sorted({row["depth"] for row in rows})
    ends = (depths[0], depths[-1])
    by = ("architecture",)
    spread = deviation("train_accuracy")
    return pairs.versus(rows, "depth", ends, by, error, spread, "loss")


def joined(rows):
    """At the largest depth, the plain net's training error over the residual one's."""
    deepest = max(row["depth"] for row in rows)
    rows_at_depth = [row for row in rows if row["depth"] == deepest]
    names = ("resnet", "plain_cnn")
    spread = deviation("train_accuracy")
    return pairs.versus(
        rows_at_depth, "architecture", names, ("depth",), error, spread, "loss"
    )


def worse_than_shallower(rows):
    """1 for the rows of a net that a shallower one of its kind trains better than."""
    least: dict[str, float] = {}
    worse = {}
    for row in sorted(
        pairs.best(rows, ("architecture", "depth"), "loss"),
        key=lambda row: row["depth"],
    ):
        name = row["architecture"]
        worse[name, row["depth"]] = float(loss(row) > least.get(name, float("inf")))
        least[name] = min(loss(row), least.get(name, float("inf")))
    return lambda row: worse[row["architecture"], row["depth"]]


def headline(rows):
    """How each kind's training loss changes with depth, and the net with the most."""
    chosen = pairs.best(measured(rows), ("architecture", "depth"), "loss")
    return pairs.headline(chosen, "architecture", "depth", "layer")


def tables(rows):
    by = ("architecture", "depth")
    title = "Training loss (red: a shallower net of the kind has less)"
    worse = worse_than_shallower(rows)
    return [
        pairs.best_table(rows, by, "loss", title, worse),
        pairs.rate_table(
            rows, by, error, "Training error at each learning rate", "loss"
        ),
    ]


def draw_figures(rows, profiles):
    caption = (
        "Error on the batches that are trained on, best learning rate of each net: mean "
        "and range over seeds. Left plain nets, right residual nets. Degradation is the "
        "deeper net's curve above the shallower one's."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


def _draw(rows, profiles):
    names = [name for name in NETS if any(r["architecture"] == name for r in rows)]
    figure, panels = pairs.panels(len(names), width=4.2)
    for axes, name in zip(panels, names, strict=True):
        rows_of_net = [row for row in rows if row["architecture"] == name]
        chosen = pairs.best(rows_of_net, ("depth",), "loss")

        def label(row):
            return f"{row['depth']} layers (rate {row['learning_rate']:g})"

        pairs.draw_curves(axes, chosen, profiles, label, "right", lambda r: 1 - r)
        axes.set_title(name, loc="left")
        axes.set_ylim(0, 1)
        axes.legend(fontsize=7, frameon=False)
    panels[0].set_ylabel("training error")
    return figure


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    finish = functools.partial(pairs.measured, by="accuracy")
    return trials.measure(cells, memory, settings, finish)


STUDY = Study(
    name="degradation",
    kind="experiment",
    question="Do deeper plain nets train worse, and residual nets not?",
    source=SOURCE,
    axes={
        "architecture": Axis("with and without shortcuts", NETS, COMPARED),
        "depth": whole("layers, 6n + 2", (20, 56), low=8, single=False),
        "learning_rate": rates((0.01, 0.03, 0.1)),
        "width": whole("channels at first", (8,)),
        "dataset": readable.axis(readable.pictured),
        "batch": whole("examples per step", (16,), low=2),
        "steps": whole("steps", (400,)),
        "seeds": whole("runs per cell", (3,)),
    },
    sizes={
        "smoke": {
            "depth": (8, 14),
            "width": (4,),
            "batch": (16,),
            "steps": (20,),
            "learning_rate": (0.1,),
        },
        "full": {
            "depth": (20, 32, 44, 56, 110),
            "width": (16,),
            "dataset": ("tfds:cifar10",),
            "batch": (128,),
            "steps": (64_000,),
            "learning_rate": (0.03, 0.1, 0.3),
            "seeds": (5,),
        },
    },
    fit=fit,
    plan=trials.plan(settings),
    sweep=pairs.sweep(lambda row: (row["architecture"], row["depth"]), "loss"),
    measure="depthbench.experiments.training.degradation:measure",
    columns=("architecture", "depth", "learning_rate", "seeds", *pairs.COLUMNS),
    claims=(
        Claim(
            "he2016.plain-cnn-degrades",
            "a deeper plain convolutional net has a higher training error",
            SOURCE,
            tag="T1",
            estimate=pairs.gap,
            allows=above(0.0),
            moves=of_sides,
            protocol=PROTOCOL,
            differs=DIFFERS,
            published="error higher",
            scope=lambda row: row["architecture"] == "plain_cnn",
            label=("architecture", "depth"),
            of=deeper,
        ),
        Claim(
            "he2016.residual-cnn-not-degraded",
            "a deeper residual convolutional net has no higher training error, to a "
            "hundredth",
            SOURCE,
            tag="T1",
            estimate=pairs.gap,
            allows=below(0.01),
            moves=of_sides,
            protocol=PROTOCOL,
            differs=DIFFERS,
            published="error not higher",
            scope=lambda row: row["architecture"] == "resnet",
            label=("architecture", "depth"),
            of=deeper,
        ),
        Claim(
            "he2016.plain-behind-residual",
            "at the largest depth a plain convolutional net has a higher training error "
            "than a residual one",
            SOURCE,
            tag="T1",
            estimate=pairs.gap,
            allows=above(0.0),
            moves=of_sides,
            protocol=PROTOCOL,
            differs=DIFFERS,
            published="error higher",
            scope=lambda row: True,
            label=("depth",),
            of=joined,
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=14.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
