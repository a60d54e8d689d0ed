"""Does a deep ReLU net converge with He's variance, and stall with Xavier's?

Source: He, Zhang, Ren & Sun 2015, Delving Deep into Rectifiers, arXiv:1502.01852,
section 2.2 (figures 2 and 3: 22 and 30 layers, one learning rate for both).
"""

import functools

from depthbench.experiments.training import nets
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Headline, Measured, Study
from depthbench.research.study.doubts import upward
from depthbench.research.study.estimates import above, below, mean_of
from depthbench.research.study.headlines import counted, measured, of_deepest
from depthbench.research.study.tables import Table, number

with lazily():
    import numpy as np

SOURCE = "He et al. 2015, arXiv:1502.01852, section 2.2"
INITIALIZERS = {"he": "he_normal", "xavier": "glorot_normal"}
PROTOCOL = (
    "digits, dense nets of 64 units, 3,000 steps, momentum, the best rate of He's "
    "variance, trained to 90 % right"
)
DIFFERS = "convolutional nets on ImageNet, one rate for both, epochs of error curves"
STALLS = 30  # layers, in the paper; 22 still converge
LOG10_2 = 0.30102999566398120


SAME_RATE = (
    "reached steps_to_target train_accuracy train_accuracy_se unfinished"
).split()


def worse(row):
    """What is estimated of a row: the lower of the two nets' accuracies at He's rate."""
    names = ("he", "xavier_same")
    lower = min(names, key=lambda name: row[f"{name}_train_accuracy"])
    return nets.accuracy(lower)(row)


def recipes(cell):
    """The two nets, which differ in the variance of their weights alone."""
    same = {"activation": "relu", "optimizer": "momentum"}
    return {name: {**same, "initializer": i} for name, i in INITIALIZERS.items()}


def finish(cell, swept):
    """Both nets at their own best rate, and Xavier's at He's, as in the paper."""
    row, curves = {}, {}
    for name, net in swept.items():
        row |= nets.columns(net, f"{name}_")
        row[f"{name}_log10_ratio"] = nets.log10_ratio(cell, recipes(cell)[name])
        curves[name] = nets.curve(net)
    row["log10_ratio_theory"] = -cell["depth"] / 2 * LOG10_2
    same = swept["xavier"]._replace(best=swept["he"].best)
    row |= {
        f"xavier_same_{name}": value
        for name, value in nets.columns(same).items()
        if name in SAME_RATE
    }
    curves["xavier_same"] = nets.curve(same)
    # Xavier's counts as if it had got there at the last step, if it did not.
    late = np.minimum(nets.steps(same), cell["steps"])
    sooner, error = nets.log2_longer(late, nets.steps(swept["he"]))
    row |= {"log2_sooner": sooner, "log2_sooner_se": error}
    return Measured("ok", "", row, curves)


def headline(rows):
    """To which depth each variance converges, and how the deepest net ends."""
    done = measured(rows)

    def to(start):
        depths = [row["depth"] for row in done if row[f"{start}_reached"] > 0.5]
        return f"up to {counted(max(depths), 'layer')}" if depths else "at no depth"

    (worst, *_) = of_deepest(done)
    same = f", {worst['xavier_same_train_accuracy']:.0%} at He's rate"
    return Headline(
        f"ReLU nets converge (90 % right in training) with He's variance {to('he')}, "
        f"with Xavier's {to('xavier')}, and at He's learning rate {to('xavier_same')}.",
        f"Worst: {counted(worst['depth'], 'layer')}: He's ends "
        f"{worst['he_train_accuracy']:.0%} right, Xavier's "
        f"{worst['xavier_train_accuracy']:.0%}{same}.",
    )


def tables(rows):
    body = tuple(
        (
            str(row["depth"]),
            nets.entry(row, "he_"),
            nets.entry(row, "xavier_same_"),
            nets.entry(row, "xavier_"),
            number(row["he_learning_rate"]),
            number(row["xavier_learning_rate"]),
            f"{number(row['xavier_log10_ratio'])} ({row['log10_ratio_theory']:.3g})",
        )
        for row in rows
        if row["status"] == "ok"
    )
    headers = (
        "layers",
        "He",
        "Xavier at He's rate",
        "Xavier, own rate",
        "He's rate",
        "Xavier's",
        "Xavier's log10 ratio (theory)",
    )
    return [Table("Steps to 90 % right in training", headers, body)]


