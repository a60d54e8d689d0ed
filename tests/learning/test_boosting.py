"""AdaBoost on stumps, against scikit-learn and by hand."""

import numpy as np
from sklearn.ensemble import AdaBoostClassifier
from sklearn.tree import DecisionTreeClassifier

from depthbench.research.learning import boosting, feed
from tests.learning.resumption import assert_resumes

RANDOM = np.random.RandomState(0)
X = RANDOM.normal(size=(60, 5)).astype(np.float32)
RIGHT = X[:, 0] + 0.7 * X[:, 1] - 0.5 * X[:, 2] + 0.3 * RANDOM.normal(size=60) > 0
EQUAL = np.full(60, 1 / 60, np.float32)


def test_it_is_as_right_as_scikit_learns():
    """Whose stumps split by the Gini index: they need not be the same."""
    stumps = boosting.Boosting(boosting.batch(X, RIGHT, EQUAL), 12).stumps(12)
    says = boosting.votes(stumps, X[:, stumps.feature]) > 0
    stump = DecisionTreeClassifier(max_depth=1, random_state=0)
    peer = AdaBoostClassifier(stump, n_estimators=12, random_state=0).fit(X, RIGHT)
    # Both are greedy on the same 60 examples; they may part by a few.
    assert np.mean(says == RIGHT) >= peer.score(X, RIGHT) - 0.05
    assert np.mean(says == RIGHT) > 0.9


def test_the_first_stump_has_the_least_error_of_all():
    stumps = boosting.Boosting(boosting.batch(X, RIGHT, EQUAL), 1).stumps(1)
    errors = [
        np.mean((sign * (X[:, f] - t) > 0) != RIGHT)
        for f in range(5)
        for t in (np.sort(X[:, f])[1:] + np.sort(X[:, f])[:-1]) / 2
        for sign in (-1, 1)
    ]
    own = stumps.sign[0] * (X[:, stumps.feature[0]] - stumps.threshold[0]) > 0
    assert np.mean(own != RIGHT) == min(errors)
    error = min(errors)
    np.testing.assert_allclose(  # float32 rounds the sum of 60 weights
        stumps.vote[0], np.log((1 - error) / error), rtol=1e-5
    )


def test_after_a_round_its_stump_is_no_better_than_chance():
    """What AdaBoost's weights are made for: exactly half of the weight is wrong."""
    data = boosting.batch(X, RIGHT, EQUAL)
    stumps = boosting.Boosting(data, 1).stumps(1)
    own = stumps.sign[0] * (X[:, stumps.feature[0]] - stumps.threshold[0]) > 0
    weights = np.where(own == RIGHT, np.exp(-stumps.vote[0]), 1.0)
    wrong = weights[own != RIGHT].sum() / weights.sum()
    np.testing.assert_allclose(wrong, 0.5, rtol=1e-5)  # float32


def test_places_without_weight_change_nothing():
    more = np.concatenate([X, 9 * np.ones((7, 5), np.float32)])
    weights = np.concatenate([EQUAL, np.zeros(7, np.float32)])
    right = np.concatenate([RIGHT, np.zeros(7, bool)])
    one = boosting.Boosting(boosting.batch(X, RIGHT, EQUAL), 5).stumps(5)
    other = boosting.Boosting(boosting.batch(more, right, weights), 5).stumps(5)
    np.testing.assert_array_equal(one.feature, other.feature)
    says = [boosting.votes(s, X[:, s.feature]) > 0 for s in (one, other)]
    np.testing.assert_array_equal(*says)


def test_further_rounds_go_on_from_those_that_are_made():
    data = boosting.batch(X, RIGHT, EQUAL)
    one = boosting.Boosting(data, 8)
    pieces = [one.stumps(count) for count in (3, 8, 5)]
    whole = boosting.Boosting(data, 8).stumps(8)
    for piece, count in zip(pieces, (3, 8, 5), strict=True):
        for made, asked in zip(piece, whole, strict=True):
            np.testing.assert_array_equal(made, asked[:count])


def test_boosting_is_resumed_bit_for_bit(tmp_path):
    data = boosting.batch(X, RIGHT, EQUAL)
    assert_resumes(boosting.system(60, 6), feed.whole, data, 0.0, tmp_path, 6)
