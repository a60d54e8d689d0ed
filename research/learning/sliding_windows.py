"""Boxes found by a classifier that looks at every window of a scene.

Dalal & Triggs 2005, CVPR: a linear support vector machine on histograms of gradients,
trained again with the windows that it was most wrong about. Here it proposes windows, and
support vector machines with an RBF kernel, one for each kind, judge them: Vedaldi et al.
2009, ICCV, go from linear to such kernels in the same way.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from depthbench.research.lazy import lazily
from depthbench.research.learning import detections, overlaps, support_vectors
from depthbench.research.learning.detections import Boxes
from depthbench.research.machine import threads

with lazily():
    import numpy as np
    import sklearn.pipeline as pipeline
    import sklearn.preprocessing as preprocessing
    import sklearn.svm as svm

SEEN = 8  # pixels of a window's side, as the classifier sees it
BINS, BLOCK = 8, 2  # directions; pixels of a histogram's side
SAME, OTHER = (
    0.7,
    0.45,
)  # IoU from which on a window shows the object; below: it does not
RANDOM, HARD = 4, 3  # windows without an object of each scene: drawn, and most mistaken
NEAR = 1  # further windows that show an object, of each object
PROPOSED = 40  # windows of a scene that are judged
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


def patches(x: Any, sizes: Sequence[int]) -> Any:
    """What is in the windows of scenes x [scenes, side, side, channels].

    [scenes, windows, SEEN, SEEN, channels], by bilinear interpolation.
    """
    every = []
    for size in sizes:
        views = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
        views = views.reshape(len(x), -1, x.shape[-1], size, size)
        change = _resized(size).astype(x.dtype)
        seen = np.einsum("ir,nwcrs,js->nwijc", change, views, change, optimize=True)
        every.append(seen)
    return np.concatenate(every, axis=1)


def _cut(scene: Any, boxes: Any) -> Any:
    """What is in some windows of a scene, as `patches` has it."""
    seen = []
    for left, top, right, bottom in boxes:
        change = _resized(right - left).astype(scene.dtype)
        part = scene[top:bottom, left:right]
        seen.append(np.einsum("ir,rsc,js->ijc", change, part, change, optimize=True))
    return np.stack(seen)


@functools.cache
def _resized(size: int) -> Any:
    """[SEEN, size], the bilinear map of a row of pixels; pixels are areas."""
    at = np.clip((np.arange(SEEN) + 0.5) * size / SEEN - 0.5, 0, size - 1)
    return np.maximum(1 - np.abs(at[:, None] - np.arange(size)), 0)


def features(seen: Any, kind: str) -> Any:
    """[windows, numbers] of what is in windows [windows, SEEN, SEEN, channels].

    pixels: less the window's mean of each channel, at length 1. gradients: histograms of
    directions, in blocks, at length 1. both: side by side.
    """
    made = []
    if kind in ("pixels", "both"):
        flat = (seen - seen.mean(axis=(1, 2), keepdims=True)).reshape(len(seen), -1)
        made.append(_unit(flat))
    if kind in ("gradients", "both"):
        made.append(_unit(_histograms(seen)))
    return np.concatenate(made, axis=1)


def _unit(rows: Any) -> Any:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def _histograms(seen: Any) -> Any:
    """How much gradient there is in each direction and block [windows, numbers].

    Of each pixel the channel with the largest one; without sign, as in the source.
    """
    down, across = np.gradient(seen, axis=(1, 2))
    size = np.hypot(down, across)
    channel = size.argmax(axis=-1)[..., None]
    down, across, size = (
        np.take_along_axis(a, channel, axis=-1)[..., 0] for a in (down, across, size)
    )
    turn = (np.arctan2(down, across) / np.pi % 1) * BINS
    count = SEEN // BLOCK
    block = np.arange(SEEN) // BLOCK
    block = block[:, None] * count + block
    first = (np.arange(len(seen))[:, None, None] * count**2 + block) * BINS
    below = np.floor(turn)
    share, below = turn - below, below.astype(np.int64)
    made = np.zeros(len(seen) * count**2 * BINS)
    for bin, part in ((below, 1 - share), (below + 1, share)):  # the two nearest
        place, amount = (first + bin % BINS).ravel(), (size * part).ravel()
        made += np.bincount(place, amount, len(made))
    return made.astype(seen.dtype).reshape(len(seen), -1)


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
    scenes, boxes, rows = [], [], []
    for first in range(0, len(x), 20):  # windows of all scenes would not fit
        seen = patches(x[first : first + 20], sizes)
        count = len(seen)
        flat = features(seen.reshape(-1, *seen.shape[2:]), kind)
        score = proposer.decision_function(flat).reshape(count, -1)
        best = np.argsort(-score, axis=1, kind="stable")[:, :PROPOSED]
        scenes.append(np.repeat(np.arange(first, first + count), best.shape[1]))
        boxes.append(box[best.ravel()])
        rows.append(flat.reshape(count, len(box), -1)[np.arange(count)[:, None], best])
    rows = np.concatenate([part.reshape(-1, part.shape[-1]) for part in rows])
    return Proposals(np.concatenate(scenes), np.concatenate(boxes), rows)


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
    known, labels, spare = [], [], []
    for scene in range(len(x)):
        shown, kind_of = _shown(box, true.only(true.scene == scene), kinds)
        places = [
            random.choice(np.flatnonzero(shown == n), NEAR + 1)
            for n in range(shown.max() + 1)
        ]
        places.append(random.choice(np.flatnonzero(kind_of == kinds), RANDOM))
        picked = np.concatenate(places)
        known.append(features(_cut(x[scene], box[picked]), kind))
        labels.append(kind_of[picked])
        spare.append(kind_of == kinds)
    rows, of = np.concatenate(known), np.concatenate(labels)
    first = _linear(rows, of < kinds, seed)
    for scene in range(len(x)):
        flat = features(patches(x[scene : scene + 1], sizes)[0], kind)
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
    """For each kind what tells its windows from all others."""
    gamma = 1 / (examples.features.shape[1] * examples.features.var())
    how = {"C": penalty, "gamma": gamma, "class_weight": "balanced", "cache_size": 500}
    return tuple(
        svm.SVC(**how).fit(examples.features, examples.kind == kind)
        for kind in range(kinds)
    )


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
