"""How much harder does depth make it to choose a net's settings?

Settings are drawn at random: the learning rate, the variance of the first weights and the
momentum. Counted is the share with which a net trains, and how good the best of so many
is. The same number of trials on a grid is set beside them: three settings at two values
each are eight trials, of which random search tries eight values of each.

Source: Bergstra & Bengio 2012, JMLR 13:281: over the same domain random trials find models
as good as or better than grid search's, within a small fraction of its time, as few of the
settings matter.

A search returns the setting of its best validation accuracy; the score is the test accuracy
of that. Searches are independent, and intervals are over them.
"""

import math

from depthbench.experiments import comparisons, scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import costs, pairs
from depthbench.experiments.training import tuning_shown as shown
from depthbench.experiments.training.pairs import whole
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Measured, Study
from depthbench.research.study.doubts import certain
from depthbench.research.study.estimates import above, below, mean_of

with lazily():
    import numpy as np

    from depthbench.research.learning import (
        feed,
        fits,
        held_out,
        starts,
        supervised,
        training,
    )

SOURCE = "Bergstra & Bengio 2012, JMLR 13:281"
# By name, the least and the most: the first two by their logarithms, the last by that of
# 1 less it.
DOMAIN = {
    "learning_rate": (1e-4, 3.0),
    "sigma_w2": (0.1, 20.0),
    "momentum": (0.0, 0.99),
}
BATCH = 64
TRAINED = 0.8  # validation accuracy of a setting with which a net trains
SCORING = Scoring(
    system="search for a net's settings",
    noun="test accuracy of the best setting",
    trivial="largest class",
    strong="RBF SVM",
)
PROTOCOL = (
    "digits, 24 ReLU units, 200 steps of 64 by momentum; rate 10^−4–3, weight variance "
    "0.1–20, momentum 0–0.99; 6 searches of 8 trials each, the best by validation"
)


def setting_of(place):
    """Settings by name, of a place in the unit cube [3].

    >>> setting_of((0.0, 1.0, 0.0))
    {'learning_rate': 0.0001, 'sigma_w2': 20.0, 'momentum': 0.0}
    """
    low, high = DOMAIN["momentum"]
    logarithmic = {
        name: round(ends[0] * (ends[1] / ends[0]) ** float(at), 12)
        for at, (name, ends) in zip(place, list(DOMAIN.items())[:2], strict=False)
    }
    left = (1 - low) * ((1 - high) / (1 - low)) ** float(place[2])
    return {**logarithmic, "momentum": round(1 - left, 12)}


def random_places(searches, side):
    """Places in the unit cube, [searches, side³, 3], the same for every net."""
    return np.random.RandomState(0).uniform(size=(searches, side**3, 3))


def grid_places(searches, side):
    """The same number on grids of `side` values each way, each grid moved at random."""
    first = np.random.RandomState(1).uniform(size=(searches, 1, 3))
    steps = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1)
    return (first + steps.reshape(1, -1, 3)) / side


def net_of(cell, parts):
    """The cell's net; its numbers are each trial's own."""
    recipe = Recipe(
        architecture=cell["architecture"],
        activation=cell["activation"],
        depth=cell["depth"],
        width=cell["width"],
        optimizer="momentum",
        batch=BATCH,
    )
    return fits.Net(recipe, supervised.Task(parts.shape, parts.classes))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [searched(cell) for cell in cells]


def searched_for(cell):
    """How many nets each of the two searches trains, in one call."""
    return cell["seeds"] * cell["side"] ** 3


def searched(cell):
    """What random search and grid search find, and with how many settings a net trains."""
    parts = held_out.parts(cell["dataset"], data_dir=cell.get("data_dir"))
    net, searches, side = net_of(cell, parts), cell["seeds"], cell["side"]
    found = {}
    for name, places in (("random", random_places), ("grid", grid_places)):
        runs = runs_of(net, places(searches, side).reshape(-1, 3), cell["steps"])
        found[name] = trials(net, parts, runs, cell["steps"])
    drawn = runs_of(net, random_places(searches, side).reshape(-1, 3), cell["steps"])
    before = starts.beforehand(
        net, parts.train.batch, drawn, cell["steps"], feeds=feed.drawn(BATCH)
    )
    random, grid = (best_of(*found[name], searches) for name in ("random", "grid"))
    valid = found["random"][0]
    curve = expected_best(valid)
    values = scores.values(
        score=random,
        valid=float(np.mean(valid.reshape(searches, -1).max(axis=1))),
        trivial=scores.baseline("majority", cell["dataset"], cell.get("data_dir")),
        strong=scores.baseline("svm", cell["dataset"], cell.get("data_dir")),
        before=before,
        examples=len(parts.test.y),
    )
    by_search = np.mean(valid.reshape(searches, -1) >= TRAINED, axis=1)
    values |= {
        **scores.spread("trains", by_search, side**3),
        **scores.spread("grid", grid, len(parts.test.y)),
        **scores.beside("lead", random, grid, len(parts.test.y)),
        "best_of_2": float(curve[1]),
        "trials_to_90": needed(curve, 0.9),
    }
    places = random_places(searches, side).reshape(-1, 3)
    return Measured(
        "ok", "", values, {"places": places, "valid": valid, "curve": curve}
    )


def runs_of(net, places, steps):
    """A run for each place, each with a seed of its own."""
    settings = [{**vars(net.recipe), **setting_of(p), "steps": steps} for p in places]
    return [starts.Run(n, training.numbers_of(one)) for n, one in enumerate(settings)]


