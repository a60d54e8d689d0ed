"""Where the lengths of a random network's layers go, in the papers' symbols.

Source: Poole et al. 2016, arXiv:1606.05340 (the length map).
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from depthbench.research.lazy import lazily
from depthbench.research.theory.activation import Activation
from depthbench.research.theory.panels import Unresolved
from depthbench.research.theory.quadrature import HUGE, TINY, moments, tabulated

with lazily():
    import scipy.optimize as optimize

NOISE = 1e-12  # ln V(q) / q below this has no sign


def root_of(f: Callable, ends: tuple[Any, Any]) -> float:
    """Where f changes sign between the ends, to double precision.

    >>> round(root_of(lambda x: x * x - 2, (0.0, 2.0)), 12)
    1.414213562373
    """
    return float(optimize.brentq(f, *sorted(ends), xtol=1e-14))  # pyright: ignore


def check(sigma_w2: float, sigma_b2: float) -> None:
    """Raises ValueError for variances that no layer has.

    >>> check(1.0, -0.5)
    Traceback (most recent call last):
    ValueError: sigma_w2 must be positive, sigma_b2 not negative: got sigma_w2 = 1.0 \
and sigma_b2 = -0.5
    """
    if not (0 < sigma_w2 < math.inf and 0 <= sigma_b2 < math.inf):
        got = f"sigma_w2 = {sigma_w2} and sigma_b2 = {sigma_b2}"
        raise ValueError(f"sigma_w2 must be positive, sigma_b2 not negative: got {got}")


def length_map(activation: Activation, sigma_w2: float, sigma_b2: float, q: Any) -> Any:
    """V(q) = sigma_w2 E[φ(√q z)²] + sigma_b2 [as q]: the next layer's length.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> round(float(length_map(ACTIVATIONS["linear"], 1.5, 0.25, 2.0)), 12)
    3.25
    """
    return sigma_w2 * moments(activation, q).phi2 + sigma_b2


class FixedPoint(NamedTuple):
    """Where the lengths go, from a unit input.

    q_star: the limit: 0 where lengths vanish, inf where they grow for ever; 1, which
        stands for any, where every length is kept: a unit input of a ReLU net keeps 2.
    slope, chi_1: dV/dq and χ₁ at q_star, or their limits along the way.
    kind: "finite", "zero", "infinite", "every length", "oscillating" or "unresolved".
    converged: the slope and χ₁ have finite limits. reason: why not, or a remark.
    """

    q_star: float
    slope: float
    chi_1: float
    kind: str
    converged: bool
    reason: str

    @property
    def q(self) -> float:
        """A length that stands for q_star in double precision, even if 0 or inf."""
        return min(max(self.q_star, TINY), HUGE)


def _path(
    activation: Activation, sigma_w2: float, sigma_b2: float, start: float, up: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Ln q [points] from the start to HUGE or TINY, and ln V(q) / q there."""
    end = math.log(HUGE if up else TINY)
    path = np.linspace(start, end, int(abs(end - start) / 0.04) + 2)
    ln_b2 = math.log(sigma_b2) if sigma_b2 > 0 else -np.inf
    path = path[np.isfinite(tabulated(activation).ln_phi2(path))]
    ln_v = np.logaddexp(math.log(sigma_w2) + tabulated(activation).ln_phi2(path), ln_b2)
    ratio = ln_v - path
    # Where V nearly touches q the table is too coarse to tell how often it does.
    close = np.flatnonzero(np.abs(ratio) < 1e-7)
    if 0 < close.size < 25:
        low, high = max(close[0] - 1, 0), min(close[-1] + 1, path.size - 1)
        fine = np.linspace(path[low], path[high], 300)
        path = np.concatenate([path[:low], fine, path[high + 1 :]])
        exact = np.log(length_map(activation, sigma_w2, sigma_b2, np.exp(fine))) - fine
        ratio = np.concatenate([ratio[:low], exact, ratio[high + 1 :]])
    return path, ratio


