"""Infinite-width theory of a random network, in the papers' symbols.

A layer is h′ = W φ(h) + b, with W_ij ~ N(0, sigma_w2 / width), b_i ~ N(0, sigma_b2).
q is the length E[h_i²]; c the correlation of two inputs' h; χ₁ the factor by which
the squared gradient changes per layer.

Sources: Poole et al. 2016, arXiv:1606.05340 (length and correlation maps, χ₁, the
phases); Schoenholz et al. 2017, arXiv:1611.01232 (ξ_q, ξ_c, and 6 ξ_c layers that
train); Yang et al. 2019, arXiv:1902.08129 (batch normalisation).
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq

from research.theory.activation import Activation
from research.theory.quadrature import HUGE, TINY, Moments, moments, pair, tabulated

MARGINAL = 1e-9  # a rate this near 1 counts as 1; the quadrature is good to 1e-12
NOISE = 1e-12  # ln V(q) / q below this has no sign


def _root(f: Callable, ends: tuple[Any, Any]) -> float:
    """Where f changes sign between the ends, to double precision."""
    return float(brentq(f, *sorted(ends), xtol=1e-14))  # pyright: ignore


def _check(sigma_w2: float, sigma_b2: float) -> None:
    if not (0 < sigma_w2 < math.inf and 0 <= sigma_b2 < math.inf):
        got = f"sigma_w2 = {sigma_w2} and sigma_b2 = {sigma_b2}"
        raise ValueError(f"sigma_w2 must be positive, sigma_b2 not negative: got {got}")


def length_map(activation: Activation, sigma_w2: float, sigma_b2: float, q: Any) -> Any:
    """V(q) = sigma_w2 E[φ(√q z)²] + sigma_b2 [as q]: the next layer's length."""
    return sigma_w2 * moments(activation, q).phi2 + sigma_b2


def chi_1(activation: Activation, sigma_w2: float, q: Any) -> Any:
    """χ₁ = sigma_w2 E[φ′(√q z)²] [as q]."""
    return sigma_w2 * moments(activation, q).dphi2


class FixedPoint(NamedTuple):
    """Where the lengths go, from a unit input.

    q_star: the limit: 0 where lengths vanish, inf where they grow for ever, and 1,
        the input's own, where every length is kept.
    slope, chi_1: dV/dq and χ₁ at q_star, or their limits along the way.
    kind: "finite", "zero", "infinite", "every length" or "oscillating".
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
    """

    def ratio(ln_q: float) -> float:
        v = length_map(activation, sigma_w2, sigma_b2, math.exp(ln_q))
        return math.log(v) - ln_q

    def tilt(ln_q: float) -> float:  # the derivative of ratio
        at = moments(activation, math.exp(ln_q))
        v = sigma_w2 * float(at.phi2) + sigma_b2
        return sigma_w2 * float(at.curvature) * math.exp(ln_q) / v - 1

    start = math.log(sigma_w2 + sigma_b2)
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
            touch = _root(tilt, (path[i - 1], path[i + 1]))
            depth = ratio(touch) if up else -ratio(touch)
            if abs(depth) < NOISE:
                return touch
            if depth < 0:
                return _root(ratio, (path[i - 1], touch))
    if passed.size == 0:
        return math.inf if up else -math.inf
    before = np.flatnonzero(side[:last] > NOISE)
    return _root(ratio, (path[before[-1]] if before.size else start, path[last]))


