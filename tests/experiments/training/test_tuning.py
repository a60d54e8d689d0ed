"""Places, settings, searches, and what the best of n is expected to be."""

import itertools

import numpy as np
import pytest

from depthbench.experiments.training import tuning as study


def test_the_expected_best_is_the_mean_over_all_draws():
    values = np.array([0.3, 0.1, 0.9, 0.9, 0.5])
    curve = study.expected_best(values)
    for n in range(1, 6):
        draws = [max(draw) for draw in itertools.combinations(values, n)]
        assert curve[n - 1] == pytest.approx(np.mean(draws))
    assert study.needed(curve, 0.9) == 4 and study.needed(curve, 1.0) is None


def test_grids_have_few_values_each_way_and_random_places_all_different_ones():
    searches, side = 5, 3
    grids, random = (
        study.grid_places(searches, side),
        study.random_places(searches, side),
    )
    assert grids.shape == random.shape == (5, 27, 3)
    for places, count in ((grids, side), (random, side**3)):
        assert all(
            len(np.unique(one[:, axis].round(9))) == count
            for one in places
            for axis in range(3)
        )
        assert places.min() >= 0 and places.max() < 1
    # A grid's values are a side apart, whatever it is moved by; no two are moved alike.
    values = np.unique(grids[0][:, 0].round(9))
    np.testing.assert_allclose(np.diff(values), 1 / side)
    assert len(np.unique(grids[:, 0, 0])) == searches


def test_places_spread_over_the_domain_by_logarithms():
    ends = [study.setting_of((at,) * 3) for at in (0.0, 0.5, 1.0)]
    for name in ("learning_rate", "sigma_w2"):
        low, middle, high = (end[name] for end in ends)
        assert (low, high) == pytest.approx(study.DOMAIN[name])
        assert middle == pytest.approx((low * high) ** 0.5)
    assert [end["momentum"] for end in ends] == pytest.approx([0.0, 0.9, 0.99])


def test_a_search_is_judged_by_the_setting_that_validation_chooses():
    valid = np.array([0.1, 0.9, 0.5, 0.2, 0.3, 0.1])
    test = np.array([1.0, 0.7, 0.0, 0.4, 0.6, 1.0])
    np.testing.assert_array_equal(study.best_of(valid, test, 2), [0.7, 0.6])
