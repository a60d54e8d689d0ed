"""How a quantity grows with depth, apart from what it is at any depth."""

import functools
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

STEP = 0.005
EXPONENTS = np.arange(0.02, 3.0, STEP)
# A part this small beside the values may be the solver's rounding, which differs with
# the processor. Rounding stays below 1e-13; a byte in a GiB is still seen.
RESOLUTION = 5e-10


class Growth(NamedTuple):
    """fixed + rate × depth^exponent; the exponent is 0 where nothing grows.

    error: the exponent's standard error, 0 where the fit is exact but for rounding; None
      where there are as many points as numbers fitted.
    constant: all values are one, to RESOLUTION.
    """

    exponent: float
    error: float | None
    fixed: float
    rate: float
    points: int
    constant: bool = False


def growth(
    depths: Sequence[float], values: Sequence[float], noise: float = 0.0
) -> Growth | None:
    """By least squares of relative errors, nothing below 0; None of fewer than three.

    Of exponents that fit alike, the simplest.

    noise: the values' relative deviation, at least: of four that lie on a curve of three
      numbers by luck, what is left says nothing.

    >>> growth([1, 4, 16, 64], [5.0, 7.0, 11.0, 19.0]).exponent
    0.5
    >>> growth([1, 4, 16, 64], [5.0, 5.0, 5.0, 5.0]).constant
    True
    """
    return _fitted(tuple(map(float, depths)), tuple(map(float, values)), float(noise))


@functools.lru_cache(1024)  # a report asks for each fit in several tables and claims
def _fitted(depths: tuple, values: tuple, noise: float) -> Growth | None:
    if len(set(depths)) < 3 or min(values) <= 0:
        return None
    d, v = np.asarray(depths, float), np.asarray(values, float)
    if np.ptp(v) <= RESOLUTION * np.max(v):
        fixed = float(np.median(v))
        return Growth(
            0.0, _flat_error(d, v, 0.0, noise, fixed), fixed, 0.0, len(d), True
        )
    tried = [(*_linear(d**exponent, v), exponent) for exponent in EXPONENTS]
    # What fits as well as the best, but for rounding, is a tie.
    tied = min(tried)[0] + len(d) * RESOLUTION**2
    fits = [fit for fit in tried if fit[0] <= tied]
    squares, fixed, rate, exponent = min(fits, key=lambda fit: _plainness(fit[-1]))
    if rate == 0:
        return Growth(0.0, _flat_error(d, v, squares, noise, fixed), fixed, 0.0, len(d))
    error = _error(d, v, squares, noise, fixed, rate, exponent)
    return Growth(round(float(exponent), 3), error, fixed, rate, len(d))


def _plainness(exponent: float) -> tuple[int, float]:
    """A key that sorts exponents, the simplest first: 1, 2, ½, 1½, ¼ …"""
    fraction = Fraction(float(exponent)).limit_denominator(200)
    return fraction.denominator, float(fraction)


def _linear(powers: np.ndarray, values: np.ndarray) -> tuple[float, float, float]:
    """(sum of squares, fixed, rate) of the best fixed + rate × powers."""
    columns = np.stack([1 / values, powers / values], axis=1)
    coefficients = np.linalg.lstsq(columns, np.ones(len(values)), rcond=None)[0]
    if coefficients[0] < RESOLUTION * np.min(values):
        alone = columns[:, 1]
        coefficients = np.array([0.0, np.sum(alone) / np.sum(alone**2)])
    elif coefficients[1] < 0:
        alone = columns[:, 0]
        coefficients = np.array([np.sum(alone) / np.sum(alone**2), 0.0])
    squares = float(np.sum((columns @ coefficients - 1) ** 2))
    return squares, float(coefficients[0]), float(coefficients[1])


def _flat_error(d, v, squares, noise, fixed) -> float | None:
    """As _error, of what does not grow: fixed × depth^0, whose exponent is then seen."""
    return _error(d, v / fixed, squares, noise, 0.0, 1.0, 0.0)


def _error(d, v, squares, noise, fixed, rate, exponent) -> float | None:
    """From the curvature of the sum of squares, as if errors were normal and alike."""
    powers = d**exponent
    columns = [powers / v, rate * powers * np.log(d) / v]
    if fixed > 0:
        columns.append(1 / v)
    left = len(d) - len(columns)
    if left < 1:
        return None
    slopes = np.stack(columns, axis=1)
    scatter = max(squares / left, noise**2)
    if scatter <= RESOLUTION**2:
        return 0.0
    spread = np.linalg.pinv(slopes.T @ slopes) * scatter
    return max(float(spread[1, 1] ** 0.5), STEP / 12**0.5)  # between two that are tried
