"""What do units know of a class that they were never told of?

Sources: Le et al. 2012, arXiv:1112.6209: of nine layers trained on ten million frames
without labels the best single unit tells faces from other pictures, 81.7 % right.
Coates, Ng & Lee 2011, AISTATS, PMLR 15:215: one layer, k-means of patches, is better on
CIFAR-10 than deeper methods were, 79.6 %.

An autoencoder is trained without labels. Then a ridge classifier reads one of its layers
with few labels, and the best single unit for each class is looked for. Layer and unit are
chosen by validation examples, and judged by test examples. Pixels, k-means of patches and
the net before its training are read, and searched for units, in the same way; so are
principal components.

What is read from a fresh net is the control: it is ahead of pixels too, whose corners,
blank in almost all images, count as much as other pixels once each has variance 1. What
training has taught is by how much the trained net is ahead of the fresh one.
"""

import functools
from typing import Any, NamedTuple

from depthbench.experiments import scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import costs
from depthbench.experiments.training.pairs import whole
from depthbench.experiments.unsupervised import codes, units_shown
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Headline, Measured, Study
from depthbench.research.study.errors import Refusal
from depthbench.research.study.estimates import above, below, mean_of
from depthbench.research.study.headlines import measured

with lazily():
    import numpy as np
    import sklearn.decomposition as decomposition

    from depthbench.research.learning import (
        few_labels,
        held_out,
        image_patches,
        linear_probes,
        single_units,
        stimuli,
    )

LE = "Le et al. 2012, arXiv:1112.6209"
COATES = "Coates, Ng & Lee 2011, AISTATS, PMLR 15:215"
COUNTS = (10, 30, 100, 300, 1000)  # labels, of the curves in the picture
SIDES = (3, 4, 6)  # pixels of a patch's side; validation chooses
POOL, JUDGES = 5000, 2000  # examples that may be labelled; that choices are made by
SHOWN = 5  # images beside each unit
SPANNED = 0.9  # of the images' variance, by the components that stimuli are made of
SCORING = Scoring(
    system="autoencoder's layer, read with few labels",
    noun="test accuracy",
    trivial="largest class",
    strong="k-means of patches",
)
PROTOCOL = (
    "digits, plain and residual autoencoders of 1 + 1 to 16 + 16 layers of 64, 3 seeds; "
    "layers and units chosen on a fifth of the training part"
)
GAINS = {
    "unit_gain": ("unit", "random_unit"),
    "filter_gain": ("unit", "filter_unit"),
}


class Found(NamedTuple):
    """What a method's features say of classes.

    read: with the cell's number of labels. unit: the area under the ROC curve of each
    class's best unit [classes]. chosen: which units. curve: test accuracies [COUNTS] of
    the layer that `read` chose; nan for counts that there are not.
    """

    read: Any
    unit: Any
    chosen: Any
    curve: Any


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [features(cell) for cell in cells]


def features(cell):
    """The trained nets beside fresh ones and what needs no net."""
    parts = held_out.parts(cell["dataset"], data_dir=cell.get("data_dir"))
    net = codes.net_of(cell, parts.shape)
    tuned = codes.tuned(cell, net, parts.train.x)
    lost = codes.diverged(tuned.runs)
    if lost:
        return lost

    def of_net(run):
        see = lambda x: codes.encoded(run, x)
        return found(see, parts, cell["labels"], run.seed)

    learned = [of_net(run) for run in tuned.runs]
    random = [of_net(codes.fresh(run)) for run in tuned.runs]
    data = cell["dataset"], cell.get("data_dir"), cell["centroids"], cell["labels"]
    others = [others_of(*data, seed) for seed in range(cell["seeds"])]
    pixels, grouped, components = zip(*others, strict=True)
    each = {
        "score": [one.read.score for one in learned],
        "random": [one.read.score for one in random],
        "pixels": [one.read.score for one in pixels],
        "unit": [one.unit.mean() for one in learned],
        "random_unit": [one.unit.mean() for one in random],
        "patch_unit": [one.unit.mean() for one in grouped],
        "filter_unit": [
            better_units(pair).unit.mean()
            for pair in zip(pixels, components, strict=True)
        ],
        "layer": [one.read.layer for one in learned],
    }
    values = {name: float(np.mean(list_of)) for name, list_of in each.items()}
    for name, (one, other) in GAINS.items():
        values |= scores.spread(name, list(np.subtract(each[one], each[other])))
    both = each["score"], each["pixels"]
    values |= scores.beside("pixels_gain", *both, len(parts.test.y))
    values |= scores.values(
        score=each["score"],
        valid=float(np.mean([one.read.valid.max() for one in learned])),
        trivial=float(np.bincount(parts.test.y).max() / len(parts.test.y)),
        strong=[one.read.score for one in grouped],
        before=codes.beforehand(cell, net, parts.train.x),
        tuned=tuned,
        examples=len(parts.test.y),
    )
    kinds = (learned, random, pixels, grouped)
    curves = [np.mean([one.curve for one in kind], axis=0) for kind in kinds]
    by_layer = [np.mean([one.read.test for one in kind], axis=0) for kind in kinds[:2]]
    profiles = {"curves": np.array(curves), "layers": np.array(by_layer)}
    profiles |= excited(tuned.runs[0], learned[0].chosen, parts)
    return Measured("ok", "", values, profiles)


