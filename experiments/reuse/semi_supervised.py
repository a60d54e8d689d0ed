"""What do examples without labels add to ten, twenty or a hundred that have one?

Sources: Lee 2013, ICML Workshop on Challenges in Representation Learning: a net is also
taught the labels that it guesses itself. Erhan et al. 2010, JMLR 11:625: a start from what
was learned without labels helps, and deep nets most; here it is an autoencoder's of the
same layers. Zhou et al. 2003, NIPS 16: labels spread over the graph of nearest neighbours,
without any net. Oliver et al. 2018, arXiv:1804.09170: baselines are often tuned less.

Nets and label spreading are chosen by the same examples, a fifth of the training part:
more labels than are learned from, so that no method is short of care.
"""

import functools
from typing import Any, NamedTuple

from depthbench.experiments import comparisons, scores
from depthbench.experiments.once import once
from depthbench.experiments.reuse import compared, spreading
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import costs, nets
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.datasets import find, readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.selection import half
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Measured, Study
from depthbench.research.study.doubts import of_sides, upward
from depthbench.research.study.errors import Refusal
from depthbench.research.study.estimates import above
from depthbench.research.study.headlines import counted, measured
from depthbench.research.study.plan import all_but

with lazily():
    import jax
    import numpy as np

    from depthbench.research.learning import (
        few_labels,
        fits,
        held_out,
        supervised,
    )

LEE = "Lee 2013, ICML Workshop on Challenges in Representation Learning"
ERHAN = "Erhan et al. 2010, JMLR 11:625"
METHODS = choices(
    "method",
    supervised="labels alone",
    pseudo_labels=f"{LEE}: the net's own guesses are taught too",
    pretrained=f"{ERHAN}: the labels alone, from an autoencoder's layers",
)
BATCH, PRETRAINING_RATE = 64, 1e-3
SCORING = Scoring(
    system="net taught few labels",
    noun="test accuracy",
    trivial="largest class",
    strong="label spreading",
    by=("method", "architecture", "activation", "depth"),
    axis="labels",
    naming=lambda row, net: (
        f"{net}, {scores.words(row['method'])}, {counted(row['labels'], 'label')}"
    ),
)
NETS = ("method", "architecture", "activation", "depth", "labels")
KIND = tuple(name for name in NETS if name != "depth")
PROTOCOL = (
    "digits of 8 × 8, as many labels of each class, 64 units, Adam, 300 steps, 3 seeds "
    "with labels of their own; rates, and label spreading's settings, are chosen by 288 "
    "further labels, more than are learned from"
)


def net_of(cell, parts, outputs, loss):
    recipe = Recipe(
        architecture=cell["architecture"],
        activation=cell["activation"],
        depth=cell["depth"],
        width=cell["width"],
        batch=BATCH,
        schedule="cosine",
    )
    return fits.Net(recipe, supervised.Task(parts.shape, outputs, loss))


def data_of(cell, train, seed):
    """What a run of the seed is fed from: which have labels is the seed's own."""
    trust = 1.0 if cell["method"] == "pseudo_labels" else 0.0
    return {
        **train.batch,
        "order": few_labels.labelled(train.y, cell["labels"], seed),
        "labels": np.int32(cell["labels"]),
        "trust": np.float32(trust),
    }


@once
def pretrained(architecture, activation, depth, width, steps, dataset, data_dir, seed):
    """An autoencoder of the same layers, trained on all inputs."""
    parts = held_out.parts(dataset, data_dir=data_dir)
    names = ("architecture", "activation", "depth", "width")
    cell = dict(zip(names, (architecture, activation, depth, width), strict=True))
    pixels = int(np.prod(parts.shape))
    net = net_of(cell, parts, pixels, "reconstruction")
    data = parts.train.batch
    return fits.train(net, data, steps, (PRETRAINING_RATE,), [seed])[0]


def start_of(cell, net, seed):
    """The net whose layers are the autoencoder's, with a fresh head."""
    names = ("architecture", "activation", "depth", "width", "steps", "dataset")
    learned = pretrained(*(cell[name] for name in names), cell.get("data_dir"), seed)
    fresh = fits.fresh(net, seed)
    return fresh._replace(
        variables=learned.variables._replace(head=fresh.variables.head)
    )


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [accuracies(cell) for cell in cells]


class Taught(NamedTuple):
    """Nets that a method taught. right: test accuracy [seeds]. before: of the start."""

    tuned: Any
    right: Any
    before: Any
    valid: float
    labels: Any


