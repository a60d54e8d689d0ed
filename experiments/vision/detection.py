"""How well does a net find shapes among strokes, by the depth of its trunk?

Source: Redmon, Divvala, Girshick & Farhadi 2016, arXiv:1506.02640: one net reads the scene
and says for each cell of a grid whether an object's centre is in it, its box and its kind.
What differs: one box of each cell; outputs are 1 × 1 convolutions and layers have batch
normalisation, as of YOLOv2 (arXiv:1612.08242); nothing is pretrained.

The strong baseline is told what no net is: the palette, and that the ground has one
colour. Connected pixels of a colour are a blob, and a support vector machine says of its
form which shape it is, or none. It learns from the nets' scenes; its settings, as the
nets' rates, are chosen on 300 held out. Rates are those of the first seed.

Beside it, for what the source says of classifiers, windows of all sizes slide over the
scene: a linear support vector machine on histograms of gradients and pixels proposes
some, and RBF machines judge them. Its features and penalties are chosen by machines that
learned from 250 scenes; the chosen ones learn from 1,000, as the nets' 3,000 would take
it minutes, and gain nothing by it. Nets and windows make their mistakes in the same 300
scenes: claims count the error of their difference over these beside that of seeds.

Without a warm-up and clipped gradients the four nets' mAP50 was 0.83 to 0.89 on held-out
scenes after 2,400 steps; with them it is 0.93 to 0.95 after 2,000.
"""

import math

from depthbench.experiments import by_depth, comparisons, scores
from depthbench.experiments.once import once
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import nets
from depthbench.experiments.training.pairs import whole
from depthbench.experiments.vision import detection_shown, pictured
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Measured, Plan, Study
from depthbench.research.study.doubts import after_steps, of_sides
from depthbench.research.study.estimates import above, below, mean

with lazily():
    import numpy as np

    from depthbench.research.datasets import scenes
    from depthbench.research.learning import (
        blobs,
        detections,
        fits,
        grid_boxes,
        sliding_windows,
        supervised,
    )
    from depthbench.research.signal import interval

