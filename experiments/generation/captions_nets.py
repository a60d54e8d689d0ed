"""The scenes of `captions`, and the nets of both directions with their best rates."""

import functools

import numpy as np

from depthbench.experiments import first_seed
from depthbench.experiments.generation import (
    captions_baselines,
    captions_rivals,
    scene_judge,
)
from depthbench.experiments.once import once
from depthbench.experiments.training import nets
from depthbench.research.architectures.convolutional import pooled
from depthbench.research.datasets import captions as sentences
from depthbench.research.learning import captioning, drawing, fits
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.selection import Outcome, half
from depthbench.research.learning.supervised import Task

SIDE, BATCH = 16, 32
WARMED = 100  # steps in which rates grow
CHOSEN, JUDGED = 300, 500  # scenes that choose and that judge
NUMBERS = 6  # for what no sentence says: three of a ground, place across and down, size
WIDER = 2  # channels of a drawer, × the reader's
WORDS = len(sentences.WORDS)


@once
def parts(count):
    """So many scenes to learn from, and those that choose and that judge."""
    small = min(1.0, count / 1000)
    counts = count, *(max(20, int(n * small)) for n in (CHOSEN, JUDGED))
    return [sentences.captioned(n, 10**6 * k, SIDE) for k, n in enumerate(counts)]


@once
def said_without(count):
    """What each method without a net says of the test scenes, words by name."""
    train, valid, test = parts(count)
    _, first, often = np.unique(
        train.words, axis=0, return_index=True, return_counts=True
    )
    commonest = train.words[first[often.argmax()]]
    template = captions_baselines.template(train, valid)
    return {
        "trivial": np.repeat(commonest[None], len(test.x), axis=0),
        "nearest": captions_baselines.neighbours(train, valid).sentences(test.x),
        "strong": template.sentences(test.x),
    }


@once
def judge(count, steps):
    """The judge of drawn scenes."""
    return scene_judge.taught(parts(count)[0], steps)


@once
def drawn_without(count, steps):
    """(The name of what draws the held-out sentences best without a net, what each draws
    for the test sentences: scenes by name)."""
    train, valid, test = parts(count)
    known = judge(count, steps)
    right = lambda made, part: sentences.right(known.sentences(made), part)
    mixtures = captions_rivals.tuned(train, valid, right)
    stencils = sentences.captioned(count, 10**7, SIDE, strokes=0)
    ways = {
        "nearest": functools.partial(captions_rivals.picked, train),
        "template": functools.partial(captions_rivals.picked, stencils),
        "mixture": functools.partial(mixtures.scenes, shape=test.x.shape[1:]),
    }
    chosen = max(ways, key=lambda name: right(ways[name](valid.words), valid))
    made = {name: draw(test.words) for name, draw in ways.items()}
    other = np.random.RandomState(0).permutation(len(train.x))[: len(test.x)]
    more = {"trivial": train.x[other], "strong": made[chosen], "real": test.x}
    return chosen, made | more


def standard(train):
    """What makes scenes of mean 0 and deviation 1, and what makes them scenes again."""
    mean, deviation = train.x.mean(axis=(0, 1, 2)), float(train.x.std())
    read = lambda x: scene_judge.standard(x, mean, deviation)
    return read, lambda x: x * deviation + mean


def recipe(cell, architecture, depth, width, **more):
    return Recipe(
        architecture=architecture,
        depth=depth,
        width=width,
        batch=BATCH,
        schedule="cosine",
        warmup=float(min(WARMED, cell["steps"] // 4)),
        clip=1.0,
        **more,
    )


def captioner(cell):
    """The net that reads a scene, and the one that says its sentence."""
    units, shape = cell["units"], (SIDE, SIDE, 3)
    seen = recipe(cell, "detector_residual", cell["depth"], cell["width"])
    said = recipe(
        cell,
        "stacked_gru",
        1,
        units,
        activation="tanh",
        initializer="glorot_normal",
        normalizer="layer",
    )
    look = Task(shape, units, "numbers", pooled.closer)
    say = Task((sentences.LENGTH, WORDS + units), WORDS, "tokens")
    return captioning.Captioner(fits.Net(seen, look), fits.Net(said, say), WORDS)


def sketcher(cell):
    """The net that draws a sentence's scene, and the one that recognises in training."""
    drawer = recipe(cell, "broadcast_decoder", cell["depth"], WIDER * cell["width"])
    recogniser = recipe(cell, "detector_residual", 1, cell["width"])
    shape, asked = (SIDE, SIDE, 3), NUMBERS + sentences.LENGTH * WORDS
    draw = Task((asked,), SIDE * SIDE * 3, "numbers")
    recognise = Task(shape, 2 * NUMBERS, "numbers", pooled.closer)
    return drawing.Sketcher(
        fits.Net(drawer, draw), fits.Net(recogniser, recognise), WORDS
    )


def tuned(cell, train, share):
    """`fits.Tuned` of a rate that one seed chose, with the runs of all.

    train: (steps, rates, seeds, capacity) -> the runs of each rate. share: of a run, what
    is right of what was held out.
    """
    most = cell["steps"]

    def runs_of(rates, seeds, steps=most):
        return [run for runs in train(steps, rates, seeds, most) for run in runs]

    def outcome(runs):
        ended = sum(run.diverged is None for run in runs) / len(runs)
        return Outcome(ended=ended, accuracy=float(np.mean([share(r) for r in runs])))

    return first_seed.of_runs(
        runs_of,
        cell,
        nets.rates(cell),
        "accuracy",
        outcome,
        lambda rate: runs_of([rate], [0], half(most)),
    )


def captioners(cell, data, share):
    """`tuned` captioners of a cell."""
    train = functools.partial(captioning.train, captioner(cell), data)
    return tuned(cell, train, share)


def sketchers(cell, data, share):
    """`tuned` sketchers of a cell."""
    train = functools.partial(drawing.train, sketcher(cell), data)
    return tuned(cell, train, share)