@functools.lru_cache(maxsize=8)
def taught_by(method, settings):
    """The method's nets at the best rate; each seed has labels of its own."""
    cell = {**dict(settings), "method": method}
    parts = held_out.parts(cell["dataset"], data_dir=cell.get("data_dir"))
    net = net_of(cell, parts, parts.classes, few_labels.PSEUDO)
    seeds = range(cell["seeds"])
    feeds = few_labels.half_labelled(BATCH, cell["steps"])
    every = [data_of(cell, parts.train, seed) for seed in seeds]
    begun = None
    if method == "pretrained":
        begun = [start_of(cell, net, seed) for seed in seeds]
    starts = [None if begun is None else [begun[seed]] for seed in seeds]

    more = {"feeds": feeds, "capacity": cell["steps"]}

    def trained(rates, steps=cell["steps"]):
        each = [
            fits.train(net, data, steps, rates, [seed], start, **more)
            for seed, data, start in zip(seeds, every, starts, strict=True)
        ]
        return list(zip(*each, strict=True))

    most = cell["further_rates"]
    held = fits.held(parts.valid)
    sooner = lambda rate: trained([rate], half(cell["steps"]))[0]
    grid = nets.rates(cell)
    tuned = fits.tuned(trained, grid, "accuracy", held, most=most, sooner=sooner)
    batch = feeds(jax.device_put(every[0]), 0)(jax.random.key(0), 0)
    return Taught(
        tuned,
        np.array([run.accuracy(*parts.test) for run in tuned.runs]),
        fits.beforehand(net, batch, cell["seeds"], starts=begun),
        tuned.tried[tuned.setting].accuracy,
        taught(every[0]),
    )


def accuracies(cell):
    """Test accuracy at the best rate, and beside the same labels alone."""
    parts = held_out.parts(cell["dataset"], data_dir=cell.get("data_dir"))
    settings = tuple((name, cell[name]) for name in cell if name != "method")
    own, alone = (
        taught_by(method, settings) for method in (cell["method"], "supervised")
    )
    values = scores.values(
        score=own.right,
        valid=own.valid,
        trivial=spreading.majority(cell["dataset"], cell.get("data_dir")),
        strong=spreading.spread(
            cell["dataset"], cell.get("data_dir"), cell["labels"], cell["seeds"]
        ),
        before=own.before,
        tuned=own.tuned,
        examples=len(parts.test.y),
    )
    others = own.right, alone.right
    values |= scores.beside("over_labels", *others, len(parts.test.y))
    return Measured("ok", "", values, own.labels)


def taught(data):
    """The examples that have labels, of the first seed, where they are images."""
    x = data["inputs"][data["order"][: min(data["labels"], 100)]]
    return {"taught": x.reshape(*x.shape[:3])} if x.ndim == 4 else {}


def fit(cells, typed):
    """The cells. Raises Refusal where labels are fewer than one a class."""
    for cell in cells[:1]:
        classes = find(cell["dataset"], cell.get("data_dir")).classes
        least = min(each["labels"] for each in cells)
        if least < classes:
            raise Refusal(
                f"--labels {least}: {cell['dataset']} has {classes} classes; must be "
                f"{classes} or more, one of each"
            )
    return nets.fit(cells, typed)


# -------------------------------------------------------------------------- claims


GAP = ("gap", "gap_se", "gap_test_se")


def over(first):
    """A method's accuracy less that of the same labels alone, seed by seed."""

    def of(rows):
        return [
            {
                **row,
                **{end: row.get(f"over_labels{end[3:]}") for end in GAP},
            }
            for row in compared.values(rows, NETS, "method", first, "supervised")
        ]

    return of


def more_when_deep(rows):
    """What pretraining adds to the deepest net, less what it adds to the shallowest."""
    return comparisons.deeper(KIND, "gap")(over("pretrained")(rows))