def trials(net, parts, runs, steps):
    """(validation accuracy, test accuracy) of each run [runs]; 0 of one that diverged."""
    done = starts.train(
        net, parts.train.batch, steps, runs, len(runs), feeds=feed.drawn(BATCH)
    )
    ended = np.array([fit.diverged is None for fit in done])
    return tuple(
        np.where(
            ended,
            np.mean(starts.outputs(done, part.x).argmax(-1) == part.y, axis=1),
            0.0,
        )
        for part in (parts.valid, parts.test)
    )


def best_of(valid, test, searches):
    """The test accuracy of each search's setting of best validation accuracy."""
    valid, test = (each.reshape(searches, -1) for each in (valid, test))
    return np.take_along_axis(test, valid.argmax(axis=1)[:, None], axis=1)[:, 0]


def expected_best(values):
    """E[the largest of n of the values], drawn without putting back, for n = 1, 2, …

    The i-th smallest is the largest of n in C(i − 1, n − 1) of C(N, n) draws.

    >>> expected_best([0.0, 1.0, 0.5]).round(3).tolist()
    [0.5, 0.833, 1.0]
    """
    ordered, count = sorted(values), len(values)
    return np.array(
        [
            sum(
                value * (math.comb(place, n - 1) / math.comb(count, n))
                for place, value in enumerate(ordered)
            )
            for n in range(1, count + 1)
        ]
    )


def needed(curve, target):
    """The least number of trials whose best is expected to be there; None if never."""
    there = np.flatnonzero(np.asarray(curve) >= target)
    return int(there[0]) + 1 if len(there) else None


def beside(rows, axis, other):
    """Rows beside those with `other` on an axis: shares that train, less theirs."""
    names = tuple(n for n in ("architecture", "activation", "depth") if n != axis)
    base = {tuple(r[n] for n in names): r for r in rows if r[axis] == other}
    made = []
    for row in rows:
        one = base.get(tuple(row[n] for n in names))
        if row[axis] == other or one is None:
            continue
        made.append(
            {
                **pairs.joint([row, one]),
                **{n: row[n] for n in ("architecture", "activation", "depth", "seeds")},
                **comparisons.apart(row, one, "trains"),
            }
        )
    return made


AXES = scores.axes((1, 4, 16))
STUDY = Study(
    name="tuning",
    kind="experiment",
    question="How much harder does depth make it to choose a net's settings?",
    source=SOURCE,
    axes={
        **AXES,
        "width": whole("units of a layer", (24,)),
        "dataset": readable.axis(readable.classified),
        "steps": whole("steps of 64 examples", (200,)),
        "side": whole("values of each setting on a grid; trials: their cube", (2,), 2),
        "seeds": whole("searches", (6,), 2),
    },
    sizes={
        "smoke": {
            "depth": (1, 2),
            "architecture": ("mlp",),
            "width": (8,),
            "steps": (20,),
            "seeds": (2,),
        },
        "full": {
            "depth": (1, 4, 16, 64),
            "activation": ("relu", "tanh"),
            "width": (128,),
            "dataset": ("fashion_mnist",),
            "steps": (2000,),
            "side": (3,),
            "seeds": (12,),
        },
    },
    plan=costs.plan(
        compiling=7.0,
        layer=2.0e-5,
        runs=lambda cell: 2 * searched_for(cell),
        at_once=searched_for,
    ),
    measure="depthbench.experiments.training.tuning:measure",
    columns=(
        *("architecture", "activation", "depth", "width", *scores.COLUMNS),
        *(
            "trains",
            "trains_se",
            "grid",
            "lead",
            "lead_se",
            "lead_test_se",
            "best_of_2",
            "trials_to_90",
        ),
    ),
    claims=(
        Claim(
            "bergstra2012.random-as-good-as-grid",
            "random search finds settings as good as or better than a grid of as many "
            "trials, to 2 points of test accuracy",
            SOURCE,
            estimate=mean_of("lead"),
            allows=above(-0.02),
            protocol=PROTOCOL,
            differs="seven data sets, nets of one hidden layer, up to 32 settings",
            scope=lambda row: True,
            label=("architecture", "activation", "depth"),
            doubt=certain,
            published="as good or better within a small fraction of the time",
        ),
        Claim(
            "popular.depth-makes-tuning-harder",
            "fewer settings train a plain net the deeper it is: at least a tenth of all "
            "fewer than with one layer",
            "popular accounts",
            estimate=scores.gap,
            allows=below(-0.1),
            protocol=PROTOCOL,
            differs="no settings or shares are named",
            scope=lambda row: row["architecture"] == "mlp" and row["depth"] >= 4,
            label=("activation", "depth"),
            of=lambda rows: beside(rows, "depth", 1),
            doubt=certain,
        ),
        Claim(
            "depthbench.skips-ease-tuning",
            "depthbench's own bar: at the same depth at least as many settings train a "
            "residual net as a plain one",
            "depthbench",
            estimate=scores.gap,
            allows=above(0.0),
            protocol=PROTOCOL,
            scope=lambda row: row["depth"] >= 4,
            label=("activation", "depth"),
            of=lambda rows: beside(rows, "architecture", "mlp"),
            doubt=certain,
        ),
    ),
    headline=lambda rows: shown.headline(rows, SCORING),
    tables=lambda rows: shown.tables(rows, SCORING),
    figures=lambda rows, profiles: shown.figures_of(rows, profiles, SCORING),
    shows=("search for hyperparameters",),
    summary=SCORING.summary,
    compile_seconds=4.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
