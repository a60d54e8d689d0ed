"""Ratings: two players exactly, three against scikit-learn's logistic regression."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from depthbench.research.learning import elo


def test_two_players_are_apart_by_the_log_of_their_points():
    for won, lost in ((3, 1), (10, 30), (5, 5)):
        points = np.array([[0, lost], [won, 0]])
        apart = elo.ratings(points, prior=0.0)[1]
        # To what BFGS leaves of a gradient, 1e-5 of a game.
        assert apart == pytest.approx(400 * np.log10(won / lost), abs=0.01)


def test_three_players_are_a_logistic_regression():
    """Each game is an example: +1 of the winner and −1 of the loser tell who won."""
    points = np.array([[0, 40, 70], [20, 0, 35], [10, 25, 0]], float)
    x, weight = [], []
    for one in range(3):
        for other in range(3):
            if one != other:
                row = np.zeros(3)
                row[one], row[other] = 1.0, -1.0
                x.append(row)
                weight.append(points[one, other])
    x, weight = np.array(x), np.array(weight)
    both, labels = np.concatenate([x, -x]), np.repeat([1, 0], len(x))
    fit = LogisticRegression(C=1e9, fit_intercept=False, tol=1e-10)
    fit.fit(both, labels, sample_weight=np.tile(weight, 2))
    theirs = (fit.coef_[0] - fit.coef_[0][0]) * elo.SCALE
    np.testing.assert_allclose(elo.ratings(points, prior=0.0), theirs, atol=0.1)


def test_one_who_won_all_has_a_rating():
    """As of one more game, which was drawn."""
    rated = elo.ratings(np.array([[0, 0], [9.0, 0]]), prior=1.0)[1]
    assert rated == pytest.approx(400 * np.log10(9.5 / 0.5), abs=0.01)


def test_players_that_never_met_are_compared_by_a_third():
    """1 is 200 above 0 and 2 is 200 above 1: 400 in all."""
    share = 1 / (1 + 10**-0.5)
    points = np.zeros((3, 3))
    points[1, 0] = points[2, 1] = 100 * share
    points[0, 1] = points[1, 2] = 100 * (1 - share)
    rated = elo.ratings(points, prior=0.0)
    np.testing.assert_allclose(rated, [0, 200, 400], atol=0.1)
