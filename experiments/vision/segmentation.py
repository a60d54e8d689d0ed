"""What do a U-Net's skips give to a class for each pixel, by how deep it goes?

Source: Ronneberger, Fischer & Brox 2015, arXiv:1505.04597: levels that halve the image,
as many that double it, and skips that hand each level's features across. Beside it the
same net without them: nothing but the bottom's features comes back up. What differs here:
edges are padded, layers have batch normalisation, and there are 8 channels at the top.

A shape's colour does not say which it is, nor does a pixel's neighbourhood unless it
reaches the shape's outline. The strong baseline is told what no net is: the palette, and
that the ground has one colour. Connected pixels of a colour are a blob, and a support
vector machine says of its form which shape it is, or none; its settings are chosen by the
scenes that rates are chosen by. A further line is told no colours, but how alike each
pixel around is to the pixel itself: a forest of extremely randomised trees (Geurts, Ernst
& Wehenkel 2006, Mach. Learn. 63:3) that learns from 30,000 pixels, at one setting. From
40,000 its score on held-out scenes was 0.72, and that of a random forest, which takes as
long for 20,000, 0.63.

Without a warm-up and clipped gradients some starts learned little: after 850 steps the
four nets' held-out scores were 0.85, 0.70, 0.88 and 0.45, and with them 0.91, 0.91, 0.92
and 0.55.
"""

from depthbench.experiments import by_depth, comparisons, scores
from depthbench.experiments.once import once
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import nets
from depthbench.experiments.training.pairs import whole
from depthbench.experiments.vision import pictured, segmentation_shown
from depthbench.experiments.vision.segmentation_shown import NETS
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Headline, Measured, Plan, Study
from depthbench.research.study.doubts import after_steps, certain, of_sides, upward
from depthbench.research.study.estimates import above, mean

with lazily():
    import numpy as np
    import sklearn.ensemble as ensemble

    from depthbench.research.datasets import scenes
    from depthbench.research.learning import (
        baselines,
        blobs,
        fits,
        overlaps,
        pixel_classes,
        supervised,
    )

SOURCE = "Ronneberger, Fischer & Brox 2015, arXiv:1505.04597"
SIDE, BATCH = 24, 8
WARMED = 100  # steps in which rates grow
CLASSES = 4  # the ground, and three shapes
CHOSEN = JUDGED = 200  # scenes of the other parts: a net is asked by one program
PIXELS = 30_000  # that the forest learns from
TREES = 100
FEATURES = 0.1  # of likenesses that a split chooses from
SHOWN = 5  # scenes drawn
WORDS = {"unet": "U-Net", "unet_plain": "U-Net without skips"}
SCORING = Scoring(
    system="U-Net, a class for each pixel",
    noun="mean IoU",
    trivial="ground",
    strong="blobs and SVM",
    within=scores.share,
    naming=lambda row, net: (
        f"{scores.words(row['activation'])} {WORDS[row['architecture']]}, "
        f"{row['depth']} convolutions"
    ),
)
PROTOCOL = (
    "scenes of 24 × 24 pixels with 1 to 3 circles, squares and triangles and 6 strokes, "
    "2,000 to learn from, 200 to choose rates by, 200 to be judged by; 8 channels at the "
    "top, batch normalisation, Adam after a warm-up of 100, gradients clipped to 1, 800 "
    "steps of 8, 3 seeds, the first seed's best of 3 or more rates"
)


