"""Boxes found by a classifier that looks at every window of a scene.

Dalal & Triggs 2005, CVPR: a linear support vector machine on histograms of gradients,
trained again with the windows that it was most wrong about. Here it proposes windows, and
support vector machines with an RBF kernel, one for each kind, judge them: Vedaldi et al.
2009, ICCV, go from linear to such kernels in the same way.
"""

import functools
from collections.abc import Iterator
from concurrent import futures
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.lazy import lazily
from depthbench.research.learning import detections, overlaps, support_vectors
from depthbench.research.learning.detections import Boxes
from depthbench.research.machine import threads

with lazily():
    import sklearn.pipeline as pipeline
    import sklearn.preprocessing as preprocessing
    import sklearn.svm as svm

SEEN = 8  # pixels of a window's side, as the classifier sees it
BINS, BLOCK = 8, 2  # directions; pixels of a histogram's side
# The IoU from which on a window shows the object, and below which it does not.
SAME, OTHER = 0.7, 0.45
RANDOM, HARD = 4, 3  # windows without an object of each scene: drawn, and most mistaken
NEAR = 1  # further windows that show an object, of each object
PROPOSED = 40  # windows of a scene that are judged
AT_A_TIME = 10  # scenes whose windows are in memory
FEATURES = ("gradients", "both")
PENALTIES = (1.0, 10.0, 100.0)


class Windows(NamedTuple):
    """All windows of scenes of one side, of several sizes: box [windows, 4]."""

    box: Any
    sizes: tuple[int, ...]


@functools.cache
def windows(side: int, sizes: tuple[int, ...]) -> Windows:
    """Square windows at every pixel.

    >>> len(windows(24, (6, 10)).box)  # 19² + 15²
    586
    """
    every = []
    for size in sizes:
        top, left = np.mgrid[: side - size + 1, : side - size + 1].reshape(2, -1)
        every.append(np.stack([left, top, left + size, top + size], axis=1))
    return Windows(np.concatenate(every), sizes)


@functools.partial(jax.jit, static_argnums=1)
def patches(x: Any, sizes: tuple[int, ...]) -> Any:
    """What is in the windows of scenes x [scenes, side, side, channels].

    [scenes, windows, SEEN, SEEN, channels], by bilinear interpolation. Raises ValueError
    for windows that are larger than a scene.
    """
    every = []
    for size in sizes:
        change = jnp.asarray(_placed(x.shape[1], size), x.dtype)
        seen = jnp.einsum("tir,nrsc,ujs->ntuijc", change, x, change)
        every.append(seen.reshape(len(x), -1, *seen.shape[3:]))
    return jnp.concatenate(every, axis=1)


@functools.cache
def _placed(side: int, size: int) -> Any:
    """[places, SEEN, side]: the bilinear map of a window of a row, at each of its places;
    pixels are areas."""
    if size > side:
        raise ValueError(f"a window of {size} is larger than a scene of {side}")
    at = np.clip((np.arange(SEEN) + 0.5) * size / SEEN - 0.5, 0, size - 1)
    place = np.arange(side - size + 1)[:, None, None] + at[:, None]
    return np.maximum(1 - np.abs(place - np.arange(side)), 0)


def features(seen: Any, kind: str) -> Any:
    """[…, numbers] of what is in windows […, SEEN, SEEN, channels].

    pixels: less the window's mean of each channel, at length 1. gradients: histograms of
    directions, in blocks, at length 1. both: side by side.
    """
    made = []
    if kind in ("pixels", "both"):
        made.append(_level(seen))
    if kind in ("gradients", "both"):
        # In one program XLA would work out each angle anew for every direction.
        made.append(_histograms(*_directions(seen)))
    return jnp.concatenate(made, axis=-1)


def _unit(rows: Any) -> Any:
    return rows / jnp.maximum(jnp.linalg.norm(rows, axis=-1, keepdims=True), 1e-6)


@jax.jit
def _level(seen: Any) -> Any:
    level = seen - seen.mean(axis=(-3, -2), keepdims=True)
    return _unit(level.reshape(*seen.shape[:-3], -1))


