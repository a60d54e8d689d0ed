"""Numbers read off a per-layer profile: ratio, slope, and where the signal is lost."""

from typing import Any, NamedTuple

import numpy as np

from research.lazy import lazily

with lazily():
    import scipy.special as special

EPSILON = float(np.finfo(np.float32).eps)


class Estimate(NamedTuple):
    """A mean over seeds and its standard error; nan where there is nothing to average."""

    mean: float
    error: float


def over_seeds(values: np.ndarray) -> Estimate:
    """The mean of values [seeds] and its standard error (nan for one seed)."""
    values = np.asarray(values, np.float64)
    if values.size == 0:
        return Estimate(np.nan, np.nan)
    error = np.std(values, ddof=1) / np.sqrt(values.size) if values.size > 1 else np.nan
    return Estimate(float(np.mean(values)), float(error))


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % confidence interval of the mean of values [seeds]; nan for one seed.

    Student's t: for few seeds wider than two standard errors.
    """
    mean, error = over_seeds(values)
    half = float(special.stdtrit(max(len(values) - 1, 1), 0.975)) * error
    return mean - half, mean + half


def ratio(log10_gradient: Any) -> np.ndarray:
    """log10 of the first state's gradient norm over the last's: [seeds].

    log10_gradient: [seeds, states]. Negative where the gradient vanishes on its way to
    the input, positive where it explodes.
    """
    return log10_gradient[:, 0] - log10_gradient[:, -1]


def slope(log10_gradient: Any, edge: int = 0) -> np.ndarray:
    """Decades per layer that the gradient gains towards the input: [seeds].

    log10_gradient: [seeds, states]; the least-squares line over all states but `edge`
    at either end. Negative where the gradient vanishes; theory: ½ log10 χ₁.
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
