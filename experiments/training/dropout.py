"""Does dropout help more than weight decay: by depth, and by how much there is to learn?

Source: Srivastava et al. 2014, JMLR 15:1929: hidden units are dropped in training, each
with probability 1 − keep. Schoenholz et al. 2017, arXiv:1611.01232: any dropout ends
criticality, so that two inputs are told apart through some ξ_c layers only, and deeper
nets do not train.

Every net has the best rate of one grid, weight decay and keep are chosen besides, all by a
fifth of the training examples. Weights are drawn with He's variance whatever is dropped.
ξ_c is theory's for ReLU: without biases it depends on keep alone.

On digits dropout added most where there was least to learn from and the net was deep,
and nets of keep 0.5 stopped training where 6 ξ_c ends.
"""

import functools
import math

from depthbench.experiments import scores
from depthbench.experiments.training import costs, nets
from depthbench.experiments.training import dropout_shown as shown
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning import selection
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.selection import Outcome
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Measured, Study
from depthbench.research.study.doubts import of_sides, upward
from depthbench.research.study.estimates import above, below, mean_of

with lazily():
    import numpy as np

    from depthbench.research.architectures.dense import dropout as dropping
    from depthbench.research.learning import baselines, fits, held_out, supervised

SOURCE = "Srivastava et al. 2014, JMLR 15:1929"
METHODS = choices(
    "method",
    none="nothing",
    l2="weight decay, apart from Adam's step",
    dropout="hidden units are dropped",
)
TARGET = 0.9  # of the training examples: what counts as trained
PROTOCOL = (
    "digits, 128 ReLU units, Adam, 600 steps of 64, 3 seeds; rate, decay and keep chosen "
    "on a fifth of the training examples"
)


def fit(cells, typed):
    """The cells, each once: what is kept is all where nothing is dropped.

    Raises Refusal for more examples than there are.
    """
    nets.refuse_more(cells, "train")
    cells, notes = nets.fit(cells, typed)
    kept = (
        cell if cell["method"] == "dropout" else {**cell, "keep": 1.0} for cell in cells
    )
    return list({tuple(sorted(cell.items())): cell for cell in kept}.values()), notes


def net_of(cell, parts, decay=0.0):
    """The cell's net, and how it is trained."""
    recipe = Recipe(
        architecture="mlp",
        activation="relu",
        depth=cell["depth"],
        width=cell["width"],
        optimizer="adamw",
        weight_decay=decay,
    )
    change = None
    if cell["keep"] < 1:
        change = functools.partial(dropping.of_mlp, keep=cell["keep"])
    return fits.Net(recipe, supervised.Task(parts.shape, parts.classes, change=change))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [accuracies(cell) for cell in cells]


def accuracies(cell):
    """Test accuracy at the best setting, and how much of the training part is learned."""
    data = cell["dataset"], cell["train"], cell.get("data_dir")
    parts = held_out.parts(*data)
    tuned, decay = trained(cell, parts)
    learned = [run.accuracy(*parts.train) for run in tuned.runs]
    values = scores.values(
        score=[run.accuracy(*parts.test) for run in tuned.runs],
        valid=right(tuned.runs, parts.valid),
        trivial=baseline("majority", *data),
        strong=baseline("svm", *data),
        before=beforehand(*data, cell["depth"], cell["width"], cell["seeds"]),
        tuned=tuned,
        examples=len(parts.test.y),
    )
    values |= scores.spread("learned", learned, len(parts.train.y))
    values["unfinished"] = wanting(learned, tuned.unfinished)
    return Measured(
        "ok", "", values | {"decay": decay, "xi": shown.reach(cell["keep"])}
    )


def wanting(learned, falls):
    """Whether more steps might have changed what is learned, by all units together.

    While some are dropped not all answers are right, however long a net is trained.
    """
    return selection.unfinished(
        Outcome(accuracy=float(np.mean(learned))), "accuracy", falls
    )


def trained(cell, parts):
    """(the runs at the best rate, the best decay where that is the method, or 0)."""
    held = fits.held(parts.valid)

    def at(decay):
        by_rate = fits.by_rate(
            net_of(cell, parts, decay), parts.train.batch, cell["steps"], cell["seeds"]
        )
        most = cell["further_rates"]
        return fits.tuned(by_rate, nets.rates(cell), "accuracy", held, most=most)

    if cell["method"] != "l2":
        return at(0.0), 0.0
    return nets.best_decay(at, held, "accuracy")


def right(runs, share):
    """The mean share right."""
    return float(np.mean([run.accuracy(*share) for run in runs]))