SOURCE = "Redmon et al. 2016, arXiv:1506.02640"
SIDE, CELL, BATCH, KINDS = 24, 4, 16, 3
WARMED = 100  # steps in which rates grow
SIZES = (6, 7, 8, 9, 10)  # of objects, and of the windows of the baseline
WINDOWED, TRIED = 1000, 250  # scenes that windows learn from; as they are tuned
SHOWN = 5  # scenes that are drawn
CHOSEN, JUDGED = 300, 300  # scenes of the other parts
NETS = ("detector", "detector_residual")
WORDS = {"detector": "plain", "detector_residual": "residual"}
SCORING = Scoring(
    system="detection net, a grid of cells",
    noun="mAP50",
    trivial="middle of the scene",
    strong="blobs and SVM",
    within=scores.share,
    naming=lambda row, net: (
        f"{WORDS[row['architecture']]} {scores.words(row['activation'])} net of "
        f"{row['depth']} layer{'s' * (row['depth'] != 1)}"
    ),
)
MISTAKES, ENDS = ("misplaced", "ground"), ("", "_se")
PROTOCOL = (
    "scenes of 24 × 24 pixels with 1 to 3 circles, squares and triangles and 6 strokes, "
    "3,000 to learn from, 300 to choose rates by, for one seed, 300 to be judged by; "
    "trunks of 24 channels, batch normalisation, Adam after a warm-up of 100, gradients "
    "clipped to 1, 2,000 steps of 16, 3 seeds; windows learn from 1,000"
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
    task = supervised.Task((SIDE, SIDE, 3), 5 + KINDS, grid_boxes.LOSS)
    return fits.Net(recipe, task)


def parts_of(learned):
    small = min(1.0, learned / 1000)  # of the parts that choose and judge
    counts = max(20, int(CHOSEN * small)), max(20, int(JUDGED * small))
    return pictured.parts(learned, *counts, clutter=6, sizes=(6, 10))


def truth(part):
    return detections.truth(part.shape, part.boxes)


def worth(found, part):
    """Mean average precision at an IoU of one half."""
    return detections.mean_average_precision(found, truth(part))


def found(run, parts, part):
    """What a net finds in a part's scenes, suppressed."""
    outputs = run.outputs(parts.read(part.x))
    return detections.suppressed(grid_boxes.found(outputs, SIDE))


def scored(found, part):
    """From how often each scene counts [scenes] to `worth`."""
    return detections.by_scenes(found, truth(part))


@once
def by_blobs(learned):
    """The boxes that blobs are in the test part."""
    train, valid, test = parts_of(learned)
    reader = blobs.fit(
        *(train.x, train.mask, valid.x),
        lambda read: worth(read.boxes(), valid),
        scenes.RGB,
        KINDS + 1,
    )
    return reader.read(test.x).boxes()


@once
def by_windows(learned):
    """(The boxes that windows give, what they are wrong about, as columns too)."""
    train, valid, test = parts_of(learned)
    some = type(train)(*(array[:WINDOWED] for array in train))
    held = (valid.x, truth(valid))
    windows = sliding_windows.fit(some.x, truth(some), held, SIZES, KINDS, TRIED)
    boxes = windows.found(test.x)
    wrong, objects = detections.mistakes(boxes, truth(test)), len(truth(test).scene)
    shares = {name: getattr(wrong, name) for name in MISTAKES}
    columns = {
        "windows": worth(boxes, test),
        **{f"windows_{name}": share for name, share in shares.items()},
        **{f"windows_{n}_se": interval.of_few(s, objects) for n, s in shares.items()},
    }
    return boxes, detections.mistakes_by_scene(boxes, truth(test)), columns


def more_test_error(nets, windows, objects):
    """The standard error of how much larger the nets' share of a mistake is, which is due
    to test scenes.

    nets: [seeds, scenes], windows: [scenes], how many boxes are mistakes. With one more
    mistake of either alone, as `comparisons.of_answers` has them.
    """
    # From a count to what its mean over scenes is a share of.
    per_scene = len(windows) / objects
    error = comparisons.of_means(np.multiply(nets, per_scene), windows * per_scene)
    return math.hypot(error, math.sqrt(2) / (objects + 2))


def middles(count):
    """A box in the middle of each scene, of each kind."""
    low, high = (SIDE - 8) / 2, (SIDE + 8) / 2
    box = np.tile([low, low, high, high], (count * KINDS, 1))
    scene, kind = np.divmod(np.arange(count * KINDS), KINDS)
    return detections.Boxes(scene, kind, box, np.ones(count * KINDS))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [precision(cell) for cell in cells]


def precision(cell):
    """mAP50 of the nets at the best rate, and what they are wrong about."""
    parts, net = parts_of(cell["scenes"]), net_of(cell)
    rivals = [one.begin(cell["scenes"]) for one in (by_blobs, by_windows)]
    train, valid, test = parts.train, parts.valid, parts.test
    targets = grid_boxes.targets(train.shape, train.boxes, SIDE, CELL, KINDS)
    data = {"inputs": parts.read(train.x), "targets": targets}
    tuned = pictured.tuned(
        net, data, cell, lambda run: worth(found(run, parts, valid), valid)
    )
    of_blobs, (of_windows, theirs, columns) = (rival() for rival in rivals)
    boxes = [found(run, parts, test) for run in tuned.runs]
    wrong = [detections.mistakes_by_scene(each, truth(test)) for each in boxes]
    nets_by, strong = [scored(each, test) for each in boxes], scored(of_blobs, test)
    values = scores.values(
        score=[worth(each, test) for each in boxes],
        valid=np.mean([worth(found(run, parts, valid), valid) for run in tuned.runs]),
        trivial=worth(middles(len(test.x)), test),
        strong=worth(of_blobs, test),
        before=fits.beforehand(net, data, cell["seeds"]),
        tuned=tuned,
        test_error=comparisons.gap_error(nets_by, strong, len(test.x)),
    )
    objects = len(truth(test).scene)
    for name in MISTAKES:
        own = np.array([getattr(each, name) for each in wrong])
        values |= scores.spread(name, own.sum(axis=1) / objects)
        error = more_test_error(own, getattr(theirs, name), objects)
        values[f"windows_{name}_test_se"] = error
    found_by = {"net": boxes[0], "blobs": of_blobs, "windows": of_windows}
    return Measured("ok", "", values | columns, shown(test, found_by))


def shown(test, found_by):
    """The first scenes, and the surest boxes in them: the truth and, by name, others."""
    kept = {"x": (255 * np.clip(test.x[:SHOWN], 0, 1)).astype(np.uint8)}
    for name, each in {"true": truth(test), **found_by}.items():
        level = np.sort(each.score)[::-1][: len(truth(test).scene)].min(initial=np.inf)
        first = each.only((each.scene < SHOWN) & (each.score >= level))
        columns = [first.scene[:, None], first.kind[:, None], first.box]
        kept[name] = np.concatenate(columns, axis=1).astype(np.float32)
    return kept


# -------------------------------------------------------------------------- claims


def more_mistakes(name):
    """By how much larger the net's share of a mistake is than the windows'.

    Not known of rows from before that had an error over test scenes.
    """

    def estimate(row):
        error = row.get(f"windows_{name}_test_se")
        if error is None or row[name] is None:
            return mean(None, None, row["seeds"])
        over = row[name] - row[f"windows_{name}"]
        return mean(over, row[f"{name}_se"], row["seeds"], error)

    return estimate


def residual(row):
    return row["architecture"] == NETS[1]


LABEL = ("architecture", "activation", "depth")
CLAIMS = (
    Claim(
        "redmon2016.more-misplaced",
        "a detection net misplaces a larger share of its boxes than a classifier of "
        "windows does",
        f"{SOURCE}, abstract",
        estimate=more_mistakes("misplaced"),
        allows=above(0.0),
        protocol=PROTOCOL,
        differs="PASCAL VOC; against Fast R-CNN and other systems of 2015",
        scope=lambda row: True,
        label=LABEL,
        doubt=after_steps,
    ),
    Claim(
        "redmon2016.fewer-on-ground",
        "a smaller share of a detection net's boxes than of a classifier of windows' is "
        "where no object is",
        f"{SOURCE}, abstract",
        estimate=more_mistakes("ground"),
        allows=below(0.0),
        protocol=PROTOCOL,
        differs="PASCAL VOC; against Fast R-CNN and other systems of 2015",
        scope=lambda row: True,
        label=LABEL,
        doubt=after_steps,
    ),
    Claim(
        "depthbench.detector-deep-better",
        "depthbench's own bar: with skips, the deepest trunk's mAP50 is above the "
        "shallowest's by a tenth",
        "depthbench",
        estimate=scores.gap,
        allows=above(0.1),
        moves=of_sides,
        protocol=PROTOCOL,
        scope=residual,
        label=("architecture", "activation"),
        of=comparisons.deeper(("architecture", "activation")),
    ),
    Claim(
        "depthbench.detector-needs-skips",
        "depthbench's own bar: the deepest trunk's mAP50 is greater with skips than "
        "without",
        "depthbench",
        estimate=scores.gap,
        allows=above(0.0),
        moves=of_sides,
        protocol=PROTOCOL,
        scope=lambda row: row["depth"] == row["deepest"],
        label=("activation", "depth"),
        of=lambda rows: skipping(rows),
    ),
)


def skipping(rows):
    """Nets with skips less those without, and the deepest there is."""
    deepest = max((row["depth"] for row in rows), default=0)
    ends = ({"architecture": name} for name in reversed(NETS))
    pairs = comparisons.against(*ends, ("activation", "depth"))(rows)
    return [{**row, "deepest": deepest} for row in pairs]


# --------------------------------------------------------------------------- shown


def headline(rows):
    """Who is ahead, and what depth gives."""
    return by_depth.headline(SCORING, rows, LABEL[:2], kind)


def kind(row):
    """What nets of any depth are called."""
    return f"{WORDS[row['architecture']]} {scores.words(row['activation'])}"


def step_mflop(cell):
    """About; forwards and twice as much backwards."""
    width = cell["width"]
    stem = 144 * 27 * width + 36 * 9 * width**2
    return 6e-6 * BATCH * (stem + cell["depth"] * 36 * 9 * width**2)


STUDY = Study(
    name="detection",
    kind="experiment",
    question="How well does a net find shapes among strokes, by its trunk's depth?",
    source=SOURCE,
    axes={
        **scores.axes((1, 4), NETS, known=NETS),
        "width": whole("channels of a layer", (24,)),
        "scenes": whole("scenes that are learned from", (3000,), low=20),
        "steps": whole("steps of 16 scenes", (2000,)),
        "seeds": whole("runs at the best rate", (3,)),
        **nets.rate_axes(1e-2, 3.333e-2, 2),
    },
    sizes={
        "smoke": {
            "architecture": ("detector",),
            "depth": (1,),
            "width": (8,),
            "scenes": (24,),
            "steps": (30,),
            "seeds": (2,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "depth": (1, 4, 16, 64),
            "width": (256,),
            "scenes": (30_000,),
            "steps": (5000,),
        },
    },
    plan=Plan(
        priority=nets.longest_first,
        cost=pictured.cost(
            step_mflop, lambda cell: 25.0 * min(cell["scenes"], WINDOWED) / WINDOWED
        ),
    ),
    fit=nets.fit,
    measure="depthbench.experiments.vision.detection:measure",
    columns=(
        *("architecture", "activation", "depth", "width", "scenes", *scores.COLUMNS),
        *(f"{name}{end}" for name in MISTAKES for end in ENDS),
        "windows",
        *(f"windows_{name}{end}" for name in MISTAKES for end in (*ENDS, "_test_se")),
    ),
    claims=CLAIMS,
    headline=headline,
    tables=lambda rows: [SCORING.table(rows, more=(*MISTAKES, "windows"))],
    figures=lambda rows, profiles: detection_shown.figures(SCORING, rows, profiles),
    shows=("object detection",),
    summary=SCORING.summary,
    compile_seconds=8.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
