"""How much sooner does a ReLU net reach 25 % training error than a tanh net?

Source: Krizhevsky, Sutskever & Hinton 2012, section 3.1 and figure 1: a four-layer
convolutional net with ReLUs reaches 25 % training error on CIFAR-10 six times sooner
than the same net with tanh units; learning rates were chosen for each to be as fast as
possible, and nothing is regularised. They add that the size of the effect varies with
the architecture, but that ReLU nets are consistently several times faster.

The net here: three 3×3 convolutions and a dense layer. Steps are counted until the mean
error of twenty batches is 25 %. Each activation has weights of the size that keeps its
signal (He for ReLU, LeCun for tanh), and SGD with momentum 0.9.
"""

import functools
import math

from depthbench.experiments.training import pairs
from depthbench.experiments.training.pairs import rates, whole
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.study import trials
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Headline, Measured, Study
from depthbench.research.study.doubts import of_sides
from depthbench.research.study.estimates import above
from depthbench.research.study.headlines import listed
from depthbench.research.study.tables import Mark, Table, number

with lazily():
    import numpy as np

    from depthbench.research.signal import profiles as profiles_of

SOURCE = "Krizhevsky et al. 2012, NIPS, section 3.1, figure 1"
PROTOCOL = (
    "digits, three convolutions of 16 channels and a dense layer, batches of 16, "
    "momentum, each activation's own variance and the best of several rates"
)
DIFFERS = "CIFAR-10, four layers of its own, one variance for both"
TARGET = 0.75  # right: 25 % error
SEVERAL = 3.0  # "several times faster", at least
RIVALS = ("relu", "tanh")


def settings(cell):
    saturates = cell["activation"] in ("tanh", "sigmoid", "erf", "softsign")
    return {
        "architecture": "cnn_same",
        "depth": 2,
        "initializer": "lecun_normal" if saturates else "he_normal",
        "optimizer": "momentum",
    }


def finish(cell, result):
    """The row, with the mean over seeds of the logarithm of steps to the target.

    A run that does not get there counts as if it had at its last step.
    """
    values = dict(pairs.measured(cell, result, "steps").values)
    if "steps_to_target" in result.profiles:
        at = np.minimum(result.profiles["steps_to_target"], cell["steps"])
        mean, spread = profiles_of.over_seeds(np.log(at), 1.0)
        values |= {"log_steps": mean, "log_steps_se": spread}
    return Measured(result.status, result.reason, values, result.profiles)


def log_steps(row):
    return row["log_steps"]


def sooner(rows):
    """The logarithm of tanh's steps over ReLU's, each at its best rate."""
    spread = pairs.deviation("log_steps")
    by = ("dataset",)
    return pairs.versus(rows, "activation", RIVALS, by, log_steps, spread, "steps")


def ratios(rows):
    """One line an activation: its steps at its best rate, over ReLU's, with intervals."""
    chosen = [
        row for row in pairs.best(rows, ("activation",), "steps") if "log_steps" in row
    ]
    first = next((row for row in chosen if row["activation"] == RIVALS[0]), None)
    body = []
    for row in chosen:
        text = "-"
        if first is not None and row is not first:
            gap = row["log_steps"] - first["log_steps"]
            spread = 2 * math.hypot(*(r["log_steps_se"] or 0 for r in (row, first)))
            low, high = math.exp(gap - spread), math.exp(gap + spread)
            text = f"{math.exp(gap):.2f} ({low:.2f} to {high:.2f})"
        whole_run = row["reached"] < 1
        steps = f"{math.exp(row['log_steps']):.0f}"
        body.append(
            (
                row["activation"],
                number(row["learning_rate"]),
                Mark(f"over {steps}", "bad") if whole_run else Mark(steps, "good"),
                text,
                pairs.between(row, "train_accuracy"),
                str(row["seeds"]),
            )
        )
    headers = ("activation", "best rate", "steps", "over ReLU's", "accuracy at last")
    return Table(
        "Steps to 25 % training error (paper: 6)", (*headers, "n"), tuple(body)
    )


def headline(rows):
    """How many steps each activation takes at its best rate, and the worst rate."""
    done = [row for row in rows if row.get("log_steps") is not None]
    chosen = pairs.best(done, ("activation",), "steps")
    ranked = sorted(chosen, key=lambda row: row["log_steps"])
    if not ranked:
        return Headline("No run has a number of steps.")

    def steps(row):
        return f"{row['activation']} in {math.exp(row['log_steps']):.0f} steps"

    slow = ranked[-1]["log_steps"] - ranked[0]["log_steps"]
    last = max(done, key=lambda row: row["log_steps"])
    ratio = f": the slower takes {math.exp(slow):.2f} times as long" * (slow > 0)
    return Headline(
        f"25 % training error is reached by {listed(map(steps, ranked))}, each at its best "
        f"rate{ratio}.",
        f"Worst: {steps(last)} or not at all, at rate {last['learning_rate']:g}.",
    )