@functools.lru_cache(4096)
def fixed_point(
    activation: Activation, sigma_w2: float, sigma_b2: float = 0.0
) -> FixedPoint:
    """The attracting q* = V(q*) that a unit input, q = sigma_w2 + sigma_b2, reaches."""
    _check(sigma_w2, sigma_b2)
    ln_q = _first_root(activation, sigma_w2, sigma_b2)
    q_star, kind, reason = 1.0, "every length", "every length is kept"
    if ln_q == math.inf:
        q_star, kind, reason = math.inf, "infinite", "lengths grow without bound"
    elif ln_q == -math.inf:
        q_star, kind, reason = 0.0, "zero", "lengths shrink to zero"
    elif not math.isnan(ln_q):
        q_star, kind, reason = math.exp(ln_q), "finite", ""
    at = moments(activation, q_star)
    slope, chi = float(sigma_w2 * at.curvature), float(sigma_w2 * at.dphi2)
    converged = True
    ln_dphi2 = tabulated(activation).ln_dphi2(np.log([TINY, 2 * TINY, HUGE / 2, HUGE]))
    low, high = ln_dphi2[1] - ln_dphi2[0], ln_dphi2[3] - ln_dphi2[2]
    if (kind == "infinite" and high > 1e-6) or (kind == "zero" and low < -1e-6):
        slope = chi = math.inf
        converged, reason = False, f"{reason}, and chi_1 with them"
    if kind == "finite" and slope < -1:
        kind, converged, reason = "oscillating", False, "lengths jump around q_star"
    return FixedPoint(q_star, slope, chi, kind, converged, reason)


def correlation_map(
    activation: Activation, sigma_w2: float, sigma_b2: float, q: float, c: Any
) -> np.ndarray:
    """The next layer's correlation [as c], of inputs of length q, c in [0, 1].

    It is (sigma_w2 E[φ(u)φ(v)] + sigma_b2) / V(q): at q* the map of Poole et al.
    """
    c = np.asarray(c, np.float64)
    v = float(length_map(activation, sigma_w2, sigma_b2, q))
    lost = [sigma_w2 * pair(activation, q, 1 - one) / v for one in c.ravel()]
    return 1 - np.reshape(lost, c.shape)


def chi_c(activation: Activation, sigma_w2: float, q: float, c: Any) -> np.ndarray:
    """χ_c = sigma_w2 E[φ′(u)φ′(v)] [as c]: the c map's slope at q*, c in [0, 1]."""
    c = np.asarray(c, np.float64)
    rates = [sigma_w2 * pair(activation, q, 1 - one, order=1) for one in c.ravel()]
    return np.reshape(rates, c.shape)


class Correlation(NamedTuple):
    """The stable fixed point of the correlation map, and χ_c there."""

    c_star: float
    gap: float  # 1 - c_star, to full precision
    chi_c: float


@functools.lru_cache(4096)
def correlation_fixed_point(
    activation: Activation, sigma_w2: float, sigma_b2: float = 0.0
) -> Correlation:
    """c*: 1 where nearby inputs converge, else the root below 1, at the lengths' limit.

    Where lengths vanish or grow for ever the map is that of φ's ends, which have no
    scale; for a linear map, which keeps every c, it is 1. nan without a finite χ₁.
    """
    fixed = fixed_point(activation, sigma_w2, sigma_b2)
    if not fixed.converged:
        return Correlation(math.nan, math.nan, math.nan)
    v = float(length_map(activation, sigma_w2, sigma_b2, fixed.q))
    slope = fixed.chi_1 * fixed.q / v
    if slope <= 1 + MARGINAL:
        return Correlation(1.0, 0.0, fixed.chi_1)

    def spread(root: float) -> float:
        # (1 - c′) / (1 - c) - 1 falls from slope - 1 at c = 1, as the map is convex;
        # in √(1-c) it is smooth for kinked φ as well.
        if root == 0:
            return slope - 1
        return sigma_w2 * pair(activation, fixed.q, root**2) / (v * root**2) - 1

    gap = 1.0
    if spread(1.0) < -NOISE:  # else c = 0 is kept: φ is odd and there is no bias
        gap = _root(spread, (0.0, 1.0)) ** 2
    rate = sigma_w2 * pair(activation, fixed.q, gap, order=1)
    return Correlation(1 - gap, gap, rate)


def depth_scale(rate: float) -> float:
    """ξ = 1 / |ln rate|, the layers in which a difference changes e-fold; inf at 1."""
    rate = abs(rate)
    if rate == 0 or rate == math.inf:
        return 0.0
    return math.inf if abs(rate - 1) <= MARGINAL else 1 / abs(math.log(rate))


