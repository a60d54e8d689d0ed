"""Does one small picture, put anywhere on any image, make a net see what it wants?

Source: Brown et al. 2017, arXiv:1712.09665: the adversarial patch. Here it is moved at
random, neither turned nor scaled, and its numbers stay within those that images have. It
is learned on training images, at the best rate of a grid by success on a fifth of the
training part that was held out, and judged on test images of other classes than its
target, each with the patch at a random place of its own.

Beside it: patches of random numbers, and the best of 64 pieces of the same size that are
cut from training images of the target's class, chosen by success on training images.

A dense net has other weights at every place, and few images of 8 × 8 digits are turned by
what may lie anywhere; the source's nets are convolutional, and none is asked here.
"""

import math

from depthbench.experiments import comparisons, scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.scrutiny import patch_nets, patch_shown
from depthbench.experiments.training import costs, nets, pairs
from depthbench.experiments.training.pairs import whole
from depthbench.research.datasets import find, readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.selection import Outcome
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Headline, Measured, Study
from depthbench.research.study.errors import Refusal
from depthbench.research.study.estimates import above
from depthbench.research.study.headlines import counted, listed, measured

with lazily():
    import numpy as np

    from depthbench.research.learning import fits, held_out, patches

BROWN = "Brown et al. 2017, arXiv:1712.09665"
DEEP = 16  # layers, from which on residual nets are asked
TENTH = 0.1  # of an image, which a patch needs by the source
SHOWN = 6  # images in the picture
SCORING = Scoring(
    system="one patch for all images",
    noun="share read as the target",
    trivial="random patch",
    strong="piece of a real image",
    by=("architecture", "depth"),
    axis="side",
    naming=lambda row, net: f"{row['side']} × {row['side']} pixels on a {net}",
)
PROTOCOL = (
    "digits of 8 × 8, dense nets of 64 units, 3 seeds, 3 targets, patches of Adam, "
    "300 steps of 64, rates chosen on a fifth of the training part"
)
LABEL = ("architecture", "depth", "side")


def fit(cells, typed):
    """Patches that leave something of the image. Raises Refusal for one that does not."""
    cells, lines = nets.fit(cells, typed)
    dataset = find(cells[0]["dataset"], cells[0].get("data_dir"))
    side, classes = min(dataset.shape[:2]), dataset.classes
    for cell in cells:
        if classes and cell["targets"] > classes:
            raise Refusal(
                f"--targets {cell['targets']}: {cell['dataset']} has {classes} classes"
            )
        if cell["side"] >= side:
            raise Refusal(
                f"--side {cell['side']}: must be below {side}, the images' side"
            )
    if typed & {"architecture", "depth"}:
        return cells, lines
    plain = lambda cell: cell["architecture"] != "residual_mlp"
    return [cell for cell in cells if plain(cell) or cell["depth"] >= DEEP], lines


def measure(cells, shared, memory):
    """One Measured for each cell; cells of one unit are patches of one net."""
    return [learned(cell) for cell in cells]


