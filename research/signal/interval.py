"""Confidence intervals of what was measured a few times: of a mean, and of a share.

Of a mean, Student's. Of a share, which lies in [0, 1] and so must its interval, Wilson's
(1927, J. Am. Stat. Assoc. 22, p. 209): the shares that a sample of `n` does not exclude.
"""

import math
from typing import NamedTuple

from depthbench.research.lazy import lazily

with lazily():
    import scipy.special as special

LEVEL = 0.95
ROUNDING = 1e-9  # an error of a share below this is what rounding leaves of 0


class Interval(NamedTuple):
    """The ends of an interval; nan where there is none, as of one seed."""

    low: float
    high: float


def quantile(n: int, level: float = LEVEL) -> float:
    """How many standard errors of `n` draws lie on either side; nan of one draw.

    Student's (1908): for few draws more than the normal distribution's 1.96.

    >>> round(quantile(3), 2), round(quantile(1000), 2)
    (4.3, 1.96)
    """
    return float(special.stdtrit(n - 1, (1 + level) / 2)) if n > 1 else math.nan


def of_few(share: float, count: int) -> float:
    """The standard error of a share of so many, above 0 where the share is 0 or 1 too.

    As of two more, of which one is right: Laplace's rule of succession.

    >>> round(of_few(0.5, 98), 3), round(of_few(1.0, 98), 3)
    (0.05, 0.01)
    """
    more = (share * count + 1) / (count + 2)
    return math.sqrt(more * (1 - more) / (count + 2))


def student(mean: float, error: float, n: int, level: float = LEVEL) -> Interval:
    """Of a mean of `n` draws and its standard error.

    >>> student(2.0, 0.0, 3)
    Interval(low=2.0, high=2.0)
    """
    half = quantile(n, level) * error
    return Interval(mean - half, mean + half)


def wilson(share: float, n: float, quantile: float) -> Interval:
    """Of a share of `n` draws: what is within `quantile` of its own standard errors.

    The roots p of (share - p)² = quantile² p (1 - p) / n; both in [0, 1], `share` between.

    >>> low, high = wilson(1.0, 3, 1.96)
    >>> round(low, 2), high
    (0.44, 1.0)
    """
    z2 = quantile**2 / n
    half = math.sqrt(z2 * share * (1 - share) + z2**2 / 4)
    low, high = ((share + z2 / 2 + side * half) / (1 + z2) for side in (-1, 1))
    # Rounding must not put an end on the wrong side of the share, or outside.
    return Interval(max(min(low, share), 0.0), min(max(high, share), 1.0))


def of_share(
    mean: float, error: float, n: int, examples: int = 1, level: float = LEVEL
) -> Interval:
    """Of a share, from its mean over `n` seeds and the standard error of that.

    Wilson's, of as many draws as would have this standard error, mean (1 - mean) /
    error², and Student's quantile, as there are few seeds. Seeds that agree say nothing
    of how they spread: then of all their draws, `examples` of each.

    >>> low, high = of_share(0.99, 0.01, 3)
    >>> round(low, 3), round(high, 4)
    (0.826, 0.9995)
    """
    if n < 2 or math.isnan(mean):
        return Interval(math.nan, math.nan)
    agree = error < ROUNDING
    draws = n * examples if agree else mean * (1 - mean) / error**2
    return wilson(mean, max(draws, n), quantile(n, level))