@jax.jit
def _directions(seen: Any) -> tuple[Any, Any, Any]:
    """(the direction of each pixel's gradient, rounded down, how much of it belongs there,
    and how much to the next one), […, SEEN, SEEN] each.

    Of each pixel the channel with the largest one; without sign, as in the source.
    """
    down, across, most = 0.0, 0.0, -1.0
    for channel in jnp.moveaxis(seen, -1, 0):
        one, other = jnp.gradient(channel, axis=(-2, -1))
        squared = one**2 + other**2
        larger = squared > most
        down, across = jnp.where(larger, one, down), jnp.where(larger, other, across)
        most = jnp.maximum(squared, most)
    size, turn = jnp.sqrt(most), jnp.arctan2(down, across) * (BINS / np.pi)
    turn = jnp.where(turn < 0, turn + BINS, turn)
    first = jnp.floor(turn)
    share = turn - first
    return jnp.where(first == BINS, 0, first), size * (1 - share), size * share


@jax.jit
def _histograms(first: Any, here: Any, next: Any) -> Any:
    """How much gradient there is in each block and direction […, numbers], at length 1."""
    each = [
        jnp.where(first == b, here, 0) + jnp.where(first == (b - 1) % BINS, next, 0)
        for b in range(BINS)
    ]
    count, before = SEEN // BLOCK, first.shape[:-2]
    blocks = jnp.stack(each, axis=-1)
    blocks = blocks.reshape(*before, count, BLOCK, count, BLOCK, BINS)
    return _unit(blocks.sum(axis=(-4, -2)).reshape(*before, -1))


def each_scene(
    x: Any, sizes: tuple[int, ...], kind: str | None = None
) -> Iterator[Any]:
    """The features of all windows of each scene in turn [windows, numbers]; of no kind
    what is in them, as of `patches`.

    x: [scenes, side, side, channels].
    """
    for first in range(0, len(x), AT_A_TIME):
        seen = patches(x[first : first + AT_A_TIME], sizes)
        yield from np.asarray(seen if kind is None else features(seen, kind))


class Detector(NamedTuple):
    """Fitted. proposer: of windows that show anything; judges: of each kind."""

    sizes: tuple[int, ...]
    features: str
    penalty: float
    proposer: Any
    judges: tuple[Any, ...]

    def found(self, x: Any) -> Boxes:
        """The boxes in scenes x [scenes, side, side, channels], suppressed."""
        return judged(proposed(self.proposer, self.features, x, self.sizes), self)


class Proposals(NamedTuple):
    """The windows that are judged: scene [windows], box, and their features."""

    scene: Any
    box: Any
    features: Any


@threads.single()
def proposed(proposer: Any, kind: str, x: Any, sizes: tuple[int, ...]) -> Proposals:
    """Of each scene the PROPOSED windows that look most like an object."""
    box = windows(x.shape[1], sizes).box
    boxes, rows = [], []
    for flat in each_scene(x, sizes, kind):
        score = proposer.decision_function(flat)
        best = np.argsort(-score, kind="stable")[:PROPOSED]
        boxes.append(box[best])
        rows.append(flat[best])
    scenes = np.repeat(np.arange(len(x)), [len(own) for own in boxes])
    return Proposals(scenes, np.concatenate(boxes), np.concatenate(rows))


@threads.single()
def judged(windows: Proposals, detector: Detector) -> Boxes:
    """What each kind's judge says of each window, suppressed kind by kind."""
    every = []
    for kind, judge in enumerate(detector.judges):
        score = support_vectors.decision(judge, windows.features)
        kinds = np.full(len(score), kind)
        every.append(Boxes(windows.scene, kinds, windows.box.astype(float), score))
    joined = Boxes(*(np.concatenate(parts) for parts in zip(*every, strict=True)))
    return detections.suppressed(joined)


class Examples(NamedTuple):
    """Windows to learn from: features, and the kind that each shows, or kinds of none."""

    features: Any
    kind: Any


