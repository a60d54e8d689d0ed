"""Does the right activation cure a vanishing gradient?

The popular claim is that deep sigmoid nets do not train because their gradient vanishes,
and that ReLU cures it (Glorot, Bordes & Bengio 2011, AISTATS). Every remedy here changes
one thing of the same net; each gets its best learning rate of the same grid.
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

from depthbench.experiments.training import nets
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.catalogues.optimizers import OPTIMIZERS
from depthbench.research.datasets import readable
from depthbench.research.report import figures
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Headline, Measured, Study
from depthbench.research.study.doubts import upward
from depthbench.research.study.estimates import above, below, mean
from depthbench.research.study.headlines import (
    counted,
    listed,
    measured,
    of_deepest,
    out_of,
)
from depthbench.research.study.tables import Table


class Remedy(NamedTuple):
    """One change to the sigmoid net. kind: what is changed.

    settings: those of `trials` that it changes.
    """

    name: str
    kind: str
    settings: Mapping[str, Any]
    source: str


NET = {"activation": "sigmoid", "initializer": "glorot_normal", "normalizer": "none"}
PROTOCOL = (
    "digits, 5 to 50 layers of 64 units, momentum, Glorot's variance unless said, the "
    "best of a grid of rates"
)
DIFFERS = "other data and wider nets, one rate for all or no rate said"
CRITICAL = "Schoenholz et al. 2017, arXiv:1611.01232"

REMEDIES: Catalogue[Remedy] = Catalogue(
    "remedy",
    [
        Remedy("sigmoid", "nothing", {}, "Glorot & Bengio 2010, AISTATS"),
        *(
            Remedy(name, "activation", {"activation": name}, source)
            for name, source in (
                ("tanh", "LeCun, Bottou, Orr & Müller 1998, Efficient BackProp"),
                ("softsign", "Glorot & Bengio 2010, AISTATS"),
                ("relu", "Glorot, Bordes & Bengio 2011, AISTATS"),
                ("elu", "Clevert et al. 2016, arXiv:1511.07289"),
                ("gelu", "Hendrycks & Gimpel 2016, arXiv:1606.08415"),
            )
        ),
        Remedy(
            "relu_he",
            "activation and variance",
            {"activation": "relu", "initializer": "he_normal"},
            "He et al. 2015, arXiv:1502.01852",
        ),
        Remedy(
            "sigmoid_critical", "sigmoid kept", {"initializer": "critical"}, CRITICAL
        ),
        Remedy(
            "sigmoid_skips",
            "sigmoid kept",
            {"architecture": "residual_mlp"},
            "He et al. 2016, arXiv:1603.05027",
        ),
        Remedy(
            "sigmoid_batch_norm",
            "sigmoid kept",
            {"normalizer": "batch"},
            "Ioffe & Szegedy 2015, arXiv:1502.03167",
        ),
    ],
)


def kind(row):
    """What a row's remedy changes."""
    return REMEDIES[row["remedy"]].kind


def accuracy(row):
    return mean(row["train_accuracy"], row["train_accuracy_se"], row["seeds"])


def recipes(cell):
    """The one recipe of a cell's remedy."""
    return {"net": {**NET, **REMEDIES[cell["remedy"]].settings}}


def finish(cell, swept):
    """The best learning rate's steps to the target, and the gradient it started with."""
    net = swept["net"]
    best, row = net.results[net.best], nets.columns(net)
    row["kind"] = REMEDIES[cell["remedy"]].kind
    row["log10_ratio"] = nets.log10_ratio(cell, recipes(cell)["net"])
    return Measured(best.status, best.reason, row, {"loss": nets.curve(net)})


def headline(rows):
    """Which remedies let the deepest net train, and the one that ends worst."""
    deep = of_deepest(measured(rows))
    cured = [row for row in deep if row["reached"] > 0.5]
    good = out_of(len(cured), len(deep), "remedies")
    named = f": {listed((row['remedy'] for row in cured), 8)}" if cured else ""
    worst = min(deep, key=lambda row: (row["train_accuracy"], row["log10_ratio"] or 0))
    decades = worst["log10_ratio"]
    lost = (
        "" if decades is None else f", its gradient at the start {decades:+.1f} decades"
    )
    return Headline(
        f"With {counted(deep[0]['depth'], 'layer')} most seeds train with {good}{named}.",
        f"Worst: {worst['remedy']}, {worst['train_accuracy']:.0%} right{lost}.",
    )


def tables(rows):
    """Steps to the target, or the accuracy at the end where it is never reached."""
    depths = sorted({row["depth"] for row in rows})
    at = {(row["remedy"], row["depth"]): row for row in rows}
    names = dict.fromkeys(row["remedy"] for row in rows)
    body = [
        (n, REMEDIES[n].kind, *(entry(at.get((n, d))) for d in depths)) for n in names
    ]
    headers = ("remedy", "changes", *(f"{d} layers" for d in depths))
    title = "Steps to 90 % right in training (log10 gradient ratio at the start)"
    return [Table(title, headers, tuple(body))]


def entry(row):
    """ "120 (-1.3)": the steps, and the ratio in brackets."""
    if row is None:
        return ""
    steps, ratio = nets.entry(row), row["log10_ratio"]
    return (
        steps if ratio is None else steps._replace(text=f"{steps.text} ({ratio:+.1f})")
    )