def learned(cell):
    """Success of patches on test images, at the best rate on those held out."""
    parts = held_out.parts(cell["dataset"], data_dir=cell.get("data_dir"))
    runs, before = patch_nets.trained(cell)
    targets = [n * parts.classes // cell["targets"] for n in range(cell["targets"])]
    count = max(len(parts.valid.y), len(parts.test.y))

    def by_rate(rates):
        size, steps = cell["side"], cell["steps"]
        one = lambda run, rate: patches.learned(
            run, parts.train.x, targets, size, steps, rate
        )
        return [[patch for run in runs for patch in one(run, rate)] for rate in rates]

    def success(found, share):
        """Of each seed, the mean over targets."""
        each = np.array_split(np.arange(len(found)), len(runs))
        return [
            np.mean(
                patch_nets.successes(
                    run, [found[n].picture for n in own], targets, share, count
                )
            )
            for run, own in zip(runs, each, strict=True)
        ]

    def held(found):
        ended = sum(patch.diverged is None for patch in found) / len(found)
        return Outcome(
            ended=ended, accuracy=float(np.mean(success(found, parts.valid)))
        )

    most = cell["further_rates"]
    tuned = fits.tuned(by_rate, nets.rates(cell), "accuracy", held, most=most)
    pieces = [
        patch_nets.best_pieces(run, parts, targets, cell["side"], count) for run in runs
    ]
    score = success(tuned.runs, parts.test)
    real = [
        np.mean(patch_nets.successes(run, own, targets, parts.test, count))
        for run, own in zip(runs, pieces, strict=True)
    ]
    values = scores.values(
        score=score,
        valid=float(np.mean(success(tuned.runs, parts.valid))),
        trivial=float(
            np.mean([patch_nets.by_chance(run, parts, targets, cell) for run in runs])
        ),
        strong=real,
        before=before,
        tuned=tuned,
        examples=len(parts.test.y),
    )
    values |= scores.spread("accuracy", [run.accuracy(*parts.test) for run in runs])
    values["share"] = cell["side"] ** 2 / math.prod(parts.shape[:2])
    return Measured(
        "ok", "", values, shown(runs[0], tuned.runs[0], pieces[0][0], parts)
    )


def shown(run, patch, piece, parts):
    """The picture's arrays: the patch, the piece, and test images with the patch on."""
    others = np.flatnonzero(parts.test.y != patch.target)[:SHOWN]
    images = parts.test.x[others]
    with_patch = patches.at_random(patch.picture, images, seed=0)
    return {
        "patch": patch.picture,
        "piece": piece,
        "images": np.stack([images, with_patch]),
        "readings": np.stack(
            [run.outputs(x).argmax(axis=1) for x in (images, with_patch)]
        ),
        "target": np.array(patch.target),
    }


def deeper(rows):
    """At each size, the deepest net's share less the shallowest's, without skips."""
    found = []
    plain = [row for row in rows if row["architecture"] == "mlp"]
    for size in sorted({row["side"] for row in plain}):
        line = [row for row in plain if row["side"] == size]
        low, high = (end(line, key=lambda row: row["depth"]) for end in (min, max))
        apart = comparisons.apart(high, low)
        found.append(
            {
                **pairs.joint([high, low]),
                **{name: high[name] for name in (*LABEL, "seeds")},
                **(dict.fromkeys(apart) if low is high else apart),
            }
        )
    return found


def headline(rows):
    """How many images a patch turns, by its size; first where a real piece does better."""
    done = measured(rows)
    best = SCORING.best(done)
    told = listed(
        f"{row['score']:.2f} of images with {counted(row['side'], 'pixel')} a side"
        for row in done
        if row["architecture"] == best["architecture"] and row["depth"] == best["depth"]
    )
    net = f"{scores.words(best['architecture'])} net, {counted(best['depth'], 'layer')}"
    real = f"the best piece of a real image {best['strong']:.2f}"
    opening = {
        "loses": f"The strong baseline is ahead, {real}",
        "ties": f"One patch is {scores.TIE} the strong baseline, {real}",
        "wins": f"One patch is ahead of {real}",
    }[SCORING.verdict(best)]
    worst = SCORING.worst(done)
    hardest = (
        f"{scores.words(worst['architecture'])} net, {counted(worst['depth'], 'layer')}, "
        f"{counted(worst['side'], 'pixel')} a side"
    )
    return Headline(
        f"{opening}: it has {told} read as its target ({net}).",
        f"Least: {worst['score']:.2f} ({hardest}); "
        f"random patches {worst['trivial']:.2f}.",
    )


STUDY = Study(
    name="patch",
    kind="experiment",
    question="Does one small picture, put anywhere on any image, make a net see what it "
    "wants?",
    source=BROWN,
    axes={
        **scores.axes((1, 4, 16), scores.SKIPS),
        "side": whole("pixels of the patch's side", (2, 3, 4), single=False),
        "width": whole("units of a layer", (64,)),
        "dataset": readable.axis(readable.pictured),
        "targets": Axis(
            "classes that a patch is learned for, each in turn",
            (3,),
            kind="integer",
            low=1,
            high=1000,
            single=True,
        ),
        "net_steps": whole("steps of 64 examples that the net is trained for", (800,)),
        "steps": whole("steps of 64 examples that a patch is learned for", (300,)),
        "seeds": whole("nets, each with patches of its own", (3,)),
        **nets.rate_axes(3e-2, 3e-1, 3),
    },
    sizes={
        "smoke": {
            "architecture": ("mlp",),
            "depth": (1,),
            "side": (2, 3),
            "width": (16,),
            "net_steps": (60,),
            "steps": (20,),
            "targets": (2,),
            "rates": (1,),
        },
        "full": {
            "depth": (1, 4, 16, 32),
            "side": (4, 7, 9, 12),
            "width": (512,),
            "dataset": ("fashion_mnist",),
            "net_steps": (5000,),
            "steps": (1000,),
            "targets": (10,),
        },
    },
    plan=costs.plan(
        compiling=4.5,
        layer=1.5e-5,
        steps=lambda cell: cell["net_steps"] + cell["targets"] * cell["steps"],
        group=lambda cell: tuple(cell[name] for name in patch_nets.NET),
    ),
    fit=fit,
    measure="depthbench.experiments.scrutiny.patch:measure",
    columns=(*LABEL, "activation", "width", "share", *scores.COLUMNS, "accuracy"),
    claims=(
        Claim(
            "brown2017.beats-a-real-piece",
            "one learned patch has more images read as its target than the best piece of "
            "a real image of that class, of the same size",
            BROWN,
            estimate=scores.gap,
            allows=above(0.0),
            protocol=PROTOCOL,
            differs="convolutional nets on photographs; a real toaster's picture beside",
            published="a real toaster fools less often, also where it is larger",
            scope=lambda row: True,
            label=LABEL,
        ),
        Claim(
            "brown2017.a-tenth-is-enough",
            "a patch of a tenth of the image or more has at least half of all images of "
            "other classes read as its target",
            BROWN,
            estimate=scores.score,
            allows=above(0.5),
            protocol=PROTOCOL,
            differs="convolutional nets on photographs, patches turned and scaled",
            published="reliable from a tenth of the scene on",
            scope=lambda row: row.get("share") is None or row["share"] >= TENTH,
            label=LABEL,
        ),
        Claim(
            "depthbench.depth-withstands-no-patch",
            "depthbench's own bar: the deepest net without skips is turned at least as "
            "often as the shallowest, to 5 points",
            "depthbench",
            estimate=scores.gap,
            allows=above(-0.05),
            protocol=PROTOCOL,
            scope=lambda row: True,
            label=LABEL,
            of=deeper,
        ),
    ),
    headline=headline,
    tables=lambda rows: [SCORING.table(rows, more=("share", "accuracy"))],
    figures=lambda rows, profiles: patch_shown.figures(SCORING, rows, profiles),
    shows=("adversarial patch",),
    summary=SCORING.summary,
    compile_seconds=6.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
