"""What makes a very deep residual net train: norms, their place, or branches near zero?

Four papers answer by nets of the same blocks, depths and data, which are trained here once:

- Zhang, Dauphin & Ma 2019, Fixup, arXiv:1901.09321: without a norm, by scaled starts.
- De & Smith 2020, SkipInit, arXiv:2002.10444: without a norm, behind a scalar that
  starts at 0.
- He et al. 2016, Identity Mappings, arXiv:1603.05027: norm and activation before the
  products, so that nothing is in the shortcut's way.
- Huang et al. 2016, Stochastic Depth, arXiv:1603.09382: blocks are left out at random.

Beside them stand the net that all of them start from, and that net without its norms. SGD
with momentum 0.9, a rate that falls to a tenth after half of the steps; no weight decay, no
augmentation. Every net has the best learning rate of its own, by its training loss.
"""

import functools
import math

from depthbench.experiments.training import loss_curves, pairs
from depthbench.experiments.training.pairs import deviation, error, rates, whole
from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.study import trials
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Headline, Study
from depthbench.research.study.doubts import of_sides
from depthbench.research.study.errors import Refusal
from depthbench.research.study.estimates import above, below
from depthbench.research.study.headlines import counted, listed, out_of

with lazily():
    pass

ZHANG = "Zhang, Dauphin & Ma 2019, arXiv:1901.09321"
DE = "De & Smith 2020, arXiv:2002.10444"
HE = "He et al. 2016, arXiv:1603.05027"
HUANG = "Huang et al. 2016, arXiv:1603.09382"
WITHIN = 0.02  # of training examples: what "as well as" allows
NETS = {
    "batch norm": ("resnet", "batch"),
    "no norm": ("resnet", "none"),
    "pre-activation": ("resnet_v2", "batch"),
    "Fixup": ("resnet_fixup", "none"),
    "SkipInit": ("resnet_skipinit", "none"),
    "stochastic depth": ("resnet_stochastic", "batch"),
}
SHALLOW = ("batch norm", "stochastic depth")  # trained at smaller depths too
SOURCES = (HE, HE, HE, ZHANG, DE, HUANG)


def settings(cell):
    architecture, normalizer = NETS[cell["net"]]
    return {
        "architecture": architecture,
        "normalizer": normalizer,
        "optimizer": "momentum",
        "schedule": "step",
    }


def fit(cells, typed):
    """The nets at the largest depth, and two of them at the others.

    Raises Refusal where a depth is not 6n + 2.
    """
    allows = ARCHITECTURES["resnet"].depths
    for depth in dict.fromkeys(cell["depth"] for cell in cells):
        if not allows.allows(depth):
            says = f"a residual net has {allows.says} layers, not {depth}"
            raise Refusal(f"--depth: {says}")
    most = max(cell["depth"] for cell in cells)
    compared = [c for c in cells if c["depth"] == most or c["net"] in SHALLOW]
    line = f"of depths below {most}, only {' and '.join(SHALLOW)} are trained"
    return compared, [line] if len(compared) < len(cells) else []


def wrong(row):
    """The share of test examples that are wrong."""
    return 1 - row["test_accuracy"]


def at_deepest(rows):
    most = max(row["depth"] for row in rows)
    return [row for row in rows if row["depth"] == most]


def beside(one, other, score=error, name="train_accuracy"):
    """From rows to the second net's score over the first's at the largest depth."""

    def of(rows):
        return pairs.versus(
            at_deepest(rows),
            "net",
            (one, other),
            ("depth",),
            score,
            deviation(name),
            "loss",
            of=name,
        )

    return of


def deeper(rows):
    """Test error of the deepest net over the shallowest's, with stochastic depth."""
    depths = sorted({row["depth"] for row in rows})
    of_net = [row for row in rows if row["net"] == "stochastic depth"]
    ends = (depths[0], depths[-1])
    spread = deviation("test_accuracy")
    return pairs.versus(of_net, "depth", ends, ("net",), wrong, spread, "loss")


def behind(rows):
    """1 for nets that are wrong on more than WITHIN beyond batch norm at their depth."""
    chosen = pairs.best(rows, ("net", "depth"), "loss")
    norm = {row["depth"]: error(row) for row in chosen if row["net"] == "batch norm"}
    return lambda row: float(error(row) > norm.get(row["depth"], 1.0) + WITHIN)


def headline(rows):
    """Which of the deepest nets train as well as with batch norm, and which worst."""
    chosen = pairs.best(at_deepest(rows), ("net", "depth"), "loss")
    if not any(row["net"] == "batch norm" for row in chosen):
        return pairs.ranking(chosen, "net")
    is_behind, others = behind(chosen), [r for r in chosen if r["net"] != "batch norm"]
    good = [row["net"] for row in others if not is_behind(row)]
    named = f" ({listed(good, 5)})" if good else ""
    worst = max(
        chosen, key=lambda row: (pairs.ended(row) == "diverged", pairs.loss(row))
    )
    return Headline(
        f"With {counted(chosen[0]['depth'], 'layer')} "
        f"{out_of(len(good), len(others), 'other nets')}{named} train as well as the one "
        f"with batch norm, to {WITHIN:.0%} of the training examples.",
        f"Worst: {worst['net']}, training loss {pairs.ended(worst)}.",
    )