def net_of(cell):
    """The cell's net."""
    recipe = Recipe(
        architecture=cell["architecture"],
        activation=cell["activation"],
        depth=cell["depth"],
        width=cell["width"],
        normalizer="batch",
        batch=BATCH,
        schedule="cosine",
        warmup=float(min(WARMED, cell["steps"] // 4)),
        clip=1.0,
    )
    task = supervised.Task((SIDE, SIDE, 3), CLASSES, pixel_classes.LOSS)
    return fits.Net(recipe, task)


def parts_of(learned):
    small = min(1.0, learned / 1000)  # of the parts that choose and judge
    counts = max(10, int(CHOSEN * small)), max(SHOWN, int(JUDGED * small))
    return pictured.parts(learned, *counts, clutter=6, sizes=(6, 10))


def classes_of(run, parts, part):
    """The class that a net gives each pixel [scenes, side, side]."""
    return run.outputs(parts.read(part.x)).argmax(axis=-1)


def worth(mask, part):
    return overlaps.mean_of_masks(mask, part.mask, CLASSES)


def scored(mask, part):
    """From how often each scene counts [scenes] to `worth`."""
    return overlaps.by_images(mask, part.mask, CLASSES)


@once
def by_forest(learned):
    """The class that a forest gives each pixel of the test part, untuned."""
    parts = parts_of(learned)
    x, mask = parts.train.x, parts.train.mask
    drawn = np.random.RandomState(0).permutation(mask.size)[: min(PIXELS, 15 * learned)]
    places = np.unravel_index(drawn, mask.shape)
    fitted = baselines.fit(
        baselines.BASELINES["forest"]._replace(grid={}, make=random_trees),
        pixel_classes.likeness(x, places),
        mask[places],
    )
    every = np.indices((1, SIDE, SIDE)).reshape(3, -1)
    given = [
        fitted.predict(pixel_classes.likeness(scene[None], every))
        for scene in parts.test.x
    ]
    return np.reshape(given, parts.test.mask.shape)


def random_trees(seed, spread):
    return ensemble.ExtraTreesClassifier(
        TREES, max_features=FEATURES, random_state=seed
    )


@once
def by_blobs(learned):
    """The class that blobs give each pixel of the test part."""
    parts = parts_of(learned)
    train, valid, test = parts.train, parts.valid, parts.test
    reader = blobs.fit(
        *(train.x, train.mask, valid.x),
        lambda read: worth(read.mask(valid.mask.shape), valid),
        scenes.RGB,
        CLASSES,
    )
    return reader.read(test.x).mask(test.mask.shape)


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [overlap(cell) for cell in cells]


def overlap(cell):
    """Mean IoU of the nets at the best rate, and that of each class."""
    parts, net = parts_of(cell["scenes"]), net_of(cell)
    train, valid, test = parts.train, parts.valid, parts.test
    data = {"inputs": parts.read(train.x), "targets": train.mask}

    def chosen(run):
        return worth(classes_of(run, parts, valid), valid)

    making = {"blobs": by_blobs, "forest": by_forest}
    rivals = {name: one.begin(cell["scenes"]) for name, one in making.items()}
    tuned = pictured.tuned(net, data, cell, chosen)
    rivals = {name: rival() for name, rival in rivals.items()}
    masks = [classes_of(run, parts, test) for run in tuned.runs]
    nets_by, strong = [scored(mask, test) for mask in masks], rivals["blobs"]
    before = fits.beforehand(net, data, cell["seeds"])
    values = scores.values(
        score=[worth(mask, test) for mask in masks],
        valid=np.mean([chosen(run) for run in tuned.runs]),
        trivial=worth(np.zeros_like(test.mask), test),
        strong=worth(strong, test),
        before=before,
        tuned=tuned,
        test_error=comparisons.gap_error(nets_by, scored(strong, test), len(test.x)),
    )
    forest = scored(rivals["forest"], test)
    values |= {
        "forest": worth(rivals["forest"], test),
        "forest_test_se": comparisons.gap_error(nets_by, forest, len(test.x)),
        **scores.spread("first_layer", before.firsts),
    }
    return Measured("ok", "", values, shown(test, masks, rivals))


def shown(test, masks, rivals):
    """The first scenes with masks by name, and the IoU of each class, of nets the mean."""
    first = {"true": test.mask, "net": masks[0], **rivals}
    of_nets = [overlaps.of_masks(mask, test.mask, CLASSES) for mask in masks]
    of_rivals = {
        f"each_{name}": np.nan_to_num(overlaps.of_masks(mask, test.mask, CLASSES))
        for name, mask in rivals.items()
    }
    return {
        "x": (255 * np.clip(test.x[:SHOWN], 0, 1)).astype(np.uint8),
        **{name: mask[:SHOWN].astype(np.uint8) for name, mask in first.items()},
        "each": np.nan_to_num(np.mean(of_nets, axis=0)),
        **of_rivals,
    }


# -------------------------------------------------------------------------- claims


def skips(rows, of="score"):
    """Nets with skips less those without, of as many convolutions."""
    ends = ({"architecture": name} for name in NETS)
    return comparisons.against(*ends, ("activation", "depth"), of)(rows)


def deepest_skips(rows):
    """Those of the deepest nets, in the first layer's gradient."""
    deepest = max((row["depth"] for row in rows), default=0)
    return [row for row in skips(rows, "first_layer") if row["depth"] == deepest]


def above_forest(row):
    """By how much the net's mean IoU is above the forest's.

    Not known of rows from before the forest had a column of its own.
    """
    if row.get("forest") is None:
        return mean(None, None, row["seeds"])
    gap = row["score"] - row["forest"]
    return mean(gap, row["score_se"], row["seeds"], row["forest_test_se"])


CLAIMS = (
    Claim(
        "wilm2024.skips-better",
        "a U-Net's mean IoU is greater than that of the same net without any skip",
        "Wilm et al. 2024, arXiv:2402.08276, abstract",
        estimate=scores.gap,
        allows=above(0.0),
        moves=of_sides,
        protocol=PROTOCOL,
        differs="two sets of histopathology and one of magnetic resonance, in and out of "
        "domain",
        scope=lambda row: True,
        label=("activation", "depth"),
        of=skips,
    ),
    Claim(
        "drozdzal2016.skips-carry-gradient",
        "in the deepest U-Net the fresh net's gradient is larger at the first layer with "
        "long skips than without",
        "Drozdzal et al. 2016, arXiv:1608.04117, abstract: a review of the gradient flow",
        estimate=scores.gap,
        allows=above(0.0),
        protocol="the fresh nets of the same protocol, log10 of the norm, 3 seeds",
        differs="updates during training, of nets with hundreds of layers and short skips",
        scope=lambda row: True,
        label=("activation", "depth"),
        of=deepest_skips,
        doubt=certain,
    ),
    Claim(
        "depthbench.unet-deeper-better",
        "depthbench's own bar: the deepest U-Net's mean IoU is above the shallowest's by "
        "0.05",
        "depthbench",
        estimate=scores.gap,
        allows=above(0.05),
        moves=of_sides,
        protocol=PROTOCOL,
        scope=lambda row: row["architecture"] == NETS[0],
        label=("architecture", "activation"),
        of=comparisons.deeper(("architecture", "activation")),
    ),
    Claim(
        "depthbench.unet-beats-forest",
        "depthbench's own bar: the U-Net's mean IoU is above that of a forest of random "
        "trees on how alike pixels are",
        "depthbench",
        estimate=above_forest,
        allows=above(0.0),
        moves=upward,
        protocol=PROTOCOL,
        scope=lambda row: row["architecture"] == NETS[0],
        label=("architecture", "activation", "depth"),
        doubt=after_steps,  # a net that still learns is ahead by less than it will be
    ),
)


# --------------------------------------------------------------------------- shown


def headline(rows):
    """Who is ahead, what depth gives, and what skips give at each."""
    answer, worst = SCORING.headline(rows)
    kind = lambda row: f"{scores.words(row['activation'])} {WORDS[row['architecture']]}"
    depth = by_depth.told(SCORING, rows, ("architecture", "activation"), kind)
    pairs = [pair for pair in skips(scores.scored(rows)) if pair["gap"] is not None]
    sure = lambda pair: by_depth.certainty(scores.gap(pair), of_sides(pair))
    given = [f"{p['gap']:+.3f} at {p['depth']} ({sure(p)})" for p in pairs]
    listed = f"Skips give {', '.join(given)}." if given else ""
    return Headline(" ".join(filter(None, (answer, depth, listed))), worst)


def step_mflop(cell):
    """About; a level costs as much as the one above it."""
    levels = (cell["depth"] - 3) // 5
    return 6e-6 * BATCH * 9 * 576 * cell["width"] ** 2 * (1 + 4 * levels)


STUDY = Study(
    name="segmentation",
    kind="experiment",
    question="What do a U-Net's skips give to a class for each pixel, by its depth?",
    source=SOURCE,
    axes={
        **scores.axes((8, 18), NETS, known=NETS),
        "width": whole("channels of the highest level", (8,)),
        "scenes": whole("scenes that are learned from", (2000,), low=20),
        "steps": whole("steps of 8 scenes", (800,)),
        "seeds": whole("runs at the best rate", (3,)),
        **nets.rate_axes(3e-2, 9e-2, 2),
    },
    sizes={
        "smoke": {
            "architecture": ("unet",),
            "depth": (8,),
            "width": (2,),
            "scenes": (24,),
            "steps": (20,),
            "seeds": (2,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "depth": (8, 13, 18),
            "width": (64,),
            "scenes": (30_000,),
            "steps": (6000,),
        },
    },
    plan=Plan(
        priority=nets.longest_first,
        cost=pictured.cost(
            step_mflop, lambda cell: 20.0 * min(1, cell["scenes"] / 300)
        ),
    ),
    fit=nets.fit,
    measure="depthbench.experiments.vision.segmentation:measure",
    columns=(
        *("architecture", "activation", "depth", "width", "scenes", *scores.COLUMNS),
        *("forest", "forest_test_se", "first_layer", "first_layer_se"),
    ),
    claims=CLAIMS,
    headline=headline,
    tables=lambda rows: [SCORING.table(rows, more=("forest",))],
    figures=lambda rows, profiles: segmentation_shown.figures(SCORING, rows, profiles),
    shows=("image segmentation", "U-Net"),
    summary=SCORING.summary,
    compile_seconds=10.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
