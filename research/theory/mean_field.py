"""Infinite-width theory of a random network, in the papers' symbols.

A layer is h′ = W φ(h) + b, with W_ij ~ N(0, sigma_w2 / width), b_i ~ N(0, sigma_b2).
q is the length E[h_i²]; c the correlation of two inputs' h; χ₁ the factor by which
the squared gradient changes per layer.

Sources: Poole et al. 2016, arXiv:1606.05340 (length and correlation maps, χ₁, the
phases); Schoenholz et al. 2017, arXiv:1611.01232 (ξ_q, ξ_c, and 6 ξ_c layers that
train); Yang et al. 2019, arXiv:1902.08129 (batch normalisation).

Of a φ of your own, any function that jax can differentiate: its kinks, where it has some,
are named, and the theory is exact there too.

>>> import jax.numpy as jnp
>>> leaky = Activation("leaky", lambda x: jnp.maximum(x, 0.1 * x), "", kinks=(0.0,))
>>> round(critical_sigma_w2(leaky).sigma_w2, 6)  # 2 / (1 + 0.1²)
1.980198
>>> cubic = Activation("cubic", lambda x: jnp.tanh(x + 0.1 * x**3), "")
>>> found = theory(cubic, sigma_w2=1.2, sigma_b2=0.05)
>>> found.phase, round(found.chi_1, 3), round(found.xi_c, 1)
('ordered', 0.869, 7.1)
"""

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from depthbench.research.theory.activation import Activation
from depthbench.research.theory.lengths import (
    NOISE,
    FixedPoint,
    check,
    fixed_point,
    length_map,
    root_of,
)
from depthbench.research.theory.panels import Unresolved
from depthbench.research.theory.quadrature import Moments, moments, pair, tabulated

MARGINAL = 1e-9  # a rate this near 1 counts as 1; the quadrature is good to 1e-12


def chi_1(activation: Activation, sigma_w2: float, q: Any) -> Any:
    """χ₁ = sigma_w2 E[φ′(√q z)²] [as q].

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> round(float(chi_1(ACTIVATIONS["relu"], 1.5, 2.0)), 12)
    0.75
    """
    return sigma_w2 * moments(activation, q).dphi2


def chi_c(activation: Activation, sigma_w2: float, q: float, c: Any) -> np.ndarray:
    """χ_c = sigma_w2 E[φ′(u)φ′(v)] [as c]: the c map's slope at q*, c in [-1, 1].

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> chi_c(ACTIVATIONS["relu"], 2.0, 1.0, [0.0, 1.0]).round(9).tolist()
    [0.5, 1.0]
    """
    c = np.asarray(c, np.float64)
    rates = [sigma_w2 * pair(activation, q, 1 - one, order=1) for one in c.ravel()]
    return np.reshape(rates, c.shape)


class Correlation(NamedTuple):
    """The stable fixed point of the correlation map, and the map's slope χ_c there."""

    c_star: float
    gap: float  # 1 - c_star, to full precision
    chi_c: float
    reason: str = ""  # why all of them are nan


@functools.lru_cache(4096)
def correlation_fixed_point(
    activation: Activation, sigma_w2: float, sigma_b2: float = 0.0
) -> Correlation:
    """c*: 1 where nearby inputs converge, else the root below 1, at the lengths' limit.

    Where lengths vanish or grow for ever the map is that of φ's ends, which have no
    scale, and its slope is no χ₁: E[φ(u)φ(v)] is divided by a length that changes.
    ReLU's is the arc-cosine kernel, with slope 1 at c = 1, at every sigma_w2. A linear
    map, as of tanh near 0, keeps every c: its c* is 1. nan without a finite χ₁.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> correlation_fixed_point(ACTIVATIONS["relu"], 3.0)[:3]  # χ₁ is 1.5
    (1.0, 0.0, 1.0)
    """
    fixed = fixed_point(activation, sigma_w2, sigma_b2)
    if not fixed.converged:
        return Correlation(math.nan, math.nan, math.nan, fixed.reason)
    try:
        return _correlation(activation, sigma_w2, sigma_b2, fixed)
    except Unresolved as problem:
        return Correlation(math.nan, math.nan, math.nan, str(problem))


