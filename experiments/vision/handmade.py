"""With how many examples do learned features beat those made by hand, and at what depth?

Source: Dalal & Triggs 2005, CVPR 1:886: histograms of oriented gradients and a support
vector machine, made by hand, were the features to beat until layers were learned. What
differs: small pictures of clothes or digits, an RBF kernel, and four or seven cells a
side. The nets are convolutions that read each place, trained on the same examples.

Rows differ in how many images there are. A fifth of them chooses rates of nets and the
size of histograms' cells; the machine has its other settings by cross-validation of the
rest. Beside them is a machine on pixels. Data sets are those of images: Fashion-MNIST
where it is installed, else `--dataset digits`.
"""

import functools

from depthbench.experiments import comparisons, scores
from depthbench.experiments.once import once
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import nets, pairs
from depthbench.experiments.training.pairs import whole
from depthbench.experiments.vision import handmade_pictured, handmade_shown
from depthbench.research.catalogues import packages
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Cost, Headline, Measured, Plan, Study
from depthbench.research.study.doubts import of_sides, upward
from depthbench.research.study.estimates import above, below
from depthbench.research.study.headlines import counted, measured

with lazily():
    import numpy as np

    from depthbench.research.architectures.convolutional import placed
    from depthbench.research.learning import (
        baselines,
        fits,
        held_out,
        hog,
        supervised,
    )

SOURCE = "Dalal & Triggs 2005, CVPR 1:886, doi 10.1109/CVPR.2005.177"
CONVOLUTIONS = ("cnn_same",)
CELLS, TESTED = (4, 7), 2000  # cells a side, of which the best is chosen; test images
OF_DATA = ("dataset", "examples", "data_dir")
SCORING = Scoring(
    system="learned features against histograms of gradients",
    noun="test accuracy",
    trivial="largest class",
    strong="RBF SVM on HOG",
    by=("architecture", "depth"),
    axis="examples",
    naming=lambda row, net: (
        f"CNN of {counted(row['depth'], 'layer')} from {row['examples']} images"
    ),
)
PROTOCOL = (
    "2,000 test images of Fashion-MNIST; CNNs of 8 channels, Adam down a cosine, 300 "
    "steps of 64, 3 starts; rates chosen on a fifth of the images, the SVM on the others"
)


def fit(cells, typed):
    """The cells. Raises Refusal for more images than there are, DataError without
    scikit-image."""
    packages.need("handmade", "skimage")
    nets.refuse_more(cells, "examples")
    return nets.fit(cells, typed)


def net_of(cell, parts):
    """The cell's convolutional net; of images of 16 pixels or more its stem halves them."""
    change = placed.fitting(parts.shape)
    recipe = Recipe(
        architecture=cell["architecture"],
        depth=cell["depth"],
        width=cell["width"],
        schedule="cosine",
    )
    return fits.Net(recipe, supervised.Task(parts.shape, parts.classes, change=change))


def divided(cell):
    """The parts of the cell's data set, with the first TESTED images of the test's."""
    parts = held_out.parts(cell["dataset"], cell["examples"], cell.get("data_dir"))
    return parts._replace(test=parts.test.first(TESTED))