def found(see, parts, labels, seed):
    """What features say. see: from examples to the features of each layer."""
    pool, valid = parts.train.first(POOL), parts.valid.first(JUDGES)
    three = (pool, valid, parts.test)
    every = see(np.concatenate([part.x for part in three]))
    ends = np.cumsum([len(part.y) for part in three])[:2]
    seen = list(zip(*(np.split(layer, ends) for layer in every), strict=True))

    def read(count, layers):
        labelled = few_labels.labelled(pool.y, count, seed)[:count]
        learn = [seen[0][layer][labelled] for layer in layers]
        judges = [[part[layer] for layer in layers] for part in seen[1:]]
        y = (pool.y[labelled], valid.y, parts.test.y)
        return linear_probes.read(learn, judges[0], judges[1], y)

    best = read(labels, range(len(seen[0])))
    curve = [
        read(count, [best.layer]).score
        if parts.classes <= count <= len(pool.y)
        else np.nan
        for count in COUNTS
    ]
    units = [np.concatenate(layers, axis=1) for layers in seen[1:]]
    chosen = single_units.choose(units[0], valid.y, parts.classes)
    unit = single_units.judge(chosen, units[1], parts.test.y)
    return Found(best, unit, chosen, np.array(curve))


def better_units(pair):
    """Of two, what is found by the units that validation prefers."""
    return max(pair, key=lambda one: one.chosen.areas.mean())


@functools.cache
def others_of(dataset, data_dir, centroids, labels, seed):
    """What is found in pixels, in k-means of patches, and in principal components."""
    parts = held_out.parts(dataset, data_dir=data_dir)
    x = parts.train.x
    sides = [side for side in SIDES if side < min(parts.shape[:2])]
    grouped = [image_patches.learn(x, side, centroids, seed) for side in sides]
    components = decomposition.PCA(random_state=seed).fit(codes.flat(x))
    ways = (
        lambda x: [codes.flat(x)],
        lambda x: [one.features(x) for one in grouped],
        lambda x: [components.transform(codes.flat(x))],
    )
    return tuple(found(see, parts, labels, seed) for see in ways)


