"""The exponent of what grows beside what is fixed."""

import numpy as np
import pytest

from depthbench.benchmarks.growth import Growth, growth
from depthbench.benchmarks.throughput import show as throughput_report
from depthbench.research.report.rendering import text_of

SQUARES = (9, 16, 36, 64)


def test_growth_finds_the_exponent_beside_what_is_fixed():
    depths = np.array(SQUARES)
    for exponent in (0.5, 1.0, 1.5):
        fit = growth(depths, 7 + 0.3 * depths**exponent)
        assert fit is not None and fit.error is not None
        # Exponents are tried in steps of 0.005.
        assert fit.exponent == pytest.approx(exponent, abs=0.003)
        assert fit.fixed == pytest.approx(7, rel=0.05)
        assert fit.error < 1e-3
    noisy = growth(depths, depths * (1 + 0.05 * np.array([1, -1, 1, -1])))
    assert noisy is not None and noisy.error is not None
    assert abs(noisy.exponent - 1) < 3 * noisy.error
    lucky = growth(depths, 7 + 0.3 * depths, noise=0.05)
    assert lucky is not None and lucky.error is not None
    assert lucky.exponent == 1.0 and 0.1 < lucky.error < 0.5
    assert growth(depths[:2], depths[:2]) is None
    exact = growth(depths[:3], 1.0 + depths[:3])
    assert exact is not None and exact.error is None


CONSTANTS = (1.0, 0.1, 1 / 3, 7.0, 49220 / 2**30, 7521488 / 2**30, 1e-12, 12345.678)


@pytest.mark.parametrize("scale", (1.0, 1e-6, 3.0, 1e9))
@pytest.mark.parametrize("constant", CONSTANTS)
def test_what_is_constant_has_the_exponent_0(constant, scale):
    """And no trace of rounding, which no two processors do alike."""
    value = constant * scale
    for depths in (SQUARES, SQUARES[:3], (8, 20, 56), range(1, 40)):
        fit = growth(depths, [value] * len(depths))
        assert fit == Growth(0.0, 0.0, value, 0.0, len(depths), True)
    for depths in (SQUARES[:1], SQUARES[:2], (9, 9, 16)):
        assert growth(depths, [value] * len(depths)) is None


@pytest.mark.parametrize("constant", CONSTANTS)
def test_a_constant_time_is_no_better_known_than_its_noise_allows(constant):
    noisy = growth(SQUARES, [constant] * 4, 0.5)
    assert noisy is not None and noisy.error is not None
    # A line through four logarithms, each 0.5 off.
    assert noisy.error == pytest.approx(0.5 / (2 * np.std(np.log(SQUARES))))


@pytest.mark.parametrize("constant", CONSTANTS)
def test_what_is_nearly_constant_is_told_from_what_grows_a_little(constant):
    depths = np.array(SQUARES)
    for change in ((1, -1, 1, -1), (0, 0, 0, 1), (3, 2, 1, 0), depths / 64):
        fit = growth(depths, constant * (1 + 1e-13 * np.array(change)))
        assert fit is not None and fit.constant
        assert (fit.exponent, fit.rate, fit.error) == (0, 0, 0)
    little = growth(depths, constant * (1 + 1e-7 * depths))
    assert little is not None and not little.constant
    assert little.exponent == 1 and little.rate == pytest.approx(1e-7 * constant, 1e-3)
    # One byte of a GiB.
    step = growth(depths, 2.0**30 + np.array([0, 0, 0, 1]))
    assert step is not None and not step.constant and step.exponent > 0


NEAR = (
    2.0**30 + np.array([0, 0, 0, 1]),  # one byte of a GiB
    1 + 1e-9 * np.array([0, 1, 2, 4]),
    1 + 2e-9 * np.array(SQUARES) / 64,
    7 + 0.3 * np.array(SQUARES) ** 0.5,
    0.3 * np.array(SQUARES) ** 1.5,
)


@pytest.mark.parametrize("values", NEAR)
def test_rounding_does_not_choose_among_exponents_that_fit_alike(values):
    random = np.random.default_rng(0)
    rounded = 1 + 1e-15 * random.integers(-9, 10, (12, len(values)))
    fits = {growth(SQUARES, values * change).exponent for change in rounded}
    assert len(fits) == 1
    simple = [growth(SQUARES, v).exponent for v in NEAR]
    assert simple == [1, 1, 1, 0.5, 1.5]


def test_an_exponent_has_an_interval_or_is_exact():
    """Never ±0.00."""
    random = np.random.default_rng(0)
    for noise in (0.0, 1e-15, 1e-8, 1e-5, 1e-3, 0.1):
        values = (7 + np.array(SQUARES)) * (1 + noise * random.standard_normal(4))
        fit = growth(SQUARES, values)
        assert fit is not None and fit.error is not None
        shown = text_of(throughput_report._exponent(fit))
        if noise < 1e-12:
            assert fit.error == 0 and shown == "1.00 exactly"
        else:
            exponent, error = map(float, shown.split("±"))
            assert exponent - error < exponent + error


def test_what_falls_does_not_grow():
    for values in ([4.0, 3.0, 2.0, 1.5], [4.0, 3.0, 3.0]):
        falls = growth(SQUARES[: len(values)], values)
        assert falls is not None and falls.error is not None
        assert (falls.exponent, falls.rate, falls.constant) == (0, 0, False)
        assert falls.error > 0.05


def test_a_power_alone_has_nothing_fixed():
    depths = np.array(SQUARES)
    for rate in CONSTANTS:
        for exponent in (0.5, 1.0, 1.5):
            fit = growth(depths, rate * depths**exponent)
            assert fit is not None
            assert (fit.fixed, fit.exponent) == (0, exponent)


def test_a_table_says_constant_of_what_is():
    def exponent(values):
        return throughput_report._exponent(growth(SQUARES[: len(values)], values))

    assert exponent([0.3] * 4) == exponent([0.7] * 3) == "constant"
    assert exponent([0.3] * 2) == "-"
    assert exponent([1.0, 2.0, 4.0]) != "constant"
