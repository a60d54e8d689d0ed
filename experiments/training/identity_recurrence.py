"""Does a ReLU net that begins as the identity remember as long as an LSTM?

Source: Le, Jaitly & Hinton 2015, A Simple Way to Initialize Recurrent Networks of
Rectified Linear Units, arXiv:1504.00941, section 4.1: the adding problem, two marked
numbers of a long sequence, whose sum is asked at its end. Always answering 1 has a mean
squared error of 1/6.

The recurrent kernel is the identity and input weights are as small as theirs, of standard
deviation 0.001. An LSTM, and tanh and ReLU nets of Glorot's and He's variance, stand beside
it. Adam here, gradients clipped to norm 1, and the best rate of each net by training loss.
"""

import functools
import math

from depthbench.experiments.training import loss_curves, pairs
from depthbench.experiments.training.pairs import rates, whole
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.datasets import DATASETS
from depthbench.research.lazy import lazily
from depthbench.research.study import doubts, trials
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Headline, Study
from depthbench.research.study.errors import Refusal
from depthbench.research.study.estimates import below, mean_of
from depthbench.research.study.headlines import counted, listed, of_deepest, out_of
from depthbench.research.study.tables import Mark, Table, number

with lazily():
    pass

SOURCE = "Le, Jaitly & Hinton 2015, arXiv:1504.00941"
TRIVIAL = 1 / 6  # `sequences.ADDING_BASELINE`, which a test compares
LEARNED = TRIVIAL / 2  # what has not fallen to it has remembered next to nothing
WITHIN = TRIVIAL / 10  # what "comparable" allows
FEATURES = 2  # the number, and its mark
NETS = {
    "identity ReLU": ("rnn_identity", "relu", "he_normal", 0.001**2 * FEATURES),
    "LSTM": ("lstm", "tanh", "glorot_normal", None),
    "tanh": ("rnn", "tanh", "glorot_normal", None),
    "ReLU": ("rnn", "relu", "he_normal", None),
}
LAGS = {
    DATASETS[name].shape[0]: name
    for name in DATASETS.published
    if name.startswith("adding")
}


def fit(cells, typed):
    """The cells. Raises Refusal for a lag that no data set has."""
    for cell in cells:
        if cell["lag"] not in LAGS:
            allowed = ", ".join(map(str, sorted(LAGS)))
            raise Refusal(f"--lag {cell['lag']}: must be one of {allowed}")
    return cells, []


def settings(cell):
    architecture, activation, initializer, sigma_w2 = NETS[cell["net"]]
    return {
        "architecture": architecture,
        "activation": activation,
        "initializer": initializer,
        "sigma_w2": sigma_w2,
        "depth": cell["lag"],  # depth is time
        "dataset": LAGS[cell["lag"]],
        "optimizer": "adam",
        "clip": 1.0,
    }


def identity(rows):
    """The identity's best row at each lag."""
    return pairs.choices(
        [row for row in rows if row["net"] == "identity ReLU"], ("lag",), "loss"
    )


def missed(row):
    """The mean squared error of what was not trained on."""
    return row["test_loss"]


def beside(rows):
    """Test error of the identity over the LSTM's, and the smaller of both, by lag."""
    names = ("LSTM", "identity ReLU")
    spread = pairs.deviation("test_loss")
    return pairs.versus(
        rows, "net", names, ("lag",), missed, spread, "loss", of="test_loss"
    )


def comparable(row):
    """Doubts of a pair; two nets that have learned nothing are no comparison."""
    return "neither has learned anything" if _neither(row) else doubts.of_training(row)


def towards(row):
    """Which way further training might take a pair."""
    return doubts.anywhere(row) if _neither(row) else doubts.of_sides(row)


def _neither(row):
    return min(row["first"], row["second"]) > LEARNED


def headline(rows):
    """Which nets learn the longest sequences, by test error, and which is worst."""
    chosen = pairs.best(rows, ("net", "lag"), "loss")
    if not chosen:
        return Headline("No run has a training loss.")
    long = of_deepest(chosen, "lag")
    learned = [row for row in long if of_test(row) <= LEARNED]
    errors = [f"{row['net']} {number(row['test_loss'], 2)}" for row in learned]
    named = f" ({listed(errors)})" if errors else ""
    worst = max(long, key=of_test)
    end = number(worst.get("test_loss")) if worst["status"] == "ok" else worst["status"]
    return Headline(
        f"On sequences of {counted(long[0]['lag'], 'step')} "
        f"{out_of(len(learned), len(long), 'nets')}{named} learn to add: a mean squared "
        f"error of half of always answering 1 ({LEARNED:.2g}), or less.",
        f"Worst: {worst['net']}, {end}.",
    )


