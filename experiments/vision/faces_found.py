"""Detectors of faces, which learn from the same windows, and bootstrap alike.

A detector is asked for a score of windows, high where it sees a face. The cascade takes
its negatives, as it goes, from those that have passed; a net and the SVM are trained on
windows drawn at random, look through the same pool for those that they take most for
faces, and are trained on both.
"""

import functools
from typing import Any, NamedTuple

from depthbench.experiments.once import once
from depthbench.experiments.training import nets
from depthbench.research.lazy import lazily
from depthbench.research.learning import selection
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.tuning import Steps
from depthbench.research.machine import threads

with lazily():
    import jax
    import numpy as np
    import sklearn.svm as svm

    from depthbench.research.architectures.convolutional import placed
    from depthbench.research.datasets import face_windows
    from depthbench.research.learning import (
        boosting,
        cascade,
        fits,
        haar,
        hog,
        metrics,
        supervised,
        support_vectors,
    )
    from depthbench.research.learning import tuning as tunings
    from depthbench.research.machine import operations

FACES = 100
LEARNED, HELD, TESTED = 45, 15, 40  # of them
# Of a face within a border of one pixel: down, right.
MOVES = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
PHOTOGRAPH = "astronaut"  # in which detectors are shown; nobody learned from it
FEW = 1000  # windows to learn from
CELL = 5  # pixels, of histograms of gradients
GRID = {"C": Steps((1.0, 10.0, 100.0)), "gamma": Steps((0.3, 1.0, 3.0))}
# Of the faces that set thresholds, what a stage passes on: of these a division's best.
KEPT = (0.99, 1.0)
CHOOSING = 2000  # windows that settings are chosen by: an area needs fewer than a share
TWO_KEPT = 0.99  # by the filter of two features: where all must pass, all windows do
NORMAL = 8 + 4 * 4  # operations: four corners of two sums, and two sums of 2 × 2 pixels


class Faces(NamedTuple):
    """Faces of one division [faces, 25, 25]: mirrored and moved, but for the test's."""

    train: Any
    held: Any
    test: Any


class Windows(NamedTuple):
    """Windows without faces [windows, 25, 25] of three parts of the photographs."""

    train: Any
    valid: Any
    test: Any


class Detector(NamedTuple):
    """score: from windows [windows, 25, 25] to numbers [windows], high for faces.
    alone, scanning: thousands of operations for a window, by itself and as one of those
    that overlap in a photograph. more: what else is known of it, by name."""

    score: Any
    alone: float
    scanning: float
    more: dict[str, Any]


@functools.cache
def divided(seed):
    """The faces of a seed's division."""
    x = face_windows.normal(face_windows.faces())
    order = np.random.RandomState(seed).permutation(len(x))
    learned, held, test = np.split(x[order], [LEARNED, LEARNED + HELD])
    return Faces(_varied(learned), _varied(held), test)


def _varied(x):
    """Each face and its mirror image, as they are and moved by a pixel."""
    x, side = np.concatenate([x, x[:, :, ::-1]]), face_windows.SIDE
    wide = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="edge")
    moved = [wide[:, down : down + side, right : right + side] for down, right in MOVES]
    return face_windows.normal(np.concatenate(moved))


