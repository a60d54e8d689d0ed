"""Expectations of an activation under one Gaussian, or two correlated ones.

Gauss-Hermite converges slowly where φ has a kink, and badly where √q is much larger
than the scale on which φ bends. Here the line is cut into panels instead, at φ's
kinks and on a fixed grid around the origin, and each panel has its own
Gauss-Legendre rule. Everything is float64 on the host; jax only evaluates φ and φ′.

Each value is checked by the part of its integrand that lies in the last polynomials
which the panels can see. Where φ oscillates or bends faster than that, the panels are
halved for one Gaussian, and a lattice is summed over for two.
"""

import functools
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from depthbench.research.lazy import lazily
from depthbench.research.theory import lattice
from depthbench.research.theory.activation import Activation, value_and_slope
from depthbench.research.theory.panels import evaluate, halved, rule, tail

with lazily():
    import jax
    import jax.numpy as jnp
    import scipy.interpolate as interpolate

# Panels end where the normal density is 8e-23 (one Gaussian) and 3e-18 (two); φ of a
# catalogue grows as a power, so nothing is lost beyond.
REACH, PAIR_REACH = 10.0, 9.0
ORDER, OUTER_ORDER, INNER_ORDER = 16, 12, 10  # nodes per panel
STEP, PAIR_STEP = 0.4, 1.0  # panel widths in units of the standard deviation
# Lengths outside are taken as these: the limits q → 0 and q → ∞ in double precision.
TINY, HUGE = 1e-30, 1e30
# A `tail` above this is unresolved, of one Gaussian and of two. sin's errors are below
# 1e-12 and 1e-10 up to here; all others' tails are below 1e-10, and 3e-4 to q = 1e18.
UNRESOLVED, PAIR_UNRESOLVED = 1e-5, 1e-3


def _bends() -> np.ndarray:
    """Points that resolve φ's own scale (about 1) however wide the Gaussian is."""
    # No catalogue kink lies on a point, or the tests could not see a forgotten one.
    near = [0.45, 0.9, 1.4, 2.1, 2.9, 3.8, 4.9, 6.2, 7.9, 10.3, 14.1, 20.3, 30.1]
    far = near[-1] * 2.5 ** np.arange(1, 41)  # to 2.5e17: beyond REACH √HUGE
    right = np.concatenate([near, far])
    return np.concatenate([-right[::-1], [0.0], right])


BENDS = _bends()


class Moments(NamedTuple):
    """Expectations over x ~ N(0, q), each of q's shape.

    The curvature has φ″ as a distribution: at a kink it holds a delta function. It is
    found as E[φφ′z] / √q, which is equal and needs no φ″.
    """

    phi2: np.ndarray  # E[φ²]
    dphi2: np.ndarray  # E[φ′²]
    curvature: np.ndarray  # E[φ′² + φφ″] = d E[φ²] / dq
    mean: np.ndarray  # E[φ]


def moments(activation: Activation, q: Any, order: int = ORDER) -> Moments:
    """The moments at every q [...], which is taken into [TINY, HUGE].

    So q = 0 and q = ∞ give the limits of dphi2 and curvature. Relative accuracy is
    about 1e-13; nan where φ oscillates too fast for it, as sin does above q = 1e7.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> round(float(moments(ACTIVATIONS["relu"], 3.0).phi2), 12)
    1.5
    """
    q = np.asarray(q, np.float64)
    at_zero = evaluate(activation, np.zeros(1), 0)[0][0]
    # With φ(0) ≠ 0, φφ′z averages to nothing but rounding, over √q: stop in time.
    q = np.clip(q, TINY if at_zero == 0 else 1e-12, HUGE)
    root = np.sqrt(q)[..., None]
    kinks = np.asarray(activation.kinks, np.float64)
    marks = np.concatenate([BENDS, kinks, -kinks])  # symmetric: odd parts cancel
    marks = np.clip(marks / root, -REACH, REACH)
    grid = np.linspace(-REACH, REACH, round(2 * REACH / STEP) + 1)
    grid = np.broadcast_to(grid, (*q.shape, grid.size))
    breaks = np.concatenate([grid, marks], axis=-1)
    z, weight = rule(breaks, order)
    used = weight > 1e-30  # not the far tails, nor panels that were clipped away
    phi, dphi = np.zeros_like(z), np.zeros_like(z)
    phi[used], dphi[used] = evaluate(activation, (z * root)[used])
    squares = weight * phi**2, weight * dphi**2
    at = Moments(
        phi2=squares[0].sum(-1),
        dphi2=squares[1].sum(-1),
        curvature=(weight * (phi * dphi) * z).sum(-1) / root[..., 0],
        mean=(weight * phi).sum(-1),
    )
    coarse = np.zeros(q.shape, bool)
    for square in squares:
        coarse |= tail(square, order).sum(-1) > UNRESOLVED * square.sum(-1)
    return _refined(activation, q, breaks, at, coarse) if coarse.any() else at