@threads.single()
def proposer(
    x: Any, true: Boxes, kind: str, sizes: tuple[int, ...], kinds: int, seed: int
) -> tuple[Any, Examples]:
    """(the linear classifier of windows, the windows that judges learn from)."""
    random = np.random.RandomState(seed)
    box = windows(x.shape[1], sizes).box
    picked, labels, spare = [], [], []
    for scene, seen in enumerate(each_scene(x, sizes)):
        shown, kind_of = _shown(box, true.only(true.scene == scene), kinds)
        places = [
            random.choice(np.flatnonzero(shown == n), NEAR + 1)
            for n in range(shown.max() + 1)
        ]
        places.append(random.choice(np.flatnonzero(kind_of == kinds), RANDOM))
        own = np.concatenate(places)
        picked.append(seen[own])
        labels.append(kind_of[own])
        spare.append(kind_of == kinds)
    known = [np.asarray(features(np.concatenate(picked), kind))]
    rows, of = known[0], np.concatenate(labels)
    first = _linear(rows, of < kinds, seed)
    for scene, flat in enumerate(each_scene(x, sizes, kind)):
        score = np.where(spare[scene], first.decision_function(flat), -np.inf)
        hard = np.argsort(-score, kind="stable")[: 10 * HARD : 10]
        known.append(flat[hard])
        labels.append(np.full(len(hard), kinds))
    rows, of = np.concatenate(known), np.concatenate(labels)
    return _linear(rows, of < kinds, seed), Examples(rows, of)


def _shown(box: Any, true: Boxes, kinds: int) -> tuple[Any, Any]:
    """(the number of the object that each window shows, or −1; its kind).

    The kind is `kinds` of windows that show none, and −1 of those that show a part.
    """
    shared = overlaps.of_boxes(box, true.box)
    nearest, much = shared.argmax(axis=1), shared.max(axis=1)
    kind = np.where(much >= SAME, true.kind[nearest], -1)
    return np.where(much >= SAME, nearest, -1), np.where(much < OTHER, kinds, kind)


def _linear(rows: Any, shows: Any, seed: int) -> Any:
    scaled = preprocessing.StandardScaler()
    return pipeline.make_pipeline(scaled, svm.LinearSVC(C=0.01, random_state=seed)).fit(
        rows, shows
    )


@threads.single()
def judges(examples: Examples, kinds: int, penalty: float) -> tuple[Any, ...]:
    """For each kind what tells its windows from all others: fitted side by side."""
    gamma = 1 / (examples.features.shape[1] * examples.features.var())
    how = {"C": penalty, "gamma": gamma, "class_weight": "balanced", "cache_size": 500}

    def judge(kind: int) -> Any:
        return svm.SVC(**how).fit(examples.features, examples.kind == kind)

    with futures.ThreadPoolExecutor(kinds) as pool:
        return tuple(pool.map(judge, range(kinds)))


def fit(
    x: Any,
    true: Boxes,
    valid: tuple[Any, Boxes],
    sizes: tuple[int, ...],
    kinds: int,
    some: int | None = None,
    seed: int = 0,
) -> Detector:
    """The detector that is best, by mean average precision, of scenes held out.

    x [scenes, side, side, channels], true: what is in them; valid: (x, true) of those
    held out. Features, and the penalty of judges, are chosen. some: scenes that the tried
    ones learn from, the first; the chosen one learns from all.
    """
    some = min(some or len(x), len(x))
    few = x[:some], true.only(np.asarray(true.scene) < some)
    best, chosen = -1.0, None
    for kind in FEATURES:
        first, examples = proposer(*few, kind, sizes, kinds, seed)
        known = proposed(first, kind, valid[0], sizes)
        for penalty in PENALTIES:
            second = judges(examples, kinds, penalty)
            tried = Detector(sizes, kind, penalty, first, second)
            worth = detections.mean_average_precision(judged(known, tried), valid[1])
            if worth > best:
                best, chosen = worth, tried
    assert chosen is not None
    if some == len(x):
        return chosen
    first, examples = proposer(x, true, chosen.features, sizes, kinds, seed)
    second = judges(examples, kinds, chosen.penalty)
    return chosen._replace(proposer=first, judges=second)