@once
def machine_of(dataset, examples, data_dir, features):
    """The test accuracy of an SVM on an image's features, "hog" or "pixels"."""
    parts = divided({"dataset": dataset, "examples": examples, "data_dir": data_dir})
    sides = {min(parts.shape[:2]) // count for count in CELLS}
    reads = [functools.partial(hog.features, cell=side) for side in sorted(sides)]
    if features == "pixels":
        reads = [lambda x: x]
    return scores.chosen([_right(parts, read) for read in reads])


def _right(parts, read):
    """The shares of (validation, test) that a machine has right. read: its features."""
    fitted = baselines.fit("svm", read(parts.train.x), parts.train.y)
    valid, test = (
        float(np.mean(fitted.predict(read(part.x)) == part.y))
        for part in (parts.valid, parts.test)
    )
    return valid, test


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [accuracies(cell) for cell in cells]


def accuracies(cell):
    """Test accuracy at the best rate, beside that of machines on HOG and on pixels."""
    parts = divided(cell)
    net, (train, valid, test) = net_of(cell, parts), parts[:3]
    data = [cell.get(name) for name in OF_DATA]
    hogs, pixels = (machine_of.begin(*data, way) for way in ("hog", "pixels"))
    by_rate = fits.by_rate(net, train.batch, cell["steps"], cell["seeds"])
    most = cell["further_rates"]
    held = fits.held(valid)
    tuned = fits.tuned(by_rate, nets.rates(cell), "accuracy", held, most=most)
    values = scores.values(
        score=[run.accuracy(*test) for run in tuned.runs],
        valid=float(np.mean([run.accuracy(*valid) for run in tuned.runs])),
        trivial=float(np.mean(test.y == np.bincount(train.y).argmax())),
        strong=hogs(),
        before=fits.beforehand(net, train.batch, cell["seeds"]),
        tuned=tuned,
        examples=len(test.y),
    )
    values["pixels"] = pixels()
    return Measured("ok", "", values, handmade_pictured.shown(tuned.runs[0], parts))


# -------------------------------------------------------------------------- claims


def ends(rows):
    """Of each depth, the rows with the fewest and the most images, each marked."""
    counts = [row["examples"] for row in rows]
    least, most = min(counts), max(counts)
    places = {least: "fewest", most: "most"}
    return [
        {**row, "place": places[row["examples"]]}
        for row in rows
        if row["examples"] in places and least < most
    ]


def closing(rows):
    """By how much the net's lead over HOG grows from the fewest images to the most."""
    done = ends(rows)
    few = {row["depth"]: row for row in done if row["place"] == "fewest"}
    return [
        {
            **pairs.joint([row, few[row["depth"]]]),
            **{name: row[name] for name in ("depth", "examples", "seeds")},
            **comparisons.apart(row, few[row["depth"]], "gap"),
        }
        for row in done
        if row["place"] == "most" and row["depth"] in few
    ]


SHARED = {"protocol": PROTOCOL, "label": ("depth", "examples"), "estimate": scores.gap}
CLAIMS = (
    Claim(
        "popular.learned-beat-handmade",
        "with the most images, learned features are at least 1 point more accurate than "
        "histograms of gradients with a support vector machine",
        "popular accounts of deep learning, in which layers replaced features made by hand",
        allows=above(0.01),
        moves=upward,
        differs="there millions of photographs",
        scope=lambda row: row["place"] == "most",
        of=ends,
        **SHARED,
    ),
    Claim(
        "popular.handmade-need-fewer-images",
        "with the fewest images, features made by hand are at least 1 point more accurate "
        "than learned ones",
        "popular accounts of deep learning: it needs many examples",
        allows=below(-0.01),
        moves=upward,
        differs="there no number is given",
        scope=lambda row: row["place"] == "fewest",
        of=ends,
        **SHARED,
    ),
    Claim(
        "depthbench.images-favour-learning",
        "depthbench's own bar: from the fewest images to the most, learned features gain "
        "at least 2 points on features made by hand",
        "depthbench",
        allows=above(0.02),
        moves=of_sides,
        scope=lambda row: True,
        of=closing,
        **SHARED,
    ),
)


# --------------------------------------------------------------------------- shown


def headline(rows):
    """Whether learned features are ahead, and what both are with fewest and most images."""
    answer, worst = SCORING.headline(rows)
    done = measured(rows)
    said = []
    for count in sorted({row["examples"] for row in done}):
        best = SCORING.best([row for row in done if row["examples"] == count])
        pair = f"{SCORING.write(best['strong'])} and {SCORING.write(best['score'])}"
        said.append(f"from {count} images {pair}")
    best = max(done, key=lambda row: row["examples"])
    pixels = f"SVM on pixels, most images: {SCORING.write(best['pixels'])}"
    return Headline(
        f"{answer} By hand and learned: {', '.join(said)}.", f"{worst} {pixels}."
    )


STUDY = Study(
    name="handmade",
    kind="experiment",
    question="With how many examples do learned features beat those made by hand?",
    source=SOURCE,
    axes={
        "architecture": scores.axes(architectures=CONVOLUTIONS, known=CONVOLUTIONS)[
            "architecture"
        ],
        "depth": whole("convolutions after the first", (1, 4), single=False),
        "examples": whole("images to learn from", (100, 400, 1600), 20, single=False),
        "width": whole("channels of a convolution", (8,)),
        "dataset": readable.axis(readable.pictured)._replace(values=("fashion_mnist",)),
        "steps": whole("steps of 64 images", (300,)),
        "seeds": whole("runs of each rate", (3,)),
        **nets.rate_axes(3e-3, 1e-2, 2),
    },
    sizes={
        "smoke": {
            "depth": (1,),
            "examples": (100, 200),
            "width": (4,),
            "dataset": ("digits",),
            "steps": (20,),
            "seeds": (2,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "depth": (1, 4, 16),
            "examples": (100, 1000, 10000),
            "width": (64,),
            "steps": (4000,),
        },
    },
    plan=Plan(cost=lambda cells, shared: cost(cells), priority=nets.longest_first),
    fit=fit,
    measure="depthbench.experiments.vision.handmade:measure",
    columns=(
        "architecture",
        "depth",
        "examples",
        "width",
        "dataset",
        *scores.COLUMNS,
        "pixels",
    ),
    claims=CLAIMS,
    headline=headline,
    tables=lambda rows: [SCORING.table(rows, more=("pixels",))],
    figures=lambda rows, profiles: handmade_shown.figures_of(SCORING, rows, profiles),
    shows=("features made by hand",),
    summary=SCORING.summary,
    compile_seconds=2.0,
)


def cost(cells):
    """Of steps and layers, and of a machine that looks at all pairs of images."""
    seconds = 0.0
    for cell in cells:
        runs = cell["seeds"] * (cell["rates"] + cell["further_rates"] / 4)
        layer = 3.5e-3 * max(0.25, (cell["width"] / 8) ** 1.5)
        seconds += runs * cell["steps"] * layer * (1 + cell["depth"]) / 2
        seconds += 4.0 + 6e-6 * cell["examples"] ** 2
    return Cost(2**29, 2**29, seconds)


if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