def of_test(row):
    """The test error; infinite where there is none."""
    value = row.get("test_loss")
    return math.inf if value is None else value


def tables(rows):
    by = ("net", "lag")

    def line(row):
        known = row.get("test_loss") is not None
        bad = not known or row["test_loss"] > LEARNED
        text = pairs.between(row, "test_loss") if known else row["status"]
        return (
            *(str(row[name]) for name in by),
            number(row["learning_rate"]),
            Mark(text, "bad" if bad else "good"),
            number(row.get("train_loss")),
            str(row["seeds"]),
        )

    headers = (*by, "best rate", "test error", "training error", "n")
    title = "Mean squared error of the sum (always answering 1: 0.167)"
    body = tuple(line(row) for row in pairs.best(rows, by, "loss"))
    each = "Training error at each learning rate"
    return [
        Table(title, headers, body),
        pairs.rate_table(rows, by, pairs.loss, each, "loss"),
    ]


def draw_figures(rows, profiles):
    caption = (
        "Mean squared error of each net at its best learning rate, by the length of the "
        "sequence: mean and range over seeds. The dashed line is always answering 1."
    )
    draw = functools.partial(
        loss_curves.draw,
        rows,
        profiles,
        axis="lag",
        unit="steps",
        loss="mean squared error",
        trivial=TRIVIAL,
        top=2 * TRIVIAL,
    )
    return [Figure("figure", caption, draw)]


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return trials.measure(cells, memory, settings, pairs.measured)


PROTOCOL = (
    "the adding problem, 32 units, 20,000 sequences, some thousand steps of Adam, "
    "gradients clipped to norm 1, the best rate of each net by its training error"
)
DIFFERS = (
    "sequences of 150 steps and more, wider nets, SGD, rates and clipping searched, output "
    "weights as small as the input's"
)

STUDY = Study(
    name="identity_recurrence",
    kind="experiment",
    question="Does a ReLU net that begins as the identity remember as long as an LSTM?",
    source=SOURCE,
    axes={
        "net": Axis(
            "how the state is carried on",
            tuple(NETS),
            Catalogue("net", [pairs.Method(name, SOURCE) for name in NETS]),
        ),
        "lag": whole("steps of time", (50,), low=50, single=False),
        "learning_rate": rates((0.0003, 0.001, 0.003, 0.01)),
        "width": whole("units", (32,)),
        "batch": whole("sequences per step", (32,), low=2),
        "steps": whole("steps of training", (6000,)),
        "seeds": whole("runs per cell", (5,)),
    },
    sizes={
        "smoke": {
            "width": (8,),
            "steps": (20,),
            "learning_rate": (0.003,),
            "seeds": (3,),
        },
        "full": {
            "lag": (50, 200, 750),
            "width": (100,),
            "steps": (100_000,),
            "seeds": (10,),
        },
    },
    fit=fit,
    sweep=pairs.sweep(lambda row: (row["net"], row["lag"]), "loss"),
    plan=trials.plan(settings),
    measure="depthbench.experiments.training.identity_recurrence:measure",
    columns=tuple(
        "net lag learning_rate width seeds status reason diverged diverged_at train_loss "
        "train_loss_low train_loss_high test_loss test_loss_low test_loss_high "
        "unfinished".split()
    ),
    claims=(
        Claim(
            "le2015.identity-relu-learns-adding",
            "an identity-initialised ReLU net learns the adding problem: its test error "
            "is half of that of always answering 1, or less",
            f"{SOURCE}, abstract, section 4.1",
            tag="S32",
            estimate=mean_of("test_loss"),
            allows=below(LEARNED),
            moves=doubts.downward,
            scope=lambda row: True,
            of=identity,
            protocol=PROTOCOL,
            differs=DIFFERS,
            label=("net", "lag"),
            published="comparable to an LSTM, which learns it",
        ),
        Claim(
            "le2015.identity-relu-as-lstm",
            "on the adding problem an identity-initialised ReLU net has a test error at "
            "most a sixtieth above an LSTM's, of a sixth of always answering 1",
            f"{SOURCE}, abstract, section 4.1",
            tag="S32",
            estimate=pairs.gap,
            allows=below(WITHIN),
            doubt=comparable,
            moves=towards,
            scope=lambda row: True,
            of=beside,
            protocol=PROTOCOL,
            differs=DIFFERS,
            label=("net", "lag"),
            published="comparable",
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
