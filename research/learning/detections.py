"""Boxes with a class and a score, found in scenes; how right they are.

Everingham et al. 2010, Int. J. Comput. Vis. 88:303: average precision of each class, the
mean over classes; precision is the envelope, the largest at any greater recall.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.lazy import lazily
from depthbench.research.learning import overlaps

with lazily():
    import numpy as np

ENOUGH = 0.5  # IoU from which on a box is found
SOME = 0.1  # from which on it has to do with an object


class Boxes(NamedTuple):
    """scene, kind [boxes] integers. box [boxes, 4]: left, top, right, bottom. score
    [boxes]: how surely; without meaning where they are the truth."""

    scene: Any
    kind: Any
    box: Any
    score: Any

    def only(self, which: Any) -> "Boxes":
        """Some of them, by place or by mask."""
        return Boxes(*(np.asarray(part)[which] for part in self))


def truth(kinds: Any, boxes: Any) -> Boxes:
    """What is there. kinds [scenes, most], below 0 where nothing is; boxes
    [scenes, most, 4].

    >>> truth([[2, -1]], [[[0, 0, 4, 4], [0, 0, 0, 0]]]).kind.tolist()
    [2]
    """
    kinds, boxes = np.asarray(kinds), np.asarray(boxes, np.float64)
    scene, place = np.nonzero(kinds >= 0)
    return Boxes(scene, kinds[scene, place], boxes[scene, place], np.ones(len(scene)))


def suppressed(found: Boxes, above: float = 0.3) -> Boxes:
    """Those that no surer one of the same scene and kind overlaps by more than `above`.

    Greedy non-maximum suppression: Felzenszwalb et al. 2010, IEEE Trans. Pattern Anal.
    Mach. Intell. 32:1627, section 7.2, by IoU.

    >>> boxes = [[0, 0, 4, 4], [1, 0, 5, 4], [9, 9, 12, 12]]
    >>> found = Boxes([0, 0, 0], [1, 1, 1], boxes, [0.5, 0.9, 0.1])
    >>> suppressed(found).score.tolist()
    [0.9, 0.1]
    """
    found = found.only(np.argsort(-np.asarray(found.score), kind="stable"))
    groups = np.stack([found.scene, found.kind], axis=1)
    kept = np.zeros(len(groups), bool)
    _, group = np.unique(groups, axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    for places in np.split(order, np.flatnonzero(np.diff(group.ravel()[order])) + 1):
        if len(places):
            kept[places[_greedy(found.box[places], above)]] = True
    return found.only(kept)


def _greedy(boxes: Any, above: float) -> list[int]:
    """Places of the boxes that are kept, of boxes in falling order of their scores."""
    shared = overlaps.of_boxes(boxes, boxes)
    kept: list[int] = []
    for place in range(len(boxes)):
        if not kept or shared[place, kept].max() <= above:
            kept.append(place)
    return kept


def right(found: Boxes, true: Boxes, enough: float = ENOUGH) -> Any:
    """Which boxes of one kind are right [boxes].

    In falling order of scores each is right where the true box of its scene that it
    overlaps most is by `enough`, and was not found before.

    >>> true = truth([[0]], [[[0, 0, 4, 4]]])
    >>> found = Boxes([0, 0], [0, 0], [[0, 0, 4, 3], [0, 0, 4, 4]], [0.9, 0.8])
    >>> right(found, true).tolist()
    [True, False]
    """
    said = np.zeros(len(found.scene), bool)
    taken: set[int] = set()
    inside = {scene: np.flatnonzero(true.scene == scene) for scene in set(true.scene)}
    for place in np.argsort(-np.asarray(found.score), kind="stable"):
        there = inside.get(found.scene[place])
        if there is None:
            continue
        shared = overlaps.of_boxes([found.box[place]], true.box[there])[0]
        nearest = int(there[shared.argmax()])
        said[place] = shared.max() >= enough and nearest not in taken
        if said[place]:
            taken.add(nearest)
    return said


def average_precision(scores: Any, right: Any, positives: int) -> float:
    """The area under the envelope of precision by recall.

    scores [boxes]; right [boxes] bool; positives: how many there are to find. Boxes of
    equal scores come together. The mean over what is to be found of the largest
    precision at which it is, 0 where it never is. Raises DataError unless there is
    something to find, and no more was found.

    >>> average_precision([0.9, 0.8, 0.7], [True, False, True], positives=2)
    0.8333333333333333
    """
    scores, right = np.asarray(scores, np.float64), np.asarray(right, bool)
    if positives < 1 or right.sum() > positives:
        raise DataError(
            f"average_precision: {int(right.sum())} of {positives} were found; there "
            "must be something to find, and no more"
        )
    if not len(scores):
        return 0.0
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(right[order])
    last = np.append(np.diff(scores[order]) != 0, True)  # of those with equal scores
    found, count = found[last], (np.arange(len(scores)) + 1)[last]
    envelope = np.maximum.accumulate((found / count)[::-1])[::-1]
    return float(np.sum(np.diff(found, prepend=0) * envelope) / positives)


def mean_average_precision(found: Boxes, true: Boxes, enough: float = ENOUGH) -> float:
    """The mean of average precision over the kinds that there are.

    Raises DataError where there are none.

    >>> true = truth([[0], [1]], [[[0, 0, 4, 4]], [[2, 2, 6, 6]]])
    >>> mean_average_precision(true.only([0]), true)
    0.5
    """
    last = max(np.max(part.scene, initial=0) for part in (found, true))
    return by_scenes(found, true, enough)(np.ones(last + 1, int))


def by_scenes(
    found: Boxes, true: Boxes, enough: float = ENOUGH
) -> Callable[[Any], float]:
    """From how often each scene counts [scenes] to the mean average precision.

    Boxes are right or wrong within their scene, so that this is looked at once.
    Raises DataError where there is nothing to find.

    >>> true = truth([[0], [1]], [[[0, 0, 4, 4]], [[2, 2, 6, 6]]])
    >>> by_scenes(true.only([0]), true)(np.array([3, 1]))
    0.5
    """
    kinds = []
    for kind in np.unique(true.kind):
        of = true.only(np.asarray(true.kind) == kind)
        mine = found.only(np.asarray(found.kind) == kind)
        kinds.append((mine, right(mine, of, enough), of.scene))

    def precision(times: Any) -> float:
        each = []
        for mine, said, there in kinds:
            if positives := int(times[there].sum()):
                count = times[mine.scene]
                drawn = np.repeat(mine.score, count), np.repeat(said, count)
                each.append(average_precision(*drawn, positives))
        if not each:
            raise DataError("mean_average_precision: there is nothing to find")
        return float(np.mean(each))

    return precision


class Mistakes(NamedTuple):
    """Shares of the surest boxes of each kind, as many as there are of it.

    misplaced: of the right kind, but overlapping by too little. ground: overlapping no
    object. Others are right, of another kind, or found a second time.
    """

    misplaced: Any
    ground: Any


def mistakes(found: Boxes, true: Boxes, enough: float = ENOUGH) -> Mistakes:
    """What the surest boxes are wrong about; a kind that finds fewer has fewer mistakes.

    Hoiem, Chodpathumwan & Dai 2012, ECCV, as Redmon et al. 2016, arXiv:1506.02640,
    section 4.2 has it: at least 0.1 of IoU is some overlap.

    >>> true = truth([[0]], [[[0, 0, 4, 4]]])
    >>> mistakes(true._replace(box=true.box + 2), true).misplaced
    1.0
    """
    by_scene = mistakes_by_scene(found, true, enough)
    return Mistakes(*(float(np.sum(each) / len(true.scene)) for each in by_scene))


def mistakes_by_scene(found: Boxes, true: Boxes, enough: float = ENOUGH) -> Mistakes:
    """How many boxes of each scene are mistakes of either sort [scenes], as `mistakes`
    has them; up to the last scene that has an object or a box.

    >>> true = truth([[0], [1]], [[[0, 0, 4, 4]], [[0, 0, 4, 4]]])
    >>> far = true._replace(box=true.box + [[0], [9]])
    >>> mistakes_by_scene(far, true).ground.tolist()
    [0, 1]
    """
    scenes = 1 + max(int(np.max(part.scene, initial=0)) for part in (found, true))
    misplaced, ground = np.zeros(scenes, int), np.zeros(scenes, int)
    for kind in np.unique(true.kind):
        wanted = int(np.sum(true.kind == kind))
        mine = found.only(np.asarray(found.kind) == kind)
        mine = mine.only(np.argsort(-mine.score, kind="stable")[:wanted])
        for scene, box in zip(mine.scene, mine.box, strict=True):
            inside = true.only(true.scene == scene)
            shared = overlaps.of_boxes([box], inside.box)[0]
            own = shared[inside.kind == kind].max(initial=0.0)
            ground[scene] += shared.max(initial=0.0) < SOME
            misplaced[scene] += SOME <= own < enough
    return Mistakes(misplaced, ground)