@functools.cache
def windows(count):
    """As many windows to learn from as to be tested by, and half to choose by."""
    counts = {"train": count, "valid": count // 2, "test": count}
    every = (face_windows.negatives(part, each) for part, each in counts.items())
    return Windows(*map(face_windows.normal, every))


def found(faces, others, share):
    """The share of faces whose score is above that of all but so many of the others."""
    ranked = np.sort(others)[::-1]
    return float(
        np.mean(faces > ranked[min(int(share * len(others)), len(others) - 1)])
    )


def unsure(detector, seed, count):
    """What settings are chosen by: 1 less the area under the ROC curve, of what is held
    out of the training photographs and faces."""
    faces, others = divided(seed).held, windows(count).valid[:CHOOSING]
    score = detector(np.concatenate([faces, others]))
    return 1.0 - metrics.area(score, np.arange(len(score)) < len(faces))


def bootstrapped(learn, seed, count, negatives):
    """The second detector: the first chose half of its negatives.

    learn: (x, labels, the first detector or None) -> a detector's score function.
    """
    faces, pool = divided(seed).train, windows(count).train
    drawn = np.random.RandomState(seed).permutation(len(pool))[:negatives]
    labels = lambda x: (np.arange(len(x)) < len(faces)).astype(np.int32)
    x = np.concatenate([faces, pool[drawn]])
    first = learn(x, labels(x), None)
    hard = np.argsort(-first(pool), kind="stable")[:negatives]
    x = np.concatenate([x, pool[hard]])
    return learn(x, labels(x), first)


# ------------------------------------------------------------------------- the cascade


@functools.cache
def integrals(part, count):
    return haar.integrals(getattr(windows(count), part))


def learned(cell, seed, features):
    """(what each stage keeps, the cascade): of KEPT that which finds most of what is held
    out, at the share of false positives that is asked for.

    And not by `unsure`: thresholds are set by held-out faces too, so that the area would
    always be largest where all pass. Of one stage the threshold changes no rank.
    """
    faces, count = divided(seed), cell["windows"]
    stages = cascade.sizes(cell["boosted"], cell["depth"])
    train, held = haar.integrals(faces.train), haar.integrals(faces.held)
    data = features, train, integrals("train", count), held, stages, cell["negatives"]

    def right(pair):
        both = (pair[1].judged(x).scores for x in (held, integrals("valid", count)))
        return found(*both, cell["false_positives"])

    tried = KEPT if cell["depth"] > 1 else KEPT[-1:]
    return max(((kept, cascade.learn(*data, kept, seed)) for kept in tried), key=right)


def of_cascade(cell, seed):
    """A cascade of so many stages."""
    every = haar.features(face_windows.SIDE, cell["features"])
    faces, count = divided(seed), cell["windows"]
    kept, made = learned(cell, seed, every)
    test = made.judged(integrals("test", count))
    own = made.judged(haar.integrals(faces.test))
    spent, first = float(np.mean(test.operations)), made.stages[0]
    # The first two rounds are those of a stage that has no more.
    two = boosting.Stumps(*(array[: cascade.FIRST] for array in first.stumps))
    seen = haar.integrals(faces.train), haar.integrals(faces.held)
    filter_of_two = cascade.Cascade((cascade.settled(every, two, seen, TWO_KEPT),))
    passes = lambda x: float(np.mean(filter_of_two.judged(x).passed))
    more = {
        "stages": len(made.stages),
        "stage_keeps": kept,
        "two_found": passes(haar.integrals(faces.test)),
        "two_false": passes(integrals("test", count)),
        "passed": [float(np.mean(test.passed > n)) for n in range(len(made.stages))],
        "kept": [float(np.mean(own.passed > n)) for n in range(len(made.stages))],
        "rectangles": first.features.rectangles,
    }
    side = face_windows.SIDE
    return Detector(
        lambda x: made.judged(haar.integrals(x)).scores,
        (4 * side**2 + 8 + spent) / 1e3,
        (NORMAL + spent) / 1e3,
        more,
    )


# ---------------------------------------------------------------------------- the nets


def net_of(cell):
    """The cell's net of windows: 5 × 5 in steps of two, then its convolutions."""
    recipe = Recipe(
        architecture="cnn_same",
        depth=cell["depth"],
        width=cell["width"],
        batch=64,
        schedule="cosine",
    )
    side = face_windows.SIDE
    return fits.Net(recipe, supervised.Task((side, side, 1), 2, change=placed.placed))


def of_net(cell, seed, rate, share=1.0):
    """A net that was trained, looked for what it takes for faces, and trained further.

    share: of the cell's steps.
    """
    net, fitted, most = net_of(cell), [], cell["steps"] // 2
    steps = max(1, int(share * most))

    def learn(x, labels, first):
        data = {"inputs": x[..., None], "targets": labels}
        starts = [fitted[-1]] if fitted else None
        fitted.extend(
            fits.train(net, data, steps, [rate], [seed], starts, capacity=most)
        )
        return functools.partial(margin, fitted[-1])

    bootstrapped(learn, seed, cell["windows"], cell["negatives"])
    return fitted[-1]


def margin(fit, x):
    """By how much a net takes windows for faces [windows]."""
    outputs = fit.outputs(x[..., None])
    return outputs[:, 1] - outputs[:, 0]


def tuned_rates(cell):
    """The `fits.Tuned` of rates of all divisions, each chosen by its own held-out faces:
    those of another are among its test faces. Its rate is their geometric mean; whether
    nets still learn is asked of the first's."""
    every = [_tuned_rate(cell, seed) for seed in range(cell["seeds"])]
    return fits.Tuned(
        float(np.exp(np.mean([np.log(one.setting) for one in every]))),
        [run for one in every for run in one.runs],
        any(one.at_edge for one in every),
        every[0].unfinished,
        {},
    )


def _tuned_rate(cell, seed):
    def trained(rates):
        return [[of_net(cell, seed, rate)] for rate in rates]

    def outcome(runs):
        (run,) = runs
        if run.diverged is not None:
            return selection.Outcome(ended=0.0)
        score = functools.partial(margin, run)
        return selection.Outcome(accuracy=1 - unsure(score, seed, cell["windows"]))

    grid, most = nets.rates(cell), cell["further_rates"]
    sooner = (lambda rate: [of_net(cell, seed, rate, 0.5)]) if seed == 0 else None
    return fits.tuned(trained, grid, "accuracy", outcome, most=most, sooner=sooner)


def of_fit(fit, kflop):
    """A trained net as a detector. kflop: of `net_kflop`."""
    return Detector(functools.partial(margin, fit), *kflop, {})


def net_kflop(cell, net):
    """(a window's by itself, and where overlapping windows share convolutions)."""
    fit = fits.fresh(net)
    x = np.zeros((1, *net.task.shape), np.float32)
    traced = jax.make_jaxpr(fits.states_of(net))(fit.variables, x)
    convolved = operations.count(traced.jaxpr).total
    places = int(np.prod(fit.states(x)[-1].shape[1:3]))
    numbers = places * cell["width"]
    head = 2 * 2 * numbers + numbers
    return (convolved + head) / 1e3, (convolved / places + head) / 1e3


# ------------------------------------------------------------------------- the baseline


@functools.cache
def gradients(part, count):
    return hog.features(getattr(windows(count), part), CELL)


class Machine(NamedTuple):
    """An RBF SVM on histograms of gradients, which are found once for many windows."""

    model: Any

    def __call__(self, x):
        return support_vectors.decision(self.model, hog.features(x, CELL))


@threads.single()
def machine(seed, count, negatives, setting):
    """The SVM of a division, bootstrapped as nets are."""
    faces = hog.features(divided(seed).train, CELL)
    pool = gradients("train", count)
    drawn = np.random.RandomState(seed).permutation(len(pool))[:negatives]
    gamma = setting["gamma"] / pool[drawn].var(axis=0).sum()
    model = svm.SVC(C=setting["C"], gamma=gamma, cache_size=500)
    x = np.concatenate([faces, pool[drawn]])
    model.fit(x, np.arange(len(x)) < len(faces))
    hard = np.argsort(-support_vectors.decision(model, pool), kind="stable")[:negatives]
    x = np.concatenate([x, pool[hard]])
    return Machine(model.fit(x, np.arange(len(x)) < len(faces)))


@once
def setting_of(seed, count, negatives):
    """Penalty and width of a division, by what is held out of it."""
    held = hog.features(divided(seed).held, CELL)
    x = np.concatenate([held, gradients("valid", count)[:CHOOSING]])
    right = np.arange(len(x)) < len(held)

    def outcome(setting):
        model = machine(seed, count, negatives, setting).model
        area = metrics.area(support_vectors.decision(model, x), right)
        return selection.Outcome(loss=1.0 - area)

    return tunings.tuned(GRID, outcome, "loss")[0]


@once
def rival(seed, count, negatives):
    """HOG and SVM of a division: (share found by share of false, thousands of operations
    alone and scanning)."""
    made = machine(seed, count, negatives, setting_of(seed, count, negatives))
    faces = made(divided(seed).test)
    others = support_vectors.decision(made.model, gradients("test", count))
    side = face_windows.SIDE
    vectors, numbers = made.model.support_vectors_.shape
    kernel = vectors * (3 * numbers + 3)
    own = hog.operations(side, CELL)
    shared = own - hog.EACH_PIXEL * (side**2 - 4)  # pixels that a step of two adds
    return faces, others, ((own + kernel) / 1e3, (shared + kernel) / 1e3)


@once
def rivals(seeds, count, negatives):
    """`rival` of each division, one after the other: they share the pool's gradients."""
    return [rival(seed, count, negatives) for seed in range(seeds)]


def above_windows(score, highest, count):
    """(boxes, scores) of the windows of PHOTOGRAPH that score above this: of each second
    of them down and across where few were learned from, as in a smoke run."""
    stride = face_windows.STRIDE * (1 if count >= FEW else 2)
    x, boxes = face_windows.scan(PHOTOGRAPH, stride)
    found = score(face_windows.normal(x))
    high = found > highest
    return boxes[high], found[high]


@once
def rival_boxes(count, negatives):
    """`above_windows` of HOG and SVM of the first division, higher than every window
    without a face that was held out."""
    made = machine(0, count, negatives, setting_of(0, count, negatives))
    held = support_vectors.decision(made.model, gradients("valid", count))
    return above_windows(made, np.max(held), count)


def template(seed, count):
    """(scores of test faces, of test windows): likeness to the mean face."""
    faces = divided(seed)
    mean = faces.train.mean(axis=0)
    return tuple(
        np.einsum("nij,ij->n", x, mean) for x in (faces.test, windows(count).test)
    )
