"""Intervals against their closed forms, and what an interval of a share must be."""

import math

import numpy as np
import pytest

from depthbench.research.signal import interval

SHARES = (0.0, 1e-9, 1 / 1797, 0.1, 0.5, 0.9, 1 - 1e-9, 1.0)


def test_student_is_the_published_table():
    """Student's t at 95 %, two-sided: of 2, 3, 4, 10 and 30 draws."""
    for n, t in ((2, 12.706), (3, 4.303), (4, 3.182), (10, 2.262), (30, 2.045)):
        assert interval.quantile(n) == pytest.approx(t, abs=5e-4)
        low, high = interval.student(1.0, 0.1, n)
        assert (low, high) == pytest.approx((1 - t * 0.1, 1 + t * 0.1), abs=1e-4)
    assert interval.quantile(3, 0.99) == pytest.approx(9.925, abs=5e-4)
    assert math.isnan(interval.quantile(1))


def test_wilson_is_where_the_share_is_excluded():
    """Each end p is `quantile` standard errors of p away; of 0 and 1 in closed form."""
    for n in (3, 20, 1437.5):
        for share in (0.1, 0.25, 0.5, 0.9):
            for end in interval.wilson(share, n, 1.96):
                errors = abs(share - end) / math.sqrt(end * (1 - end) / n)
                assert errors == pytest.approx(1.96, rel=1e-9)
        assert interval.wilson(0.0, n, 2.0) == (0.0, pytest.approx(4 / (n + 4)))
        assert interval.wilson(1.0, n, 2.0) == (pytest.approx(n / (n + 4)), 1.0)


def test_wilson_of_an_example_in_print():
    """Newcombe 1998, Statistics in Medicine 17, p. 861, table I: 81/263, 15/148, 0/20."""
    printed = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605)}
    printed |= {(0, 20): (0.0, 0.1611), (1, 29): (0.0061, 0.1718)}
    for (count, n), ends in printed.items():
        found = interval.wilson(count / n, n, 1.959964)
        assert found == pytest.approx(ends, abs=5e-5)


@pytest.mark.parametrize("share", SHARES)
def test_an_interval_of_a_share_is_in_0_to_1_and_holds_it(share):
    largest = math.sqrt(share * (1 - share))  # of one draw that is 0 or 1
    for n in (2, 3, 5, 100):
        for error in (0.0, 1e-17, 1e-8, 1e-3 * largest, largest / math.sqrt(n - 1)):
            for examples in (1, 1437):
                low, high = interval.of_share(share, error, n, examples)
                assert 0 <= low <= share <= high <= 1 and low < high, (n, error)
    assert all(map(math.isnan, interval.of_share(share, math.nan, 1, 1437)))
    assert all(map(math.isnan, interval.wilson(share, 3, math.nan)))


def test_far_from_the_ends_it_is_students():
    """And its width is of the order of Student's even where that leaves [0, 1]."""
    for n in (3, 5):
        wide = np.subtract(*interval.student(0.5, 1e-3, n))
        assert np.subtract(*interval.of_share(0.5, 1e-3, n)) == pytest.approx(
            wide, rel=1e-3
        )
        assert (
            interval.student(0.99, 0.01, n).high
            > 1
            > interval.of_share(0.99, 0.01, n).high
        )


def test_seeds_that_agree_are_as_many_draws_as_they_have_examples():
    t = interval.quantile(3)
    assert interval.of_share(1.0, 0.0, 3).low == pytest.approx(3 / (3 + t**2))
    assert interval.of_share(1.0, 0.0, 3, 100).low == pytest.approx(300 / (300 + t**2))
    assert interval.of_share(0.5, 0.0, 3, 100) == interval.wilson(0.5, 300, t)


@pytest.mark.parametrize("n", [3, 10])
def test_it_holds_the_truth_as_often_as_it_says(n):
    """Seeds of 50 draws each, the share itself spreading between seeds or not."""
    random = np.random.default_rng(0)
    for share, spread in ((0.5, 0.0), (0.9, 0.0), (0.8, 0.05)):
        of_seed = np.clip(random.normal(share, spread, (4000, n)), 0, 1)
        seeds = random.binomial(50, of_seed) / 50
        errors = seeds.std(1, ddof=1) / n**0.5
        held = 0
        for mean, error in zip(seeds.mean(1), errors, strict=True):
            low, high = interval.of_share(mean, error, n, 50)
            held += low <= share <= high
        assert 0.93 < held / 4000 <= 0.99, (share, spread, held)