def excited(run, chosen, parts):
    """For each class's unit the stimulus that it answers most, and its first images.

    {stimuli: [classes, height, width], firsts: [classes, SHOWN, height, width]}.
    """
    width, classes = run.net.recipe.width, range(len(chosen.units))
    layers = run.net.recipe.depth + 1  # before the code, of one width
    places = [min(int(unit) // width, layers) for unit in chosen.units]
    places = [
        (layer, int(unit) - layer * width, int(sign))
        for layer, unit, sign in zip(places, chosen.units, chosen.signs, strict=True)
    ]
    every = np.concatenate(codes.encoded(run, parts.test.x), axis=1)
    order = np.argsort(-every[:, chosen.units] * chosen.signs, axis=0)[:SHOWN].T
    firsts = np.stack([parts.test.x[order[one]] for one in classes])
    components = decomposition.PCA(SPANNED, svd_solver="full", random_state=0)
    basis = components.fit(codes.flat(parts.train.first(POOL).x)).components_
    stimulus = stimuli.optimal(run, places, firsts.mean(axis=1), basis)
    return {"stimuli": codes.picture(stimulus), "firsts": codes.picture(firsts)}


def fit(cells, typed):
    """The cells. Raises Refusal for fewer labels than classes, or than there are."""
    for cell in cells[:1]:
        dataset = readable.Readable(readable.pictured)[cell["dataset"]]
        if cell["labels"] < dataset.classes:
            raise Refusal(
                f"--labels {cell['labels']}: must be at least one for each of the "
                f"{dataset.classes} classes"
            )
        if cell["labels"] > POOL:
            raise Refusal(f"--labels {cell['labels']}: must be at most {POOL}")
    return codes.fit(cells, typed)


def headline(rows):
    """Whether the read layer beats k-means of patches; then what single units tell."""
    answer, worst = SCORING.headline(rows)
    row = SCORING.best(measured(rows))
    area = {name: f"{row[name]:.3f}" for name in ("unit", "random_unit", "filter_unit")}
    control = f"Of a fresh net {row['random']:.3f}, of pixels {row['pixels']:.3f}."
    units = (
        f"Its best single unit for a class: area {area['unit']} under the ROC curve; of a "
        f"fresh net {area['random_unit']}, of pixels and components "
        f"{area['filter_unit']}."
    )
    return Headline(f"{answer} {control} {units}", worst)


def figures_of(rows, profiles):
    caption = (
        "Third: the best net of validation, by the number of labels; dashed: what its "
        "training adds nothing to."
    )
    draw = units_shown.labels(SCORING, rows, profiles, COUNTS)
    shown = units_shown.units(SCORING, rows, profiles)
    layers = units_shown.layers(SCORING, rows, profiles)
    return [SCORING.figure(rows, caption, draw), shown, layers]


STUDY = Study(
    name="unlabelled_features",
    kind="experiment",
    question="What do units know of a class that they were never told of?",
    source=f"{LE}; {COATES}",
    axes={
        **codes.axes(),
        "labels": whole("labelled examples", (100,)),
        "centroids": whole("centroids of patches", (128,)),
    },
    sizes={
        "smoke": {
            **codes.SMOKE,
            "labels": (20,),
            "centroids": (8,),
        },
        "full": {**codes.FULL, "centroids": (512,)},
    },
    plan=costs.plan(compiling=4.0, layer=2.5e-5),
    fit=fit,
    measure="depthbench.experiments.unsupervised.unlabelled_features:measure",
    columns=(
        *("architecture", "activation", "depth", "labels", *scores.COLUMNS),
        *("random", "pixels", "unit", "random_unit", "filter_unit", "patch_unit"),
        "layer",
    ),
    claims=(
        Claim(
            "le2012.unit-beats-random-unit",
            "the best single unit of a deep net that was trained without labels tells a "
            "class better than the best of as many random units",
            LE,
            estimate=mean_of("unit_gain"),
            allows=above(0.0),
            protocol=f"{PROTOCOL}; area under the ROC curve, mean over classes",
            differs="nine layers of local filters, sparse, pooled; faces; accuracy",
            published="81.7 % of faces and others right",
            scope=lambda row: row["activation"] == "relu" and row["depth"] >= 4,
            label=("architecture", "depth"),
        ),
        Claim(
            "le2012.unit-beats-filter",
            "the best single unit of a deep net that was trained without labels tells a "
            "class better than the best pixel or principal component",
            LE,
            estimate=mean_of("filter_gain"),
            allows=above(0.0),
            protocol=f"{PROTOCOL}; area under the ROC curve, mean over classes",
            differs="nine layers of local filters, sparse, pooled; faces; accuracy",
            scope=lambda row: row["activation"] == "relu" and row["depth"] >= 4,
            label=("architecture", "depth"),
        ),
        Claim(
            "coates2011.kmeans-beats-depth",
            "k-means of patches, one layer, gives a linear classifier better features "
            "than autoencoders do at any depth",
            COATES,
            estimate=scores.gap,
            allows=below(0.0),
            protocol=f"{PROTOCOL}; 100 labels, 128 centroids",
            differs="CIFAR-10 with all labels, up to 4,000 centroids, a linear SVM",
            published="79.6 % of CIFAR-10",
            scope=lambda row: True,
            label=("architecture", "activation", "depth"),
        ),
        Claim(
            "popular.unlabelled-data-helps",
            "where labels are few, a linear classifier on what a net learned without "
            "labels is better than one on pixels",
            "popular accounts of unsupervised learning",
            estimate=mean_of("pixels_gain"),
            allows=above(0.0),
            protocol=f"{PROTOCOL}; 100 labels",
            differs="no one protocol",
            scope=lambda row: row["activation"] == "relu",
            label=("architecture", "depth"),
        ),
    ),
    headline=headline,
    tables=lambda rows: [SCORING.table(rows, more=("random", "pixels", "layer"))],
    figures=figures_of,
    shows=("a unit that finds cats without labels",),
    summary=SCORING.summary,
    compile_seconds=3.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
