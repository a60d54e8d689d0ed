"""Does a gate that starts at zero train a deep ReLU net at once, where others crawl?

Source: Bachlechner et al. 2021, ReZero is All You Need, arXiv:2003.04887. Their toy
problem: fully connected ReLU nets of 64 layers and 256 units, Adagrad at rate 0.01,
batches of 100 of CIFAR-10, and only the training loss counts. After ten epochs it is
2.02 for the plain net, 1.87 with residual connections, 2.02 with layer norm and 0.52
with gates that start at 0.

The nets are those of the authors' notebook (github.com/tbachlechner/ReZero-examples,
ReZero-Deep_Fast_NeuralNetwork.ipynb): the residual net's layers are h' = h + φ(W h + b)
with weights of variance 1/4 over the fan-in, and ReZero's h' = h + α φ(W h + b), like the
plain ones, of variance 2. That residual net begins with a mean loss of 131,270 in its
first epoch, recovers to 2.3 in its fifth and ends at 1.87: a run that is astray may
come back, and has diverged only if it has not by its last step, or has no number left.
"""

import functools
import math

from depthbench.experiments.training import loss_curves, pairs
from depthbench.experiments.training.pairs import deviation, loss, rates, whole
from depthbench.research.datasets import readable
from depthbench.research.study import doubts, trials
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Study
from depthbench.research.study.doubts import certain, of_sides
from depthbench.research.study.estimates import above

PAPER_RATE = 0.01
PROTOCOL = (
    "digits, 64 layers of 64 units drawn as in the authors' notebook, Adagrad, the loss "
    "after 500 steps of 100 examples"
)
DIFFERS = "CIFAR-10, 256 units, after ten epochs (5,000 steps), layer norm after φ"
SOURCE = "Bachlechner et al. 2021, arXiv:2003.04887"
NETS = {
    "plain": {"architecture": "mlp", "initializer": "he_normal"},
    "layer_norm": {
        "architecture": "mlp",
        "initializer": "he_normal",
        "normalizer": "layer",
    },
    "residual": {
        "architecture": "residual_mlp_activated",
        "initializer": "free",
        "sigma_w2": 0.25,
        "sigma_b2": 0.0,
    },
    "rezero": {"architecture": "rezero_mlp_activated", "initializer": "he_normal"},
}


def settings(cell):
    return {**NETS[cell["net"]], "optimizer": "adagrad", "batch": 100}


def log_loss(row):
    return math.log(max(loss(row), 1e-12))


def spread(row):
    """The standard error of the logarithm of the loss, to first order."""
    return deviation("train_loss")(row) / max(loss(row), 1e-12)


def rivals(rows):
    """ReZero's best rate against every other net's."""
    others = [name for name in NETS if name != "rezero"]
    return [
        pair
        for other in others
        for pair in pairs.versus(
            rows,
            "net",
            ("rezero", other),
            ("depth", "width"),
            log_loss,
            spread,
            "loss",
            of="train_loss",
        )
    ]


def at_paper_rate(rows):
    return rivals([row for row in rows if row["learning_rate"] == PAPER_RATE])


def untrained(row):
    """Whether a net is no better than guessing: its loss is above ln 10 − 0.1."""
    return float(loss(row) > math.log(10) - 0.1)


def headline(rows):
    """Which net ends with the least training loss, which with the most."""
    chosen = pairs.best(rows, ("net", "depth"), "loss")
    return pairs.ranking(chosen, "net")


def tables(rows):
    by = ("net", "depth")
    title = "Training loss after the same steps (chance: ln 10 = 2.30)"
    return [
        pairs.best_table(rows, by, "loss", title, untrained),
        pairs.rate_table(rows, by, loss, "Training loss at each learning rate", "loss"),
    ]


def draw_figures(rows, profiles):
    caption = (
        "Training loss of each net at its best learning rate: mean and range over seeds. "
        "The dashed line is chance, ln 10."
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
    return trials.measure(cells, memory, settings, pairs.measured)


STUDY = Study(
    name="rezero",
    kind="experiment",
    question="Does a gate that starts at zero train a deep net at once?",
    source=SOURCE,
    axes={
        "net": Axis(
            "how layers are connected",
            tuple(NETS),
            pairs.methods("net", tuple(NETS), SOURCE),
        ),
        "depth": whole("layers", (64,), single=False),
        "learning_rate": rates((0.003, 0.01, 0.03)),
        "width": whole("units", (64,), low=2),
        "dataset": readable.axis(readable.classified),
        "steps": whole("steps of 100 examples", (500,)),
        "seeds": whole("runs per cell", (5,)),
    },
    sizes={
        "smoke": {
            "net": ("plain", "residual", "rezero"),
            "depth": (16,),
            "width": (24,),
            "steps": (60,),
            "learning_rate": (0.01,),
        },
        "full": {
            "width": (256,),
            "learning_rate": (0.001, 0.003, 0.01, 0.03),
            "dataset": ("tfds:cifar10",),
            "steps": (5000,),  # ten epochs
            "seeds": (5,),
        },
    },
    plan=trials.plan(settings),
    sweep=pairs.sweep(lambda row: (row["net"], row["depth"]), "loss"),
    measure="depthbench.experiments.training.rezero:measure",
    columns=("net", "depth", "learning_rate", "width", "seeds", *pairs.COLUMNS),
    claims=(
        Claim(
            "bachlechner2021.ahead-at-paper-rate",
            "at the paper's rate, 0.01, a ReZero net has less training loss than others "
            "after the same steps",
            SOURCE,
            tag="S17",
            estimate=pairs.gap,
            allows=above(0.0),
            protocol=PROTOCOL,
            differs=DIFFERS,
            doubt=certain,
            published="0.52 against 1.87–2.02: ln of losses' ratio: above 1.28",
            scope=lambda row: True,
            label=("net", "depth"),
            of=at_paper_rate,
        ),
        Claim(
            "bachlechner2021.ahead-at-best-rate",
            "at the best rate of each net a ReZero net has less training loss than "
            "others after the same steps",
            SOURCE,
            tag="S17",
            estimate=pairs.gap,
            allows=above(0.0),
            moves=of_sides,
            protocol=PROTOCOL,
            differs=DIFFERS + ", its rate alone",
            doubt=doubts.after_steps,
            published="ln of losses' ratio: above 0",
            scope=lambda row: True,
            label=("net", "depth"),
            of=rivals,
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=4.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