class DepthScales(NamedTuple):
    """ξ_q of lengths, ξ_c of correlations and gradients, and 6 ξ_c layers."""

    xi_q: float
    xi_c: float
    trainable_depth: float


def depth_scales(
    activation: Activation, sigma_w2: float, sigma_b2: float = 0.0
) -> DepthScales:
    """ξ_q = -1 / ln V′(q*) and ξ_c = -1 / ln χ_c*; nan without a finite χ₁.

    Where lengths grow for ever the rates may exceed 1: then e-fold growth is meant.
    """
    fixed = fixed_point(activation, sigma_w2, sigma_b2)
    if not fixed.converged:
        return DepthScales(math.nan, math.nan, math.nan)
    xi_c = depth_scale(correlation_fixed_point(activation, sigma_w2, sigma_b2).chi_c)
    return DepthScales(depth_scale(fixed.slope), xi_c, 6 * xi_c)


def phase(activation: Activation, sigma_w2: float, sigma_b2: float = 0.0) -> str:
    """ "ordered", "critical" or "chaotic" by χ₁, or "no fixed point"."""
    fixed = fixed_point(activation, sigma_w2, sigma_b2)
    if fixed.kind in ("infinite", "oscillating"):
        return "no fixed point"
    if abs(fixed.chi_1 - 1) <= MARGINAL:
        return "critical"
    return "ordered" if fixed.chi_1 < 1 else "chaotic"


class CriticalLine(NamedTuple):
    """Where χ₁ = 1 at V(q) = q, each [as q]; slope is dV/dq, above 1 if unstable.

    sigma_b2 below 0 means that no bias gives this q.
    """

    sigma_w2: np.ndarray
    sigma_b2: np.ndarray
    slope: np.ndarray


def critical_line(activation: Activation, q: Any) -> CriticalLine:
    """The line of χ₁ = 1, parametrised by the length q."""
    at = moments(activation, q)
    return CriticalLine(1 / at.dphi2, q - at.phi2 / at.dphi2, at.curvature / at.dphi2)


class CriticalPoint(NamedTuple):
    """Variances with χ₁ = 1 at a stable q_star; all nan where exists is False."""

    sigma_w2: float
    sigma_b2: float
    q_star: float
    exists: bool
    reason: str


def _no_point(reason: str) -> CriticalPoint:
    return CriticalPoint(math.nan, math.nan, math.nan, False, reason)


def _scale_free(activation: Activation) -> bool:
    """Whether E[φ²] = q E[φ′²] at every q, as for ReLU: χ₁ = 1 keeps every length."""
    q, at = tabulated(activation).q, tabulated(activation).moments
    return bool((np.abs(at.phi2 / (q * at.dphi2) - 1) < 1e-10).all())


@functools.lru_cache(4096)
def critical_sigma_w2(activation: Activation, sigma_b2: float = 0.0) -> CriticalPoint:
    """The point with this sigma_b2 on the critical line that a unit input reaches."""
    _check(1.0, sigma_b2)
    at, q = tabulated(activation).moments, tabulated(activation).q
    if _scale_free(activation):
        sigma_w2 = float(1 / moments(activation, 1.0).dphi2)
        if sigma_b2 == 0:
            return CriticalPoint(sigma_w2, 0.0, 1.0, True, "every length is kept")
        return _no_point(f"chi_1 = 1 at sigma_w2 = {sigma_w2:.6g}, but lengths grow")

    def missing(ln_q: float) -> float:  # (the line's sigma_b2 - ours) / q
        line = critical_line(activation, math.exp(ln_q))
        return float(line.sigma_b2 - sigma_b2) / math.exp(ln_q)

    grid = 1 - at.phi2 / (q * at.dphi2) - sigma_b2 / q
    clear = np.flatnonzero(np.abs(grid) > 1e-11)
    turns = np.flatnonzero(grid[clear[1:]] * grid[clear[:-1]] < 0)
    brackets = [(math.log(q[clear[i]]), math.log(q[clear[i + 1]])) for i in turns]
    roots = [math.exp(_root(missing, ends)) for ends in brackets]
    roots.sort(key=lambda root: abs(math.log(root)))
    if sigma_b2 == 0:
        roots.append(0.0)  # where lengths may shrink to, as in tanh
    for root in roots:
        dphi2 = max(float(moments(activation, root).dphi2), 1e-12)
        fixed = fixed_point(activation, 1 / dphi2, sigma_b2)
        if fixed.converged and abs(fixed.chi_1 - 1) < 1e-6 and fixed.kind != "infinite":
            return CriticalPoint(1 / dphi2, sigma_b2, fixed.q_star, True, fixed.reason)
    return _no_point("no stable length has chi_1 = 1 at this sigma_b2")