def draw_figures(rows, profiles):
    caption = (
        "Training loss against step at each remedy's best learning rate, mean over seeds. "
        "Dashed: sigmoid kept; dotted: guessing."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


def _draw(rows, profiles):
    depths = sorted({row["depth"] for row in rows})
    figure = figures.new(3.4 * len(depths) + 1.4, 3.4)
    panels = figure.subplots(1, len(depths), squeeze=False, sharey=True)[0]
    names = list(dict.fromkeys(row["remedy"] for row in rows))
    for axes, depth in zip(panels, depths, strict=True):
        for row in rows:
            if row["depth"] == depth and row["status"] == "ok":
                _curve(axes, row, names, profiles(row)["loss"])
        nets.dress(axes, f"{depth} layers")
    panels[0].set_ylabel("training loss")
    handles = {h.get_label(): h for axes in panels for h in axes.get_lines()}
    shown = [name for name in names if name in handles]
    figure.legend(
        [handles[n] for n in shown],
        shown,
        fontsize=7,
        frameon=False,
        loc="outside right",
    )
    return figure


def _curve(axes, row, names, loss):
    """Black: the net as it was; dashed: sigmoid kept; others: another activation."""
    import matplotlib

    colours = matplotlib.color_sequences["tab10"]
    sigmoid = row["kind"] == "sigmoid kept"
    plain = row["kind"] == "nothing"
    nets.draw_curve(
        axes,
        row,
        loss,
        color="black" if plain else colours[names.index(row["remedy"]) % 10],
        lw=2 if plain else 1.3,
        ls=(0, (4, 2)) if sigmoid else "-",
        label=row["remedy"],
    )


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return nets.measure(cells, memory, recipes, finish)


STUDY = Study(
    name="activation_fix",
    kind="experiment",
    question="Does the right activation cure a vanishing gradient?",
    source="popular accounts of Glorot, Bordes & Bengio 2011, AISTATS",
    axes={
        "remedy": Axis("what is changed of the sigmoid net", tuple(REMEDIES), REMEDIES),
        "depth": Axis("layers", (5, 20, 50), kind="integer", low=1, high=10**4),
        "optimizer": Axis("the update rule", ("momentum",), OPTIMIZERS, single=True),
        "dataset": readable.axis(readable.classified),
        "width": nets.one("units", 64, low=2),
        "steps": nets.one("steps per run", 400),
        **nets.rate_axes(2.5e-3, 0.16, 4),
        "seeds": nets.one("runs per learning rate", 4),
    },
    sizes={
        "smoke": {
            "remedy": ("sigmoid", "relu", "sigmoid_skips"),
            "depth": (3,),
            "width": (16,),
            "steps": (30,),
            "further_rates": (0,),
            "rates": (1,),
            "highest_rate": (0.1,),
        },
        "full": {
            "depth": (5, 10, 20, 50),
            "dataset": ("fashion_mnist",),
            "width": (256,),
            "steps": (20000,),
            "rates": (9,),
            "lowest_rate": (1e-4,),
            "highest_rate": (1.0,),
            "seeds": (10,),
        },
    },
    fit=nets.fit,
    plan=nets.plan(recipes),
    measure="depthbench.experiments.training.activation_fix:measure",
    columns=tuple(
        "remedy kind depth optimizer dataset width steps seeds status reason "
        "learning_rate reached steps_to_target steps_low steps_high train_accuracy "
        "train_accuracy_se train_accuracy_low train_accuracy_high rate_at_edge unfinished "
        "test_accuracy rates_diverged "
        "log10_ratio".split()
    ),
    claims=(
        Claim(
            "glorot2010.deep-sigmoid-fails",
            "deep sigmoid nets do not train, to 90 % right of what they train on",
            "Glorot & Bengio 2010, AISTATS, section 3.1",
            estimate=accuracy,
            allows=below(nets.TARGET),
            moves=upward,
            protocol=PROTOCOL,
            differs="five hidden layers of 1,000 units, images of shapes",
            published="accuracy below 0.9",
            scope=lambda row: kind(row) == "nothing",
            label=("remedy", "depth"),
        ),
        Claim(
            "popular.activation-cures-depth",
            "another activation than sigmoid, and nothing else, lets a deep net train",
            "popular accounts of Glorot, Bordes & Bengio 2011, AISTATS",
            estimate=accuracy,
            allows=above(nets.TARGET),
            moves=upward,
            protocol=PROTOCOL,
            differs=DIFFERS,
            published="accuracy above 0.9",
            scope=lambda row: kind(row) == "activation",
            label=("remedy", "depth"),
        ),
        Claim(
            "schoenholz2017.sigmoid-also-cured",
            "a deep sigmoid net is trained by another kind of fix than an activation: "
            "variance, skips, batch norm",
            "Schoenholz et al. 2017; He et al. 2016; Ioffe & Szegedy 2015",
            estimate=accuracy,
            allows=above(nets.TARGET),
            moves=upward,
            protocol=PROTOCOL,
            differs=DIFFERS,
            published="accuracy above 0.9",
            scope=lambda row: kind(row) == "sigmoid kept",
            label=("remedy", "depth"),
        ),
        Claim(
            "he2015.relu-with-its-variance",
            "ReLU with the variance made for it lets a deep net train",
            "He et al. 2015, arXiv:1502.01852, section 2.2",
            tag="S13",
            estimate=accuracy,
            allows=above(nets.TARGET),
            moves=upward,
            protocol=PROTOCOL,
            differs=DIFFERS,
            published="accuracy above 0.9",
            scope=lambda row: kind(row) == "activation and variance",
            label=("remedy", "depth"),
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