def tables(rows):
    title = "Steps at each learning rate"
    every = pairs.rate_table(rows, ("activation",), log_steps, title, "steps", math.exp)
    return [ratios(rows), every]


def draw_figures(rows, profiles):
    caption = (
        "Left: error on the batches that are trained on, best learning rate of each "
        "activation, mean and range over seeds; the dashed line is the target. Right: "
        "steps to it at each learning rate; hollow where a run did not get there."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


def _draw(rows, profiles):
    figure = pairs.figures.new(8.5, 3.4)
    left, right = figure.subplots(1, 2)
    names = list(dict.fromkeys(row["activation"] for row in rows))
    chosen = pairs.best(rows, ("activation",), "steps")

    def label(row):
        return f"{row['activation']} (rate {row['learning_rate']:g})"

    pairs.draw_curves(left, chosen, profiles, label, "right", lambda r: 1 - r)
    left.axhline(1 - TARGET, color="black", lw=1, ls=(0, (4, 3)))
    left.set_ylim(0, 1)
    left.set_ylabel("training error")
    left.legend(fontsize=7, frameon=False)
    for place, name in enumerate(names):
        rows_of_net = [r for r in rows if r["activation"] == name and "log_steps" in r]
        at = [row["learning_rate"] for row in rows_of_net]
        steps = [math.exp(row["log_steps"]) for row in rows_of_net]
        (line,) = right.plot(at, steps, "-", color=f"C{place}", label=name)
        for row, rate, count in zip(rows_of_net, at, steps, strict=True):
            face = line.get_color() if row["reached"] == 1 else "white"
            right.plot(rate, count, "o", color=line.get_color(), mfc=face, ms=5)
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_xlabel("learning rate")
    right.set_ylabel("steps to 25 % training error")
    right.grid(alpha=0.25, lw=0.5)
    right.legend(fontsize=7, frameon=False)
    return figure


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return trials.measure(cells, memory, settings, finish, TARGET)


STUDY = Study(
    name="relu_against_tanh",
    kind="experiment",
    question="How much sooner does a ReLU net reach 25 % training error than a tanh net?",
    source=SOURCE,
    axes={
        "activation": Axis("the nonlinearity", RIVALS, ACTIVATIONS),
        "learning_rate": rates((0.003, 0.01, 0.03, 0.1, 0.3, 1.0)),
        "width": whole("channels", (16,)),
        "batch": whole("examples per step", (16,)),
        "dataset": readable.axis(readable.pictured),
        "steps": whole("steps", (800,), low=20),
        "seeds": whole("runs per cell", (5,)),
    },
    sizes={
        "smoke": {
            "width": (8,),
            "steps": (250,),
            "learning_rate": (0.03, 0.1),
            "seeds": (3,),
        },
        "full": {
            "width": (64,),
            "batch": (128,),
            "dataset": ("tfds:cifar10",),
            "steps": (20_000,),
        },
    },
    plan=trials.plan(settings),
    sweep=pairs.sweep(lambda row: row["activation"], "steps"),
    measure="depthbench.experiments.training.relu_against_tanh:measure",
    columns=("activation", "learning_rate", "width", "seeds", *pairs.COLUMNS),
    claims=(
        Claim(
            "krizhevsky2012.relu-sooner",
            "a ReLU net reaches 25 % training error sooner than a tanh net",
            SOURCE,
            tag="T3",
            estimate=pairs.gap,
            allows=above(0.0),
            moves=of_sides,
            protocol=PROTOCOL,
            differs=DIFFERS,
            published="ln of steps' ratio: above 0",
            scope=lambda row: True,
            label=("activation", "dataset"),
            of=sooner,
        ),
        Claim(
            "krizhevsky2012.relu-much-sooner",
            "a ReLU net reaches 25 % training error several times sooner than a tanh "
            "net, read as three times at least",
            SOURCE,
            tag="T3",
            estimate=pairs.gap,
            allows=above(math.log(SEVERAL)),
            moves=of_sides,
            protocol=PROTOCOL,
            differs=DIFFERS,
            published="ln of steps' ratio: above 1.1",
            scope=lambda row: True,
            label=("activation", "dataset"),
            of=sooner,
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