LABEL = ("method", "architecture", "depth", "labels")
CLAIMS = (
    Claim(
        "lee2013.pseudo-labels-help",
        "taught its own guesses too, a net with few labels is more accurate than with "
        "the labels alone",
        LEE,
        estimate=scores.gap,
        allows=above(0.0),
        moves=of_sides,
        protocol=PROTOCOL,
        differs="MNIST, hundreds of labels and more, one wide hidden layer, dropout",
        scope=lambda row: row["labels"] >= 100,
        label=LABEL,
        of=over("pseudo_labels"),
    ),
    Claim(
        "erhan2010.pretraining-helps-few-labels",
        "from an autoencoder's layers, a net with few labels is more accurate than from "
        "random ones",
        ERHAN,
        estimate=scores.gap,
        allows=above(0.0),
        moves=of_sides,
        protocol=PROTOCOL,
        differs="all labels of MNIST; denoising autoencoders and belief nets, by layer; "
        "rates of pretraining chosen, here 0.001",
        scope=lambda row: True,
        label=LABEL,
        of=over("pretrained"),
    ),
    Claim(
        "erhan2010.pretraining-helps-deep-more",
        "an autoencoder's layers add more accuracy to a deep net with few labels than to a "
        "shallow one",
        ERHAN,
        estimate=scores.gap,
        allows=above(0.0),
        protocol=PROTOCOL,
        differs="all labels of MNIST; denoising autoencoders and belief nets, by layer; "
        "rates of pretraining chosen, here 0.001",
        scope=lambda row: True,
        label=("architecture", "labels"),
        of=more_when_deep,
    ),
    Claim(
        "depthbench.net-beats-label-spreading",
        "depthbench's own bar: with few labels a net, pretrained or with pseudo-labels, is "
        "more accurate than label spreading",
        "depthbench",
        estimate=scores.gap,
        allows=above(0.0),
        moves=upward,
        protocol=PROTOCOL,
        scope=lambda row: row["method"] != "supervised",
        label=LABEL,
    ),
)


# --------------------------------------------------------------------------- shown


def headline(rows):
    """Whether a net or label spreading is ahead, where most labels are, and the worst."""
    return SCORING.headline(rows)


def draw_taught(rows, profiles):
    """Draws the examples that have labels, with what is learned from them."""

    def draw(figure, axes):
        done = measured(rows)
        most = max(done, key=lambda row: row["labels"])
        images = profiles(most).get("taught")
        axes.set_axis_off()
        if images is None:
            axes.text(0, 0.5, "no images")
            return
        side, across = images.shape[1] + 1, 10
        tall = -(-len(images) // across)
        picture = np.full((side * tall, side * across), np.nan)
        for number, image in enumerate(images):
            y, x = side * (number // across), side * (number % across)
            picture[y : y + side - 1, x : x + side - 1] = image
        axes.imshow(picture, cmap="gray_r", interpolation="nearest")
        axes.set_title("labels of one seed; above each line, accuracy", loc="left")
        for count in sorted({row["labels"] for row in done}):
            best = SCORING.best([row for row in done if row["labels"] == count])
            y = side * -(-min(count, len(images)) // across) - 0.5
            axes.plot((0, side * across), (y, y), color="C3", lw=1)
            words = f"{count}: net {best['score']:.2f}\nspreading {best['strong']:.2f}"
            axes.text(side * across + 1, y, words, fontsize=6, va="bottom", color="C3")

    return draw


def figures_of(rows, profiles):
    caption = (
        "Third: the examples that have labels, of the first seed. So many of them, down to "
        "each line, give the accuracies beside it: of the best net, and of label spreading."
    )
    return [SCORING.figure(rows, caption, draw_taught(rows, profiles))]


STUDY = Study(
    name="semi_supervised",
    kind="experiment",
    question="What do examples without labels add to the few that have one?",
    source=f"{LEE}; {ERHAN}; Zhou et al. 2003, NIPS 16",
    axes={
        "method": Axis("how the net learns", tuple(METHODS), METHODS),
        **scores.axes((1, 4, 16), architectures=("mlp",)),
        "labels": whole("examples with labels", (10, 20, 50, 100), single=False),
        "width": whole("units of a layer", (64,)),
        "dataset": readable.axis(readable.classified),
        "steps": whole("steps of 64 examples", (300,)),
        "seeds": whole("runs of each rate, each with labels of its own", (3,)),
        **nets.rate_axes(1e-3, 1e-2, 3),
    },
    sizes={
        "smoke": {
            "depth": (1,),
            "labels": (10, 20),
            "width": (16,),
            "steps": (30,),
            "rates": (1,),
            "seeds": (2,),
        },
        "full": {
            "architecture": scores.SKIPS,
            "depth": (1, 4, 16, 32),
            "labels": (300, 600, 1200),
            "width": (1024,),
            "dataset": ("glyphs",),
            "steps": (5000,),
        },
    },
    plan=costs.plan(compiling=1.0, layer=3.0e-5, group=all_but("method")),
    fit=fit,
    measure="depthbench.experiments.reuse.semi_supervised:measure",
    columns=(
        *("method", "architecture", "activation", "depth", "labels", "width"),
        *(*scores.COLUMNS, "over_labels", "over_labels_se", "over_labels_test_se"),
    ),
    claims=CLAIMS,
    headline=headline,
    tables=lambda rows: [SCORING.table(rows, more=("over_labels",))],
    figures=figures_of,
    shows=("learning from few labels",),
    summary=SCORING.summary,
    compile_seconds=3.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