def _refined(
    activation: Activation, q: np.ndarray, breaks: np.ndarray, at: Moments, coarse: Any
) -> Moments:
    """The moments, those at `coarse` lengths from halved panels, or nan."""
    refined = Moments(*(np.array(values) for values in at))
    widest = np.inf  # from here on φ oscillates too fast: a wider Gaussian sees more
    for place in sorted(np.argwhere(coarse), key=lambda place: q[tuple(place)]):
        where = tuple(place)
        found = None
        if q[where] < widest:
            found = halved(activation, float(np.sqrt(q[where])), breaks[where], ORDER)
        if found is None:
            widest = q[where]
        for name, values in zip(Moments._fields, refined, strict=True):
            values[where] = np.nan if found is None else getattr(found, name)
    return refined


def _marks(marks: np.ndarray, scale: float) -> np.ndarray:
    """The marks that a Gaussian of standard deviation `scale` reaches, in its units."""
    return marks[np.abs(marks) < PAIR_REACH * scale] / max(scale, 1e-300)


def _pair_rules(
    activation: Activation, q: float, gap: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X [outer, inner] = √q (√c z + √(1-c) w), and the weights of z and of w.

    Also which of the nodes of z, those of all panels, are in use.
    """
    kinks = np.asarray(activation.kinks, np.float64)
    shared, separate = np.sqrt(q) * np.sqrt(1 - gap), np.sqrt(q) * np.sqrt(gap)
    grid = np.arange(-PAIR_REACH, PAIR_REACH + PAIR_STEP, PAIR_STEP)
    # Averaging over w rounds a kink off on the scale `separate`: grade the panels there.
    # A wide average sees all of φ's bends as one kink at the origin.
    ladder = separate * np.array([-9, -6.5, -4.5, -3, -1.5, 0, 1.5, 3, 4.5, 6.5, 9.0])
    corners = np.append(kinks, 0.0) if separate > 1.5 else kinks
    outer = [grid, _marks((corners[:, None] + ladder).ravel(), shared)]
    if shared > 2:  # else φ bends no faster than the density does
        outer.append(_marks(BENDS[np.abs(BENDS) > separate / 4], shared))
    z, weight = rule(np.concatenate(outer), OUTER_ORDER)
    keep = weight > 1e-22
    z, weight = z[keep], weight[keep]
    centre = shared * z[:, None]
    # Only marks that some w reaches: the others would be empty panels.
    marks = np.append(kinks, BENDS) if separate > 1.5 else kinks
    marks = marks[np.abs(marks) < PAIR_REACH * (shared + separate)]
    inner = np.clip((marks - centre) / separate, -PAIR_REACH, PAIR_REACH)
    grid = np.broadcast_to(grid, (z.size, grid.size))
    w, inner_weight = rule(np.concatenate([grid, inner], axis=-1), INNER_ORDER)
    return centre + separate * w, weight, inner_weight, keep


def pair(activation: Activation, q: float, gap: float, order: int = 0) -> float:
    """Over (u, v) of variances q and correlation c = 1 - gap in [-1, 1], one number:

    order 0: E[φ(u)²] - E[φ(u)φ(v)], accurate however close c is to 1;
    order 1: E[φ′(u)φ′(v)].

    u and v share √c z and have independent parts √(1-c) w, so both are averages over
    z of a variance, or a square of a mean, over w: no cancellation. Where c < 0, −v and
    u have the correlation −c: see `_opposed`.
    Raises ValueError for another gap, Unresolved where φ oscillates too fast.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> round(pair(ACTIVATIONS["relu"], 2.0, 1.0, order=1), 12)  # E[φ′]², independent
    0.25
    """
    if not 0 <= gap <= 2:
        raise ValueError(f"1 - correlation must be between 0 and 2, not {gap}")
    q = min(max(float(q), TINY), HUGE)
    if gap == 0:
        return float(moments(activation, q).dphi2) if order else 0.0
    if gap > 1:
        return _opposed(activation, q, 2 - gap, order)
    x, outer, inner, keep = _pair_rules(activation, q, gap)
    # Skip nodes that cannot matter. Each row stays a distribution, or its variance
    # would see the mean instead when 1 - c is small.
    used = outer[:, None] * inner > 1e-22
    inner = np.where(used, inner, 0.0)
    inner /= np.maximum(inner.sum(-1, keepdims=True), 1e-300)
    values = np.zeros_like(x)
    values[used] = evaluate(activation, x[used], order)[order]
    mean = (inner * values).sum(-1)
    if order == 1:
        total = float(outer @ mean**2)
    else:
        total = float(outer @ (inner * (values - mean[:, None]) ** 2).sum(-1))
    squares = inner * values**2
    over_z = np.zeros(keep.shape)
    over_z[keep] = outer * mean**2
    lost = outer @ tail(squares, INNER_ORDER).sum(-1) + tail(over_z, OUTER_ORDER).sum()
    if lost <= PAIR_UNRESOLVED * (outer @ squares.sum(-1)):
        return total
    return lattice.pair(activation, q, gap, order)


def _opposed(activation: Activation, q: float, gap: float, order: int) -> float:
    """What `pair` gives of (u, v) where u and −v have the correlation 1 - gap ≥ 0.

    φ is an even function and an odd one, whose product averages to 0; of −v the odd one
    changes its sign. With C for E[φ(u)φ(v)], C(−c) = 2 C_even(c) − C(c), and of φ′, whose
    odd part is the slope of φ's even one, C′(−c) = C′(c) − 2 C′_even(c).
    """
    same, even = pair(activation, q, gap, order), _even(activation)
    if order == 1:
        return same - 2 * pair(even, q, gap, order)
    whole, half = (float(moments(one, q).phi2) for one in (activation, even))
    return 2 * whole - same - 2 * (half - pair(even, q, gap))


@functools.lru_cache(256)
def _even(activation: Activation) -> Activation:
    """(φ(x) + φ(−x)) / 2."""
    phi, kinks = activation.phi, activation.kinks
    mirrored = dict.fromkeys((*kinks, *(-kink for kink in kinks)))

    @jax.custom_jvp
    def even(x):
        return _half_sum(phi(x), phi(-x))

    @even.defjvp
    def slope(primals, tangents):
        (x,), (dx,) = primals, tangents
        (one, rise), (other, fall) = (value_and_slope(phi, at) for at in (x, -x))
        return _half_sum(one, other), _half_sum(rise, -fall) * dx

    name = f"even part of {activation.name}"
    return activation._replace(name=name, phi=even, kinks=tuple(mirrored))


def _half_sum(one: Any, other: Any) -> Any:
    """(one + other) / 2, and 0 where that is the rounding of numbers that cancel.

    Of the largest number, as a slope that is a difference itself is rounded so.
    """
    half, sizes = (one + other) / 2, jnp.abs(one) + jnp.abs(other)
    noise = 64 * jnp.finfo(half.dtype).eps * jnp.max(sizes, initial=0)
    return jnp.where(jnp.abs(half) > noise, half, jnp.zeros_like(half))


class MomentTable(NamedTuple):
    """Moments on a grid of q, and splines between, for thousands of iterations."""

    q: np.ndarray  # [grid], from TINY to HUGE
    moments: Moments  # each [grid]
    ln_phi2: Callable  # ln q [...] -> ln E[φ²]
    ln_dphi2: Callable  # ln q [...] -> ln E[φ′²]


def tabulated(activation: Activation) -> MomentTable:
    """The activation's table; the splines' relative accuracy is about 1e-12.

    Threads that ask for the same one wait for it: it takes up to two seconds.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> round(float(np.exp(tabulated(ACTIVATIONS["relu"]).ln_phi2(np.log(3.0)))), 9)
    1.5
    """
    with _TABLE_LOCKS.setdefault(activation, threading.Lock()):
        return _tabulated(activation)


_TABLE_LOCKS: dict[Activation, threading.Lock] = {}  # `tabulated` alone takes them


@functools.cache
def _tabulated(activation: Activation) -> MomentTable:
    # Fine where φ bends, coarse where its moments have become powers of q.
    decades = [
        np.arange(-30, -12, 0.25),
        np.arange(-12, -4, 0.125),
        np.arange(-4, 4, 0.0625),
        np.arange(4, 8, 0.125),
        np.arange(8, 30.1, 0.25),
    ]
    q = 10 ** np.concatenate(decades)
    at = _in_blocks(activation, q)
    # The splines have further points where φ bends.
    bent = q[(q > 1e-12) & (q < 1e5)]
    between = np.sqrt(bent[1:] * bent[:-1])
    further = _in_blocks(activation, between)
    every = np.concatenate([q, between])
    order = np.argsort(every)

    def spline(*values: np.ndarray) -> Callable:
        known = np.concatenate(values)[order]
        known, ln_q = np.log(np.maximum(known, 1e-300)), np.log(every[order])
        resolved = np.isfinite(known)
        return interpolate.make_interp_spline(ln_q[resolved], known[resolved], k=7)

    return MomentTable(
        q, at, spline(at.phi2, further.phi2), spline(at.dphi2, further.dphi2)
    )


def _in_blocks(activation: Activation, q: np.ndarray) -> Moments:
    """The moments; a block at a time keeps the nodes in cache and the memory small."""
    blocks = [moments(activation, part) for part in np.array_split(q, 16)]
    return Moments(*(np.concatenate(values) for values in zip(*blocks, strict=True)))