def _correlation(
    activation: Activation, sigma_w2: float, sigma_b2: float, fixed: FixedPoint
) -> Correlation:
    v = float(length_map(activation, sigma_w2, sigma_b2, fixed.q))
    # A fixed length is V of itself: only on the way to 0 or ∞ does a layer change it.
    shrunk = fixed.q / v if fixed.kind in ("zero", "infinite") else 1.0
    slope = fixed.chi_1 * fixed.q / v
    if slope <= 1 + MARGINAL:
        rate = fixed.chi_1 * shrunk
        # Corrections are √1e-30 at these lengths; the limit of a linear map is 1.
        settled = shrunk != 1.0 and abs(rate - 1) < NOISE
        return Correlation(1.0, 0.0, 1.0 if settled else rate)

    def spread(root: float) -> float:
        # (1 - c′) / (1 - c) - 1 falls from slope - 1 at c = 1, as the map is convex;
        # in √(1-c) it is smooth for kinked φ as well.
        if root == 0:
            return slope - 1
        return sigma_w2 * pair(activation, fixed.q, root**2) / (v * root**2) - 1

    gap = 1.0
    if spread(1.0) < -NOISE:  # else c = 0 is kept: φ is odd and there is no bias
        gap = root_of(spread, (0.0, 1.0)) ** 2
    rate = sigma_w2 * pair(activation, fixed.q, gap, order=1) * shrunk
    if rate < NOISE**2 * fixed.chi_1:  # squares of what is left of E[φ′ | z]
        rate = 0.0
    return Correlation(1 - gap, gap, rate)


def depth_scale(rate: float) -> float:
    """ξ = 1 / |ln rate|, the layers in which a difference changes e-fold; inf at 1.

    >>> depth_scale(1.0), round(depth_scale(0.5), 6)
    (inf, 1.442695)
    """
    rate = abs(rate)
    if rate == 0 or rate == math.inf:
        return 0.0
    return math.inf if abs(rate - 1) <= MARGINAL else 1 / abs(math.log(rate))


class DepthScales(NamedTuple):
    """ξ_q of lengths, ξ_c of correlations, and 6 ξ_c layers."""

    xi_q: float
    xi_c: float
    trainable_depth: float


def depth_scales(
    activation: Activation, sigma_w2: float, sigma_b2: float = 0.0
) -> DepthScales:
    """ξ_q = -1 / ln V′(q*) and ξ_c = -1 / ln χ_c*; nan without a finite χ₁.

    Where lengths grow for ever V′ may exceed 1: then e-fold growth is meant. Where they
    vanish or grow, the correlations' rate is their map's own, not χ₁: a ReLU net's
    inputs become alike as 1 / depth², so that ξ_c is inf, whatever sigma_w2 is.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> depth_scales(ACTIVATIONS["relu"], 1.0).xi_c
    inf
    """
    fixed = fixed_point(activation, sigma_w2, sigma_b2)
    if not fixed.converged:
        return DepthScales(math.nan, math.nan, math.nan)
    xi_c = depth_scale(correlation_fixed_point(activation, sigma_w2, sigma_b2).chi_c)
    return DepthScales(depth_scale(fixed.slope), xi_c, 6 * xi_c)


def phase(activation: Activation, sigma_w2: float, sigma_b2: float = 0.0) -> str:
    """ "ordered", "critical" or "chaotic" by χ₁, or "no fixed point".

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> [phase(ACTIVATIONS["tanh"], sigma_w2, 0.05) for sigma_w2 in (1.0, 3.0)]
    ['ordered', 'chaotic']
    """
    fixed = fixed_point(activation, sigma_w2, sigma_b2)
    if fixed.kind in ("infinite", "oscillating", "unresolved"):
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
    """The line of χ₁ = 1, parametrised by the length q.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> round(float(critical_line(ACTIVATIONS["erf"], 0.5).sigma_w2), 9)  # √3 π/4
    1.360349523
    """
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


def scale_free(activation: Activation) -> bool:
    """Whether E[φ²] = q E[φ′²] at every q, as for ReLU: χ₁ = 1 keeps every length.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> [scale_free(ACTIVATIONS[name]) for name in ("relu", "tanh")]
    [True, False]
    """
    q, at = tabulated(activation).q, tabulated(activation).moments
    return bool((np.abs(at.phi2 / (q * at.dphi2) - 1) < 1e-10).all())


@functools.lru_cache(4096)
def critical_sigma_w2(activation: Activation, sigma_b2: float = 0.0) -> CriticalPoint:
    """The point with this sigma_b2 on the critical line that a unit input reaches.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> critical_sigma_w2(ACTIVATIONS["relu"], 0.05).exists
    False
    """
    check(1.0, sigma_b2)
    at, q = tabulated(activation).moments, tabulated(activation).q
    if scale_free(activation):
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
    roots = [math.exp(root_of(missing, ends)) for ends in brackets]
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

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> point = critical_point(ACTIVATIONS["relu"])
    >>> round(point.sigma_w2, 9), point.sigma_b2
    (2.0, 0.0)
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
    """All of the theory at one point; `fixed_point` alone is the cheap part of it.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> theory(ACTIVATIONS["sin"], 1e4).phase
    'chaotic'
    """
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
        fixed.converged and not correlation.reason,
        fixed.reason or correlation.reason or critical.reason * (not critical.exists),
    )
