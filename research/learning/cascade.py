"""A cascade: stages of boosted Haar features, each of which passes on what may be a face.

Viola & Jones 2001, CVPR, section 4: a stage's threshold is lowered until nearly all faces
pass, it is given more features where it then rejects too few other windows, and the next
stage is trained on windows without faces that have passed so far. A window that a stage
rejects costs nothing further.
"""

from typing import Any, NamedTuple

from depthbench.research.lazy import lazily
from depthbench.research.learning.haar import HaarFeatures

with lazily():
    import numpy as np

    from depthbench.research.learning import boosting

FIRST = 2  # features of the first stage
REJECTED = 0.5  # of the windows that a stage was trained on, at least
ENOUGH = 20  # windows that must have passed for a further stage
MARGIN = 1e-4  # of a stage's votes: the worst face itself passes


class CascadeStage(NamedTuple):
    """features: of its stumps, in their order. threshold: of the sum of votes."""

    features: HaarFeatures
    stumps: Any
    threshold: float

    def votes(self, integrals: Any) -> Any:
        """[windows], above the threshold where a window passes."""
        return boosting.votes(self.stumps, self.features.values(integrals))


class Judged(NamedTuple):
    """What a cascade says of windows [windows].

    scores: stages passed before the last that was asked, and its votes squashed to 0 to
    1: the last stage's threshold is moved first, and then a stage is left out, as
    receiver operating curves of cascades are drawn (Viola & Jones 2001, section 5).
    passed: stages passed. operations: spent until a stage rejected it.
    """

    scores: Any
    passed: Any
    operations: Any


class Cascade(NamedTuple):
    stages: tuple[CascadeStage, ...]

    def judged(self, integrals: Any) -> Judged:
        """What it says of integral images [windows, numbers]."""
        count = len(integrals)
        scores, operations = np.zeros(count), np.zeros(count)
        passed, left = np.zeros(count, int), np.arange(count)
        for number, stage in enumerate(self.stages):
            votes = stage.votes(integrals[left])
            scores[left] = number + _squashed(votes - stage.threshold)
            operations[left] += stage_operations(stage)
            left = left[votes > stage.threshold]
            passed[left] += 1
        return Judged(scores, passed, operations)


def _squashed(x: Any) -> Any:
    return 0.5 + np.arctan(x) / np.pi


def stage_operations(stage: CascadeStage) -> float:
    """Operations of a stage on a window: a product and a sum for each number that is
    read, a comparison and a sum for each vote, and the comparison with the threshold."""
    reads = stage.features.reads
    return float(2 * reads.sum() + 2 * len(reads) + 1)


def sizes(features: int, stages: int) -> list[int]:
    """How many features each stage has: 2 in the first, and then more by equal factors.

    Of one stage, all of them.

    >>> sizes(120, 4), sizes(120, 1)
    ([2, 7, 24, 87], [120])
    """
    if stages == 1:
        return [features]
    low, high = 1.0, float(features)
    for _ in range(60):
        middle = (low + high) / 2
        total = sum(FIRST * middle**n for n in range(stages))
        low, high = (middle, high) if total < features else (low, middle)
    most = [max(FIRST, int(FIRST * low**n)) for n in range(stages - 1)]
    return [*most, features - sum(most)]


def learn(
    features: HaarFeatures,
    faces: Any,
    others: Any,
    held: Any,
    counts: list[int],
    negatives: int,
    kept: float,
    seed: int = 0,
) -> Cascade:
    """A cascade of stages with so many features each, or more, and all of them together.

    faces: integral images [faces, numbers] that are boosted. others: of windows without
    faces, of which each stage gets up to `negatives` that have passed so far. held: of
    further faces, by which thresholds are set as well. kept: the share of all these that
    each stage passes on, at least. A stage that rejects too little has twice the features,
    as often as it needs and as long as there are any. There are fewer stages where these
    are used up, or where nearly no window passes.
    """
    random, stages = np.random.RandomState(seed), []
    most, left = sum(counts), np.arange(len(others))
    of_faces, unused = features.values(faces), sum(counts)
    for count in counts:
        if len(left) < ENOUGH or unused < count:
            break
        drawn = random.permutation(left)[:negatives]
        empty = np.zeros((negatives - len(drawn), features.weights.shape[0]))
        values = [of_faces, features.values(others[drawn]), empty]
        right = np.arange(len(faces) + negatives) < len(faces)
        weights = np.where(right, 0.5 / len(faces), 0.5 / len(drawn))
        weights[len(faces) + len(drawn) :] = 0.0
        data = boosting.batch(np.concatenate(values), right, weights)
        boosted = boosting.Boosting(data, most)
        while True:
            stage = settled(features, boosted.stumps(count), (faces, held), kept)
            passes = stage.votes(others[drawn]) > stage.threshold
            if np.mean(passes) <= 1 - REJECTED or count == unused:
                break
            count = min(2 * count, unused)
        stages.append(stage)
        unused -= count
        left = left[stage.votes(others[left]) > stage.threshold]
    return Cascade(tuple(stages))


def settled(
    features: HaarFeatures, stumps: Any, faces: tuple[Any, ...], kept: float
) -> CascadeStage:
    """The stage of these stumps whose threshold lets this share of the faces pass.

    faces: parts of integral images [faces, numbers].
    """
    stage = CascadeStage(features.some(stumps.feature), stumps, 0.0)
    ranked = np.sort(np.concatenate([stage.votes(part) for part in faces]))
    lowest = float(ranked[int((1 - kept) * len(ranked))])
    return stage._replace(threshold=lowest - MARGIN)
