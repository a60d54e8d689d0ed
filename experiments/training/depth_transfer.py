"""Does the best learning rate stay the same as a residual net becomes deeper?

Sources: Bordelon, Noci, Li, Hanin & Pehlevan 2023, arXiv:2309.16620, and Yang, Yu, Zhu &
Hayou 2023, Tensor Programs VI, arXiv:2310.02244 (depth-μP). Branches divided by √depth,
with μP over width, carry the best rate from a shallow net to a deep one; branches as they
are do not, since each adds as much to the state however many there are.

Blocks of one layer, z' = z + α (W φ(z) + b), of 64 units, where the μP of the study `mup`
is the standard parametrisation. A step of SGD moves W along a gradient that has α in it,
and the state by α times that: the `depth` steps together by depth α², which is 1 for
α = 1/√depth. A step of Adam has no size but its rate: together they move the state by
depth α, and so the layers' rates are divided by √depth as well. Weights start with
PyTorch's variance, 1/3 of 1/fan-in: of a net 64 deep with branches as they are, states then
have 140 times the size, at 1/fan-in they have 440,000 times.
"""

import functools
import math

from depthbench.experiments.training import mup_headline, pairs, rate_curves
from depthbench.experiments.training.depth_transfer_verdicts import (
    BY,
    CLAIMS,
    SOURCE,
    WITHIN,
    best_rates,
)
from depthbench.experiments.training.pairs import loss, rates, whole
from depthbench.research.catalogues.optimizers import BASE_WIDTH
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.study import trials
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Figure, Headline, Study
from depthbench.research.study.errors import Refusal
from depthbench.research.study.headlines import listed, measured
from depthbench.research.study.tables import Mark, Table, number, with_error

with lazily():
    import numpy as np

    from depthbench.research.signal import profiles as profiles_of

DEEPEST_UNSCALED = 64  # at 128 states grow 19,000-fold
KINDS = {
    "unscaled": ("residual_mlp", {"sgd": "sgd", "adam": "adam"}),
    "scaled": ("residual_mlp_scaled", {"sgd": "sgd", "adam": "adam_depth_mup"}),
}
NAMES = {"sgd": "SGD", "adam": "Adam"}
RATES = {  # by optimizer: those of its grid; the study's is both
    "sgd": [2.0**power for power in range(-9, 0)],
    "adam": [2.0**power for power in range(-13, -6)],
}
GRID = sorted({rate for grid in RATES.values() for rate in grid})


def settings(cell):
    architecture, optimizers = KINDS[cell["branches"]]
    return {
        "architecture": architecture,
        "optimizer": optimizers[cell["optimizer"]],
        "width": BASE_WIDTH,
        "initializer": "free",
        "sigma_w2": 1 / 3,
        "sigma_b2": 0.0,
    }


def fit(cells, typed):
    """The cells at the rates of their optimizer, of unscaled nets to a depth.

    Rates that were typed are taken for both optimizers. Raises Refusal without a cell.
    """
    near = [cell for cell in cells if "learning_rate" in typed or _near(cell)]
    sound = [
        cell
        for cell in near
        if cell["branches"] == "scaled" or cell["depth"] <= DEEPEST_UNSCALED
    ]
    line = (
        f"unscaled nets are trained to {DEEPEST_UNSCALED} layers: the states of deeper "
        "ones grow more than a thousandfold"
    )
    if not sound:
        raise Refusal(f"--depth: {line}")
    return sound, [line] if len(sound) < len(near) else []


def _near(cell):
    """Whether a rate is on its optimizer's grid, or on neither's."""
    rate = cell["learning_rate"]
    return rate in RATES[cell["optimizer"]] or rate not in GRID


def at_common_depths(rows):
    """The rows at depths that every kind of net has."""
    kinds = {(row["branches"], row["optimizer"]) for row in rows}
    of = {row["depth"]: set() for row in rows}
    for row in rows:
        of[row["depth"]].add((row["branches"], row["optimizer"]))
    return [row for row in rows if of[row["depth"]] == kinds]


def headline(rows):
    """By how much the best rate moves over depths with each optimizer and kind."""
    common = at_common_depths(measured(rows))
    ratios = mup_headline.moves(common, BY, "depth")
    if not ratios:
        return Headline("One depth alone does not say whether its best rate stays.")
    depths = [row["depth"] for row in common]

    def said(key):
        optimizer, branches = key
        return f"with {branches} branches and {NAMES[optimizer]}"

    changes = listed(f"× {ratio:.3g} {said(key)}" for key, ratio in ratios.items())
    worst = mup_headline.most_moved(ratios)
    return Headline(
        f"From {min(depths)} to {max(depths)} layers the best learning rate changes "
        f"{changes}.",
        f"Worst: {said(worst)} the rate must be tuned again (× {ratios[worst]:.3g})."
        if ratios[worst] != 1
        else "",
    )