@functools.cache
def baseline(name, dataset, train, data_dir):
    """A baseline's test accuracy, tuned on the same training part."""
    parts = held_out.parts(dataset, train, data_dir)
    fitted = baselines.fit(name, *parts.train)
    return float(np.mean(fitted.predict(parts.test.x) == parts.test.y))


@functools.cache
def beforehand(dataset, train, data_dir, depth, width, seeds):
    """The fresh net's gradient with nothing dropped: one net, whatever the method."""
    parts = held_out.parts(dataset, train, data_dir)
    net = net_of({"depth": depth, "width": width, "keep": 1.0}, parts)
    return fits.beforehand(net, parts.train.batch, seeds)


def beyond(row):
    """Whether a row's net is deeper than 6 ξ_c."""
    return row["keep"] < 1 and row["depth"] > shown.REACH * (row["xi"] or math.inf)


STUDY = Study(
    name="dropout",
    kind="experiment",
    question="Does dropout help more than weight decay, by depth and amount of data?",
    source=SOURCE,
    axes={
        "method": Axis("against overfitting", tuple(METHODS), METHODS),
        "keep": Axis(
            "probability of keeping a unit, of dropout",
            (0.8, 0.5),
            kind="number",
            low=0.01,
            high=1.0,
        ),
        "train": whole(
            "training examples, of which a fifth chooses settings",
            (125, 500, 1437),
            low=50,
            single=False,
        ),
        "depth": scores.axes((1, 4, 8))["depth"],
        "width": whole("units of a layer", (128,)),
        "dataset": readable.axis(readable.classified),
        "steps": whole("steps of 64 examples", (600,)),
        "seeds": whole("runs of each setting", (3,)),
        **nets.rate_axes(1e-3, 3e-3, 2),
    },
    sizes={
        "smoke": {
            "keep": (0.5, 1.0),  # of a net without dropout it is 1
            "train": (125,),
            "depth": (1, 2),
            "width": (16,),
            "steps": (30,),
            "rates": (1,),
        },
        "full": {
            "keep": (0.9, 0.5),
            "train": (500, 2500, 12_500),  # an exact SVM of 60,000 takes hours
            "depth": (1, 4, 8, 16),
            "width": (1024,),
            "dataset": ("fashion_mnist",),
            "steps": (5000,),
        },
    },
    plan=costs.plan(compiling=3.5, layer=5.0e-5),
    fit=fit,
    measure="depthbench.experiments.training.dropout:measure",
    columns=(
        *("method", "keep", "train", "depth", "width", *scores.COLUMNS),
        *("learned", "learned_se", "learned_low", "learned_high", "decay", "xi"),
    ),
    claims=(
        Claim(
            "srivastava2014.beats-weight-decay",
            "a net whose hidden units are dropped is more accurate on what it has not "
            "seen than one with weight decay",
            f"{SOURCE}, abstract: major improvements over other regularisation methods",
            estimate=scores.gap,
            allows=above(0.0),
            moves=of_sides,
            protocol=PROTOCOL,
            differs="MNIST, nets of up to 8,192 units, up to a million steps, max-norm",
            scope=lambda row: row["train"] > 1000,
            label=("train", "depth"),
            of=lambda rows: shown.against(rows, "dropout", "l2"),
        ),
        Claim(
            "goodfellow2016.dropout-less-with-few",
            "dropout adds less test accuracy with extremely few labelled examples than "
            "with all of them",
            "Goodfellow, Bengio & Courville 2016, Deep Learning, section 7.12",
            estimate=scores.gap,
            allows=above(0.0),
            protocol=PROTOCOL,
            differs="its example has fewer than 5,000 examples, beside Bayesian nets",
            scope=lambda row: True,
            label=("train", "depth"),
            of=shown.grown,
        ),
        Claim(
            "schoenholz2017.dropout-limits-depth",
            "a net with dropout that is deeper than 6 ξ_c does not learn 90 % of its "
            "training examples",
            "Schoenholz et al. 2017, arXiv:1611.01232, abstract and section 5",
            estimate=mean_of("learned"),
            allows=below(TARGET),
            moves=upward,
            protocol=PROTOCOL,
            differs="tanh nets; ξ_c of ReLU is that of the same theory",
            scope=beyond,
            label=("keep", "train", "depth"),
        ),
    ),
    headline=shown.headline,
    tables=shown.tables,
    figures=shown.figures_of,
    shows=("dropout",),
    summary=shown.summary,
    compile_seconds=3.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