@functools.cache
def critical_point(activation: Activation) -> CriticalPoint:
    """The canonical critical point: stable, bias variance ≥ 0, ln q nearest to 0.

    Half-stable points, where dV/dq is 1 too, are those of Roberts, Yaida & Hanin 2022,
    The Principles of Deep Learning Theory, chapter 5 (GELU, SWISH).
    """

    def allowed(q: Any, at: Moments) -> Any:
        slack = NOISE * q * at.dphi2
        return (q * at.dphi2 - at.phi2 >= -slack) & (at.curvature <= at.dphi2 + slack)

    def allowed_at(ln_q: float) -> bool:
        return bool(allowed(math.exp(ln_q), moments(activation, math.exp(ln_q))))

    q, at = tabulated(activation).q, tabulated(activation).moments
    inside = np.flatnonzero(allowed(q, at) & (q > 1e-12) & (q < 1e8))
    best = 0.0
    if not allowed_at(best):
        if inside.size == 0:
            return _no_point("wherever chi_1 = 1 lengths move away or need a bias < 0")
        ln_q = np.log(q)
        nearest = min(inside, key=lambda i: abs(ln_q[i]))
        best, outside = ln_q[nearest], ln_q[nearest - int(np.sign(ln_q[nearest]))]
        for _ in range(50):
            middle = (best + outside) / 2
            keep = allowed_at(middle)
            best, outside = (middle, outside) if keep else (best, middle)
    q_star = math.exp(best)
    line = critical_line(activation, q_star)
    sigma_w2, sigma_b2 = float(line.sigma_w2), float(line.sigma_b2)
    sigma_b2 = sigma_b2 if sigma_b2 > NOISE * q_star else 0.0
    fixed = fixed_point(activation, sigma_w2, sigma_b2)
    missed = f"half-stable: a unit input goes to q = {fixed.q_star:.4g} instead"
    remark = missed if abs(fixed.chi_1 - 1) > 1e-6 else ""
    return CriticalPoint(sigma_w2, sigma_b2, q_star, True, remark)


class Theory(NamedTuple):
    """What the infinite-width theory says of one network; inf is a value, nan none."""

    q_star: float
    chi_1: float
    c_star: float
    chi_c: float
    xi_q: float
    xi_c: float
    trainable_depth: float
    sigma_w2_critical: float  # at the same sigma_b2; nan where there is none
    phase: str
    converged: bool
    reason: str


def theory(activation: Activation, sigma_w2: float, sigma_b2: float = 0.0) -> Theory:
    """All of the theory at one point; `fixed_point` alone is the cheap part of it."""
    fixed = fixed_point(activation, sigma_w2, sigma_b2)
    correlation = correlation_fixed_point(activation, sigma_w2, sigma_b2)
    critical = critical_sigma_w2(activation, sigma_b2)
    return Theory(
        fixed.q_star,
        fixed.chi_1,
        correlation.c_star,
        correlation.chi_c,
        *depth_scales(activation, sigma_w2, sigma_b2),
        critical.sigma_w2,
        phase(activation, sigma_w2, sigma_b2),
        fixed.converged,
        fixed.reason or ("" if critical.exists else critical.reason),
    )