def tables(rows):
    of_optimizers = [
        (name, [row for row in rows if row["optimizer"] == name]) for name in RATES
    ]
    return [
        _optima(rows),
        *(
            pairs.rate_table(
                of_optimizer,
                ("branches", "depth"),
                loss,
                f"{NAMES[name]}: training loss at each learning rate",
                "loss",
            )
            for name, of_optimizer in of_optimizers
            if of_optimizer
        ),
    ]


def _optima(rows):
    title = (
        "log2 of best rates over the shallowest net's (± 2 SE), also at half the steps"
    )
    headers = (*BY, "depth", "best rate", "log2 of it", "change", "at half", "n")
    body = tuple(
        (
            row["optimizer"],
            row["branches"],
            number(row["depth"]),
            number(row["learning_rate"]),
            _between(row["log2_rate"], row["log2_rate_se"], ".2f"),
            Mark(_between(row["gap"], row["gap_se"], "+.2f"), _tone(row["gap"])),
            number(row["half_gap"]),
            number(row["seeds"]),
        )
        for row in best_rates(rows)
    )
    return Table(title, headers, body)


def _between(value, error, form):
    """A value ± 2 SE; "-" of a best rate at an edge."""
    if not math.isfinite(value):
        return "-"
    return with_error(value, 2 * error if math.isfinite(error) else None, form)


def _tone(gap):
    if math.isnan(gap):
        return "dim"
    return "good" if abs(gap) <= WITHIN else "bad"


def draw_figures(rows, profiles):
    caption = (
        "Training loss against learning rate, one line a depth, the best rate ringed. "
        "Unscaled branches are added as they are; scaled ones are divided by √depth, and "
        "with Adam their layers' rates too."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows))]


def _draw(rows):
    import matplotlib

    figure, panels = pairs.panels(4, width=2.75)
    depths = sorted({row["depth"] for row in rows})
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(depths)))
    kinds = [(name, branches) for name in RATES for branches in KINDS]
    for axes, (name, branches) in zip(panels, kinds, strict=True):
        of_kind = [
            row
            for row in rows
            if (row["optimizer"], row["branches"]) == (name, branches)
        ]
        rate_curves.draw(axes, of_kind, "depth", depths, shades, "layers")
        axes.set_title(f"{NAMES[name]}, {branches}", loc="left")
    panels[0].set_ylabel("training loss")
    return figure


def finish(cell, result):
    """The row, with the loss on what was trained on in the tenth before half the steps."""
    row = pairs.measured(cell, result)
    if not pairs.ran(row.values):
        return row
    curves = np.asarray(row.profiles["loss"], np.float64)  # [seeds, stretches of steps]
    half = max(1, curves.shape[1] // 2)
    mean, error = profiles_of.over_seeds(
        curves[:, half - max(1, half // 5) : half].mean(1)
    )
    values = {**row.values, "half_loss": mean, "half_loss_se": error}
    return row._replace(values=values)


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return trials.measure(cells, memory, settings, finish)


STUDY = Study(
    name="depth_transfer",
    kind="experiment",
    question="Does the best learning rate stay the same as a net becomes deeper?",
    source=SOURCE,
    axes={
        "optimizer": Axis(
            "the update rule; in its depth-μP form where branches are scaled",
            tuple(RATES),
            pairs.methods("optimizer", tuple(RATES), SOURCE),
        ),
        "branches": Axis(
            "added as they are, or divided by √depth",
            tuple(KINDS),
            pairs.methods("branches", tuple(KINDS), SOURCE),
        ),
        "depth": whole("layers, each a branch", (4, 16, 64), 1, False),
        "learning_rate": rates(GRID),
        "dataset": readable.axis(readable.classified),
        "batch": whole("examples per step", (16,), low=2),
        "steps": whole("steps", (600,)),
        "seeds": whole("runs per cell", (5,)),
    },
    sizes={
        "smoke": {
            "depth": (2, 8),
            "learning_rate": (2.0**-9, 2.0**-8, 2.0**-7),
            "steps": (30,),
            "seeds": (3,),
        },
        "full": {
            "depth": (4, 16, 64, 256, 1024),
            "dataset": ("tfds:cifar10",),
            "batch": (64,),
            "steps": (39_000,),
        },
    },
    fit=fit,
    plan=trials.plan(settings),
    sweep=pairs.sweep(
        lambda row: (row["optimizer"], row["branches"], row["depth"]), "loss"
    ),
    measure="depthbench.experiments.training.depth_transfer:measure",
    columns=(
        *"optimizer branches depth learning_rate seeds half_loss".split(),
        *pairs.COLUMNS,
    ),
    claims=CLAIMS,
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=4.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
