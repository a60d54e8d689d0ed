"""Exponents of learning curves, against laws that are known."""

import numpy as np
import pytest

from depthbench.research.learning import power_law

SIZES = [90, 180, 360, 720, 1440]


def law(exponent, noise=0.0, seeds=200):
    random = np.random.default_rng(0)
    errors = 3.0 * np.array(SIZES, float)[:, None] ** exponent
    return errors * np.exp(noise * random.standard_normal((len(SIZES), seeds)))


def test_exponents_are_those_of_the_law():
    np.testing.assert_allclose(power_law.exponents(SIZES, law(-0.6)), -0.6)
    each = power_law.exponents(SIZES, law(-0.6, 0.2))
    x = np.log(SIZES) - np.mean(np.log(SIZES))
    # Least squares: the variance of a slope is that of a point over Σ x². Of 200 seeds
    # the standard error of a deviation is 5 %, that of the mean .009.
    assert np.std(each) == pytest.approx(0.2 / np.sqrt(x @ x), rel=0.2)
    assert np.mean(each) == pytest.approx(-0.6, abs=0.036)


def test_the_fit_goes_through_the_mean():
    errors = law(-0.6)
    np.testing.assert_allclose(power_law.line(SIZES, errors), errors[:, 0])


def test_no_error_at_all_is_the_least_there_is():
    assert np.isfinite(power_law.exponents(SIZES, np.zeros((5, 2)))).all()


def test_a_law_holds_from_where_it_begins():
    errors = law(-0.6, 0.02)
    errors[0] *= 0.5  # a plateau at chance, say
    assert power_law.straight_from(SIZES, errors) == 180
    bent = np.exp(-(np.log(np.array(SIZES)) ** 3)[:, None] / 40 + 0 * errors)
    bent = bent * np.array([0.999, 1.001] * 100)
    assert power_law.straight_from(SIZES, np.maximum(bent, 1e-3)) is None