def _first_root(activation: Activation, sigma_w2: float, sigma_b2: float) -> float:
    """Ln q of the first V(q) = q that iteration meets; ±inf for none, nan for all.

    V increases for every catalogue activation, so the iterates move one way and stop
    at the first root on that side, which may be one that V only touches.
    Raises Unresolved where φ oscillates too fast on the way.
    """

    def ratio(ln_q: float) -> float:
        v = length_map(activation, sigma_w2, sigma_b2, math.exp(ln_q))
        return math.log(v) - ln_q

    def tilt(ln_q: float) -> float:  # the derivative of ratio
        at = moments(activation, math.exp(ln_q))
        v = sigma_w2 * float(at.phi2) + sigma_b2
        return sigma_w2 * float(at.curvature) * math.exp(ln_q) / v - 1

    start = math.log(sigma_w2 + sigma_b2)
    if math.isnan(ratio(start)):
        raise Unresolved(f"φ oscillates too fast at q = {math.exp(start):.6g}")
    up = ratio(start) > 0
    path, side = _path(activation, sigma_w2, sigma_b2, start, up)
    side = side if up else -side  # positive until a root is passed
    clear = np.flatnonzero(np.abs(side) > NOISE)
    if clear.size == 0:
        return math.nan
    if abs(ratio(start)) < 1e-15:
        return float(start)
    side = side[: clear[-1] + 1]  # what follows tends to V = q but does not reach it
    passed = np.flatnonzero(side < -NOISE)
    last = passed[0] if passed.size else side.size - 1
    fall, rise = side[:-2] - side[1:-1], side[2:] - side[1:-1]
    dips = (fall >= 0) & (rise >= 0) & (fall + rise > NOISE) & (side[1:-1] < 0.01)
    for i in np.flatnonzero(dips[: max(last - 1, 0)]) + 1:
        if tilt(path[i - 1]) * tilt(path[i + 1]) < 0:
            touch = root_of(tilt, (path[i - 1], path[i + 1]))
            depth = ratio(touch) if up else -ratio(touch)
            if abs(depth) < NOISE:
                return touch
            if depth < 0:
                return root_of(ratio, (path[i - 1], touch))
    if passed.size == 0:
        if TINY * 2 < math.exp(path[-1]) < HUGE / 2:
            raise Unresolved(
                f"φ oscillates too fast beyond q = {math.exp(path[-1]):.2g}"
            )
        return math.inf if up else -math.inf
    before = np.flatnonzero(side[:last] > NOISE)
    return root_of(ratio, (path[before[-1]] if before.size else start, path[last]))


@functools.lru_cache(4096)
def fixed_point(
    activation: Activation, sigma_w2: float, sigma_b2: float = 0.0
) -> FixedPoint:
    """The attracting q* = V(q*) that a unit input, q = sigma_w2 + sigma_b2, reaches.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> fixed = fixed_point(ACTIVATIONS["relu"], 1.0)
    >>> fixed.q_star, round(fixed.chi_1, 9), fixed.kind
    (0.0, 0.5, 'zero')
    """
    check(sigma_w2, sigma_b2)
    try:
        ln_q = _first_root(activation, sigma_w2, sigma_b2)
    except Unresolved as problem:
        return FixedPoint(
            math.nan, math.nan, math.nan, "unresolved", False, str(problem)
        )
    q_star, kind, reason = 1.0, "every length", "every length is kept"
    if ln_q == math.inf:
        q_star, kind, reason = math.inf, "infinite", "lengths grow without bound"
    elif ln_q == -math.inf:
        q_star, kind, reason = 0.0, "zero", "lengths shrink to zero"
    elif not math.isnan(ln_q):
        q_star, kind, reason = math.exp(ln_q), "finite", ""
    at = moments(activation, q_star)
    slope, chi = float(sigma_w2 * at.curvature), float(sigma_w2 * at.dphi2)
    parts = sigma_w2 * math.sqrt(at.phi2 * at.dphi2 / max(q_star, TINY))
    if abs(slope) < 100 * NOISE * parts:  # what is left of φφ′z, whose parts cancel
        slope = 0.0
    converged = True
    ln_dphi2 = tabulated(activation).ln_dphi2(np.log([TINY, 2 * TINY, HUGE / 2, HUGE]))
    low, high = ln_dphi2[1] - ln_dphi2[0], ln_dphi2[3] - ln_dphi2[2]
    if (kind == "infinite" and high > 1e-6) or (kind == "zero" and low < -1e-6):
        slope = chi = math.inf
        converged, reason = False, f"{reason}, and chi_1 with them"
    if kind == "finite" and slope < -1:
        kind, converged, reason = "oscillating", False, "lengths jump around q_star"
    return FixedPoint(q_star, slope, chi, kind, converged, reason)
