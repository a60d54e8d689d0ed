"""Dynamic time warping against its definition, step by step."""

import itertools

import numpy as np
import pytest

from depthbench.research.learning import warping


def by_definition(a, b, band):
    """The least sum over all ways through the table, without a table."""

    def least(i, j):
        if abs(i - j) > band or min(i, j) < 0:
            return np.inf
        apart = float(np.sum((a[i] - b[j]) ** 2))
        if i == j == 0:
            return apart
        return apart + min(least(i - 1, j), least(i, j - 1), least(i - 1, j - 1))

    return least(len(a) - 1, len(b) - 1)


@pytest.mark.parametrize("band", [0, 1, 3, 6])
def test_distances_are_those_of_the_definition(band):
    random = np.random.RandomState(band)
    x, others = random.standard_normal((3, 6, 2)), random.standard_normal((4, 6, 2))
    wanted = [[by_definition(a, b, band) for b in others] for a in x]
    # Squares are got from products: rounding of sums of squares near 10.
    np.testing.assert_allclose(warping.distances(x, others, band), wanted, rtol=1e-10)


def test_a_wider_band_is_never_further():
    x = np.random.RandomState(0).standard_normal((12, 20, 1))
    by_band = [warping.distances(x, x, band) for band in (0, 2, 5, 20)]
    for narrow, wide in itertools.pairwise(by_band):
        assert np.all(wide <= narrow + 1e-9)
    np.testing.assert_allclose(np.diag(by_band[-1]), 0, atol=1e-9)


def test_blocks_of_pairs_change_nothing(monkeypatch):
    x = np.random.RandomState(0).standard_normal((9, 8, 1))
    whole = warping.distances(x, x, 2)
    monkeypatch.setattr(warping, "PAIRS", 20)
    np.testing.assert_array_equal(warping.distances(x, x, 2), whole)


def test_bumps_that_come_early_or_late_need_a_band():
    """Up and down, or down and up, anywhere: places differ more than kinds do."""
    random = np.random.RandomState(0)
    x, y = np.zeros((40, 24, 1)), np.arange(40) % 2
    for row, kind in zip(x, y, strict=True):
        place = random.randint(0, 20)
        row[place : place + 4, 0] = np.array([1, 1, -1, -1]) * (1 - 2 * kind)
    near = warping.fit(x[:30], y[:30], bands=(0.0, 1.0))
    assert near.band == 24
    assert np.mean(near.predict(x[30:]) == y[30:]) == 1
