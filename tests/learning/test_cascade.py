"""A cascade passes on, stops early, and counts what it spends."""

import itertools

import numpy as np
import pytest

from depthbench.research.learning import cascade, haar

pytest.importorskip("skimage", reason="scikit-image makes the features' coordinates")
RANDOM = np.random.RandomState(0)


def images(count, bright):
    """Noise; the upper half is brighter where `bright`."""
    x = RANDOM.normal(size=(count, 8, 8)).astype(np.float32)
    x[:, :4] += 1.0 * bright
    return haar.integrals(x)


KEPT = 0.98
FACES, HELD, OTHERS = images(40, True), images(20, True), images(400, False)
HAAR = haar.features(8, 200)
MADE = cascade.learn(HAAR, FACES, OTHERS, HELD, cascade.sizes(14, 3), 100, KEPT)


def test_it_learns_to_tell_them_apart():
    faces, others = MADE.judged(images(100, True)), MADE.judged(images(100, False))
    stages = len(MADE.stages)
    assert np.mean(faces.passed == stages) > 0.75 > 0.25 > np.mean(others.passed > 0)


def test_a_window_pays_for_the_stages_that_it_reaches_and_no_others():
    judged = MADE.judged(OTHERS)
    prices = np.cumsum([cascade.stage_operations(stage) for stage in MADE.stages])
    reached = np.minimum(judged.passed, len(prices) - 1)
    np.testing.assert_array_equal(judged.operations, prices[reached])


def test_whoever_passes_more_stages_scores_higher():
    judged = MADE.judged(np.concatenate([FACES, OTHERS]))
    below = [judged.scores[judged.passed == n] for n in range(len(MADE.stages) + 1)]
    below = [part for part in below if len(part)]
    assert len(below) > 1
    for lower, higher in itertools.pairwise(below):
        assert lower.max() < higher.min()


def test_a_stage_that_rejects_too_little_has_more_features():
    """Beside images of the same kind two features reject nothing: all are spent."""
    alike = images(200, True)
    made = cascade.learn(haar.features(8, 50), FACES, alike, HELD, [2, 6], 100, KEPT)
    assert [len(stage.stumps.vote) for stage in made.stages] == [8]


@pytest.mark.parametrize("kept", [0.5, KEPT, 1.0])
def test_as_many_faces_as_were_asked_for_pass_a_stage_and_hardly_more(kept):
    """Votes of few stumps are often equal: hardly more are those with the lowest vote."""
    settled = cascade.settled(HAAR, MADE.stages[-1].stumps, (FACES, HELD), kept)
    votes = np.concatenate([settled.votes(FACES), settled.votes(HELD)])
    above_lowest = votes > settled.threshold + 2 * cascade.MARGIN
    assert np.mean(above_lowest) <= kept <= np.mean(votes > settled.threshold)


@pytest.mark.parametrize(
    ("features", "stages"), [(120, 1), (120, 4), (120, 16), (4, 2)]
)
def test_stages_share_out_all_features(features, stages):
    sizes = cascade.sizes(features, stages)
    assert len(sizes) == stages and sum(sizes) == features
    assert sizes == sorted(sizes) and min(sizes) >= min(cascade.FIRST, features)