def draw_figures(rows, profiles):
    caption = (
        "Training loss, mean over seeds: He's variance at its best learning rate, "
        "Xavier's at the same rate, as in the paper's figures 2 and 3, and at its own."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


SHOWN = (
    ("he", "He", "#c0392b", "-"),
    ("xavier_same", "Xavier at He's rate", "#1f5f99", "-"),
    ("xavier", "Xavier at its own best", "#1f5f99", "--"),
)


def _draw(rows, profiles):
    rows = [row for row in rows if row["status"] == "ok"]
    figure = figures.new(2.6 * len(rows) + 0.6, 3.0)
    panels = figure.subplots(1, len(rows), squeeze=False, sharey=True)[0]
    for axes, row in zip(panels, rows, strict=True):
        curves = profiles(row)
        for name, label, colour, style in SHOWN:
            nets.draw_curve(
                axes, row, curves[name], color=colour, ls=style, lw=1.5, label=label
            )
        nets.dress(axes, f"{row['depth']} layers")
    panels[0].set_ylabel("training loss")
    panels[0].legend(fontsize=7, frameon=False)
    return figure


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return nets.measure(cells, memory, recipes, finish)


STUDY = Study(
    name="he_against_xavier",
    kind="experiment",
    question="Do deep ReLU nets converge with He's variance, and stall with Xavier's?",
    source="He et al. 2015, arXiv:1502.01852",
    axes={
        "depth": Axis("layers", (22, 30, 50), kind="integer", low=1, high=10**4),
        "dataset": readable.axis(readable.classified),
        "width": nets.one("units", 64, low=2),
        "steps": nets.one("steps per run", 3000),
        **nets.rate_axes(3.162e-4, 1e-2, 4),
        "seeds": nets.one("runs per learning rate", 4),
    },
    sizes={
        "smoke": {
            "depth": (22, 30),
            "width": (16,),
            "steps": (25,),
            "further_rates": (0,),
            "rates": (2,),
            "lowest_rate": (0.01,),
            "highest_rate": (0.1,),
            "seeds": (3,),
        },
        "full": {
            "depth": (14, 22, 30, 50, 100),
            "dataset": ("fashion_mnist",),
            "width": (512,),
            "steps": (20000,),
            "rates": (13,),
            "lowest_rate": (1e-4,),
            "highest_rate": (100.0,),
            "seeds": (10,),
        },
    },
    fit=nets.fit,
    plan=nets.plan(recipes),
    measure="depthbench.experiments.training.he_against_xavier:measure",
    columns=tuple(
        "depth dataset width steps seeds status reason he_reached he_steps_to_target "
        "he_steps_low he_steps_high he_learning_rate he_train_accuracy "
        "xavier_same_reached xavier_same_steps_to_target xavier_same_train_accuracy "
        "log2_sooner log2_sooner_se xavier_reached xavier_steps_to_target "
        "xavier_steps_low xavier_steps_high xavier_learning_rate xavier_train_accuracy "
        "he_log10_ratio xavier_log10_ratio log10_ratio_theory".split()
    ),
    claims=(
        Claim(
            "he2015.both-converge-at-22",
            "at 22 layers ReLU nets converge with both He's and Xavier's variance",
            SOURCE,
            tag="S13",
            estimate=worse,
            allows=above(nets.TARGET),
            moves=upward,
            protocol=PROTOCOL,
            differs=DIFFERS,
            doubt=nets.doubts_of("he", "xavier_same"),
            published="accuracy above 0.9",
            scope=lambda row: row["depth"] == 22,
            label=("depth",),
        ),
        Claim(
            "he2015.he-sooner-at-22",
            "at 22 layers ReLU nets converge sooner with He's variance than with Xavier's",
            SOURCE,
            tag="S13",
            estimate=mean_of("log2_sooner"),
            allows=above(0.0),
            protocol=PROTOCOL,
            differs=DIFFERS,
            doubt=nets.doubts_of("he"),
            published="log2 of steps: above 0",
            scope=lambda row: row["depth"] == 22,
            label=("depth",),
        ),
        Claim(
            "he2015.he-converges-from-30",
            "from 30 layers on ReLU nets converge with He's variance",
            SOURCE,
            tag="S13",
            estimate=nets.accuracy("he"),
            allows=above(nets.TARGET),
            moves=upward,
            protocol=PROTOCOL,
            differs=DIFFERS,
            doubt=nets.doubts_of("he"),
            published="accuracy above 0.9",
            scope=lambda row: row["depth"] >= STALLS,
            label=("depth",),
        ),
        Claim(
            "he2015.xavier-stalls-at-he-rate",
            "from 30 layers on ReLU nets with Xavier's variance stall, at the learning "
            "rate that suits He's",
            SOURCE,
            tag="S13",
            estimate=nets.accuracy("xavier_same"),
            allows=below(nets.TARGET),
            protocol=PROTOCOL,
            differs=DIFFERS,
            doubt=nets.doubts_of("he", "xavier_same"),
            published="accuracy below 0.9",
            scope=lambda row: row["depth"] >= STALLS,
            label=("depth",),
        ),
        Claim(
            "he2015.xavier-stalls-at-every-rate",
            "from 30 layers on ReLU nets with Xavier's variance stall at every learning "
            "rate that was tried",
            "stronger than " + SOURCE,
            tag="S13",
            estimate=nets.accuracy("xavier"),
            allows=below(nets.TARGET),
            moves=upward,
            protocol=PROTOCOL,
            differs=DIFFERS,
            doubt=nets.doubts_of("xavier"),
            published="accuracy below 0.9",
            scope=lambda row: row["depth"] >= STALLS,
            label=("depth",),
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
