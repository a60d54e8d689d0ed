"""Numbers read off a per-layer profile: ratio, slope, and where the signal is lost."""

from typing import Any, NamedTuple

import numpy as np

EPSILON = float(np.finfo(np.float32).eps)  # what float32 resolves beside 1
SURVIVES = 3.0  # decades between first and last gradient: a factor of 1,000
LOST = 0.05  # the share of starts without a gradient that a mean may leave out


class SeedMean(NamedTuple):
    """A mean over seeds and its standard error; nan where there is nothing to average."""

    mean: float
    error: float


def resolved(value: float, scale: float = 1.0) -> float:
    """The value, or 0 where float32 does not tell it from 0 beside numbers of this scale.

    What is left of 0 is rounding, and no two processors round alike.

    >>> resolved(-2.4e-17), resolved(1e-6), resolved(1e-6, scale=64)
    (0.0, 1e-06, 0.0)
    """
    return 0.0 if abs(value) < EPSILON * scale else float(value)


def over_seeds(values: np.ndarray, scale: float = 0.0) -> SeedMean:
    """The mean of values [seeds] and its standard error (nan for one seed).

    Both are `resolved`, at the scale of the values, or at that of what they are
    differences of, where it is larger.

    >>> over_seeds(np.array([1.0, 3.0]))
    SeedMean(mean=2.0, error=1.0)
    """
    values = np.asarray(values, np.float64)
    if values.size == 0:
        return SeedMean(np.nan, np.nan)
    error = np.std(values, ddof=1) / np.sqrt(values.size) if values.size > 1 else np.nan
    scale = max(scale, float(np.max(np.abs(values))))
    mean = float(np.mean(values))
    return SeedMean(resolved(mean, scale), resolved(float(error), scale))


def finite_mean(values: Any) -> float | None:
    """The mean of values that are finite; None where more than LOST of them are not.

    The logarithm of a gradient that is exactly 0 is −∞. One such start among hundreds
    says nothing of the others, and is left out; where more are lost, as one of three
    seeds, the mean of those that are left would be of better nets than were drawn.

    >>> finite_mean([1.0, 3.0]), finite_mean([1.0, 3.0, -np.inf])
    (2.0, None)
    >>> finite_mean([2.0] * 199 + [-np.inf])
    2.0
    """
    values = np.asarray(values)
    known = values[np.isfinite(values)]
    if not known.size or values.size - known.size > LOST * values.size:
        return None
    return float(np.mean(known, dtype=np.float64))


def ratio(log10_gradient: Any) -> np.ndarray:
    """log10 of the first state's gradient norm over the last's: [seeds].

    log10_gradient: [seeds, states]. Negative where the gradient vanishes on its way to
    the input, positive where it explodes; nan where both are 0.

    >>> ratio(np.array([[-6.0, -3.0, 0.0]])).tolist()
    [-6.0]
    """
    with np.errstate(invalid="ignore"):
        return log10_gradient[:, 0] - log10_gradient[:, -1]


def verdict(log10_ratio: float) -> str:
    """ "survives", "vanishes" or "explodes": what `log10_ratio` decades amount to.

    >>> verdict(-2.0), verdict(-4.0), verdict(4.0)
    ('survives', 'vanishes', 'explodes')
    """
    if abs(log10_ratio) <= SURVIVES:
        return "survives"
    return "vanishes" if log10_ratio < 0 else "explodes"


def slope(log10_gradient: Any, edge: int = 0) -> np.ndarray:
    """Decades per layer that the gradient gains towards the input: [seeds].

    log10_gradient: [seeds, states]; the least-squares line over all states but `edge`
    at either end. Negative where the gradient vanishes; theory: ½ log10 χ₁.

    >>> slope(np.array([[-6.0, -3.0, 0.0]])).tolist()
    [-3.0]
    """
    inner = np.asarray(log10_gradient, np.float64)
    inner = inner[:, edge : inner.shape[1] - edge]
    layer = np.arange(inner.shape[1]) - (inner.shape[1] - 1) / 2
    return -(inner @ layer) / np.sum(layer**2)


def lost_at(
    log10_length: np.ndarray, decorrelation: np.ndarray
) -> tuple[int, str] | None:
    """The first state at which inputs cannot be told apart in float32, and how.

    log10_length, decorrelation: [states]. "overflow": the state is not finite; "zero":
    it is exactly zero; "correlated": examples differ by less than rounding. None if
    never. Zeros that a net starts from before it has read anything are no loss.

    >>> lost_at(np.array([0.0, -40.0, -np.inf]), np.ones(3))
    (2, 'zero')
    """
    zero = np.isneginf(log10_length)
    overflow = ~zero & ~np.isfinite(log10_length)
    correlated = decorrelation < EPSILON**2
    begun = 0 if np.all(zero) else int(np.argmin(zero))
    lost = begun + np.flatnonzero((overflow | zero | correlated)[begun:])
    if lost.size == 0:
        return None
    first = int(lost[0])
    how = "overflow" if overflow[first] else "zero" if zero[first] else "correlated"
    return first, how