def tables(rows):
    by = ("net", "depth")
    title = "Training loss (red: wrong on 2 % more than with batch norm)"
    return [
        pairs.best_table(rows, by, "loss", title, behind(rows)),
        pairs.rate_table(
            rows, by, error, "Training error at each learning rate", "loss"
        ),
    ]


def draw_figures(rows, profiles):
    caption = (
        "Training loss of each net at its best learning rate, by depth: mean and range "
        "over seeds. The dashed line is chance, ln 10. Stochastic depth's is the loss "
        "of nets with blocks left out."
    )
    draw = functools.partial(
        loss_curves.draw,
        rows,
        profiles,
        axis="depth",
        unit="layers",
        loss="training loss",
        trivial=math.log(10),
        top=3.5,
    )
    return [Figure("figure", caption, draw)]


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    finish = functools.partial(pairs.measured, by="accuracy")
    return trials.measure(cells, memory, settings, finish)


PROTOCOL = (
    "digits, nets of few channels, a few hundred steps of SGD with momentum, no weight "
    "decay, no augmentation, the best rate of each net by its training loss"
)
CIFAR = (
    "CIFAR-10, 16 channels at first, 64,000 steps of 128, weight decay, augmentation"
)


def claim(key, says, source, tag, of, allows, **more):
    return Claim(
        key,
        says,
        source,
        tag=tag,
        of=of,
        estimate=pairs.gap,
        allows=allows,
        moves=of_sides,
        scope=lambda row: True,
        protocol=PROTOCOL,
        **{"label": ("net", "depth"), "differs": CIFAR, **more},
    )


STUDY = Study(
    name="residual_remedies",
    kind="experiment",
    question="What makes a very deep residual net train?",
    source=f"{ZHANG}; {DE}; {HE}; {HUANG}",
    axes={
        "net": Axis(
            "what is done for depth",
            tuple(NETS),
            pairs.Catalogue("net", list(map(pairs.Method, NETS, SOURCES))),
        ),
        "depth": whole("layers, 6n + 2", (20, 110), low=8, single=False),
        "learning_rate": rates((0.003, 0.01, 0.03, 0.1)),
        "width": whole("channels at first", (4,)),
        "dataset": readable.axis(readable.pictured),
        "batch": whole("examples per step", (16,), low=2),
        "steps": whole("steps", (200,)),
        "seeds": whole("runs per cell", (3,)),
    },
    sizes={
        "smoke": {
            "depth": (8, 14),
            "batch": (8,),
            "steps": (20,),
            "learning_rate": (0.03,),
        },
        "full": {
            "depth": (20, 110, 1202),
            "width": (16,),
            "dataset": ("tfds:cifar10",),
            "batch": (128,),
            "steps": (64_000,),
            "learning_rate": (0.01, 0.03, 0.1, 0.3, 1.0),
            "seeds": (5,),
        },
    },
    fit=fit,
    sweep=pairs.sweep(lambda row: (row["net"], row["depth"]), "loss"),
    plan=trials.plan(settings),
    measure="depthbench.experiments.training.residual_remedies:measure",
    columns=("net", "depth", "learning_rate", "seeds", *pairs.COLUMNS),
    claims=(
        claim(
            "zhang2019.fixup-as-stable",
            "at the largest depth a residual net without norms, started by Fixup, has a "
            f"training error at most {WITHIN:g} above that of one with batch norm",
            f"{ZHANG}, abstract",
            "S23",
            beside("batch norm", "Fixup"),
            below(WITHIN),
            published="as stable, at up to 10,000 layers",
            differs=f"{CIFAR}; test accuracy after one epoch at batch norm's own rate",
        ),
        claim(
            "de2020.skipinit-as-deep",
            "at the largest depth a pre-activation net without norms, behind scalars "
            f"that start at 0, has a training error at most {WITHIN:g} above that of one "
            "with batch norm",
            f"{DE}, abstract, section 1",
            "S22",
            beside("pre-activation", "SkipInit"),
            below(WITHIN),
            published="trains at a thousand layers",
            differs="wide residual nets on CIFAR-10, 200 epochs, weight decay",
        ),
        claim(
            "he2016.pre-activation-trains",
            "at the largest depth a residual net whose sums are activated has a higher "
            "training error than a pre-activation one",
            f"{HE}, abstract, section 4",
            "S34",
            beside("pre-activation", "batch norm"),
            above(0.0),
            published="easier; test error 4.62 % at 1,001 layers, 6.37 % at 110",
        ),
        claim(
            "huang2016.stochastic-depth-is-better",
            "at the largest depth a residual net has a higher test error than with "
            "stochastic depth",
            f"{HUANG}, abstract, section 4",
            "S33",
            beside("stochastic depth", "batch norm", wrong, "test_accuracy"),
            above(0.0),
            published="better; 5.25 % test error at 110 layers",
            differs=f"{CIFAR}; 500 epochs",
        ),
        claim(
            "huang2016.stochastic-depth-goes-deeper",
            "with stochastic depth the deepest net has a lower test error than the "
            "shallowest",
            f"{HUANG}, abstract, section 4",
            "S33",
            deeper,
            below(0.0),
            published="1,202 layers: 4.91 % test error, 110 layers: 5.25 %",
            differs=f"{CIFAR}; 500 epochs",
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
