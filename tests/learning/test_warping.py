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
    each = [
        [sum(by_definition(a[:, [c]], b[:, [c]], band) for c in (0, 1)) for b in others]
        for a in x
    ]
    alone = warping.distances(x, others, band, alone=True)
    np.testing.assert_allclose(alone, each, rtol=1e-10)


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


@pytest.mark.parametrize("alone", [False, True])
def test_each_pair_of_a_set_is_warped_once(alone, monkeypatch):
    """There and back it is as far: tables are those of the transposed."""
    x = np.random.RandomState(0).standard_normal((11, 8, 2))
    monkeypatch.setattr(warping, "PAIRS", 40)  # three rows at once, and then two
    wanted = warping.distances(x, x, 2, alone)
    np.testing.assert_allclose(warping.among(x, 2, alone), wanted, rtol=1e-12)


def bumps(channels):
    """(series [40, 24, channels], their kinds): each channel's bump comes anywhere."""
    random = np.random.RandomState(0)
    x, y = np.zeros((40, 24, channels)), np.arange(40) % 2
    for row, kind in zip(x, y, strict=True):
        for channel in range(channels):
            place = random.randint(0, 20)
            row[place : place + 4, channel] = np.array([1, 1, -1, -1]) * (1 - 2 * kind)
    return x, y


def test_bumps_that_come_early_or_late_need_a_band():
    """Up and down, or down and up, anywhere: places differ more than kinds do."""
    x, y = bumps(1)
    near = warping.fit(x[:30], y[:30], bands=(0.0, 1.0))
    assert near.band == 24
    assert np.mean(near.predict(x[30:]) == y[30:]) == 1


def test_channels_that_come_late_by_themselves_are_warped_alone():
    x, y = bumps(3)
    near = warping.fit(x[:12], y[:12])
    assert near.alone and np.mean(near.predict(x[12:]) == y[12:]) == 1
    assert not warping.fit(*bumps(1)).alone  # one channel is no less together


def test_what_takes_too_long_is_not_tried(monkeypatch):
    monkeypatch.setattr(warping, "MOST", 0)
    near = warping.fit(*bumps(3))
    assert near.band == 0
