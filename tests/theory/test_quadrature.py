"""Gaussian expectations against closed forms, adaptive integration and more nodes."""

import itertools
import math
import time
from concurrent import futures

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.theory import quadrature
from depthbench.research.theory.activation import Activation
from depthbench.research.theory.panels import Unresolved
from depthbench.research.theory.quadrature import (
    HUGE,
    evaluate,
    moments,
    pair,
    tabulated,
)

EVERY = list(ACTIVATIONS.values())
LENGTHS = (1e-6, 0.5, 12.6, 300.0)
# A forgotten kink would cost 1e-4 to 1e-8; agreement is about 1e-15, so 1e-10 has
# room for activations that bend faster than those here.
CLOSE = 1e-10


def named(activation):
    return activation.name


def adaptive(activation, q):
    """Adaptive E[φ²], E[φ′²], E[φφ′x]/q by scipy, in x, split at kinks and at 0."""

    def moment(k):
        def f(x):
            phi, dphi = evaluate(activation, np.array([x]))
            value = (phi**2, dphi**2, phi * dphi * x / q)[k][0]
            return value * math.exp(-x * x / (2 * q)) / math.sqrt(2 * math.pi * q)

        reach = 9 * math.sqrt(q)
        points = {-reach, reach, 0.0, -reach / 3, reach / 3, -3.0, 3.0}
        points |= set(activation.kinks)
        edges = sorted(p for p in points if abs(p) <= reach)
        parts = [
            quad(f, a, b, epsrel=1e-10, epsabs=1e-13 * min(q, 1), limit=100)[0]
            for a, b in itertools.pairwise(edges)
        ]
        return math.fsum(parts)

    return [moment(k) for k in range(3)]


# Each activation at one length, by turns; at the other too by `pytest -m exhaustive`.
POINTS = [
    pytest.param(
        *(activation, q),
        id=f"{activation.name}-{q}",
        marks=() if (number + turn) % 2 == 0 else pytest.mark.exhaustive,
    )
    for number, activation in enumerate(EVERY)
    for turn, q in enumerate((0.5, 12.6))
]


@pytest.mark.parametrize(("activation", "q"), POINTS)
def test_moments_equal_adaptive_integration(activation, q):
    at = moments(activation, q)
    # scipy is asked for 1e-10; Gauss-Hermite of 200 nodes misses tanh here by 3e-3.
    expected = adaptive(activation, q)
    np.testing.assert_allclose(
        [at.phi2, at.dphi2, at.curvature], expected, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("activation", EVERY, ids=named)
def test_more_nodes_change_nothing(activation):
    coarse = moments(activation, LENGTHS)
    fine = moments(activation, LENGTHS, order=23)
    # A kink that an entry forgets to name shows up here.
    np.testing.assert_allclose(coarse.phi2, fine.phi2, rtol=CLOSE)
    np.testing.assert_allclose(coarse.dphi2, fine.dphi2, rtol=CLOSE)
    # φφ′z cancels where φ is nearly constant: absolute in units of E[|φφ′z|] / √q.
    scale = np.sqrt(fine.phi2 * fine.dphi2 / np.array(LENGTHS))
    assert np.all(np.abs(coarse.curvature - fine.curvature) < CLOSE * scale)


FORGETFUL = ("hard_tanh", "relu6", "hard_swish", "hard_sigmoid")


@pytest.mark.parametrize("name", FORGETFUL)
def test_a_forgotten_kink_is_noticed(name):
    """Panels are halved down to the kink; two Gaussians have no way to do that."""
    activation, q = ACTIVATIONS[name], LENGTHS[2]
    forgetful = activation._replace(kinks=())
    at, found = moments(activation, LENGTHS), moments(forgetful, LENGTHS)
    np.testing.assert_allclose(found.phi2, at.phi2, rtol=1e-9)
    np.testing.assert_allclose(found.dphi2, at.dphi2, rtol=1e-9)
    pair(activation, q, 0.3, order=1)
    with pytest.raises(Unresolved, match="varies too fast"):
        pair(forgetful, q, 0.3, order=1)


@pytest.mark.parametrize("activation", EVERY, ids=named)
def test_the_catalogue_is_resolved_at_every_length(activation):
    at = tabulated(activation)
    reach = (
        1e7 if activation.name == "sin" else HUGE
    )  # what sin's panels are enough for
    resolved = np.isfinite(at.moments.phi2) & np.isfinite(at.moments.dphi2)
    assert np.array_equal(resolved, at.q <= reach * 1.01)


WAVES = [
    # φ, and its E[φ²] and E[φ′²], or a wave that has no end of kinks
    pytest.param(lambda x: jnp.sin(x), 1.0, id="sin"),
    pytest.param(lambda x: jnp.sin(30 * x), 30.0, id="fast"),
    pytest.param(lambda x: jnp.sin(jnp.pi * x), math.pi, id="in step with a lattice"),
]


@pytest.mark.parametrize(("phi", "omega"), WAVES)
@pytest.mark.parametrize("q", (1e-4, 1.0, 250.0, 5e4))
def test_waves_have_closed_forms(phi, omega, q):
    """φ = sin ωx: all of it in p = ω² q, as if ω were 1."""
    wave, p = Activation(f"sin {omega:.3g} x", phi, "a test"), omega**2 * q
    at = moments(wave, q)
    if p > 1e7:
        assert math.isnan(at.phi2)
        return
    # float64 knows sin's angle to 1e-16 of it, which is ten times √p.
    rel = 1e-11 + 1e-15 * math.sqrt(p)
    assert at.phi2 == pytest.approx(-math.expm1(-2 * p) / 2, rel=rel)
    slopes = omega**2 * (1 + math.exp(-2 * p)) / 2
    assert at.dphi2 == pytest.approx(slopes, rel=rel)
    for gap in (1.0, 1 - 1e-6, 0.5, 1e-3, min(1.0, 1 / p), 1e-9):
        # E[φφ] = e^-p sinh(pc), E[φ′φ′] = ω² e^-p cosh(pc)
        other = math.exp(-p * (2 - gap))
        spread = -math.expm1(-p * gap) * (1 + other) / 2
        assert pair(wave, q, gap) == pytest.approx(spread, rel=rel + 1e-10)
        slopes = omega**2 * (math.exp(-p * gap) + other) / 2
        found = pair(wave, q, gap, order=1)
        assert found == pytest.approx(slopes, rel=1e-10, abs=1e-10 * omega**2)


def test_what_cannot_be_resolved_is_no_number():
    """A saw has no smooth lattice; and when it is wide, too many kinks to halve."""
    saw = Activation("saw", lambda x: jnp.abs(x - 2 * jnp.round(x / 2)), "a test")
    assert moments(saw, 1e4).phi2 == pytest.approx(1 / 3, rel=1e-9)
    assert math.isnan(moments(saw, 1e12).phi2)
    with pytest.raises(Unresolved, match="varies too fast"):
        pair(saw, 1e4, 0.5)


def test_erf_has_closed_forms():
    q = np.geomspace(1e-6, 1e4, 41)
    at = moments(ACTIVATIONS["erf"], q)
    # Williams 1997, eq. 11. Double precision but for rounding in 2,000 terms.
    np.testing.assert_allclose(
        at.phi2, 2 / math.pi * np.arcsin(2 * q / (1 + 2 * q)), rtol=1e-12
    )
    np.testing.assert_allclose(at.dphi2, 4 / math.pi / np.sqrt(1 + 4 * q), rtol=1e-12)
    derivative = 4 / math.pi / ((1 + 2 * q) * np.sqrt(1 + 4 * q))
    np.testing.assert_allclose(at.curvature, derivative, rtol=1e-12)


def test_sin_has_closed_forms():
    q = np.geomspace(1e-6, 400, 31)
    at = moments(ACTIVATIONS["sin"], q)
    np.testing.assert_allclose(at.phi2, -np.expm1(-2 * q) / 2, rtol=1e-11)
    np.testing.assert_allclose(at.dphi2, (1 + np.exp(-2 * q)) / 2, rtol=1e-11)


def test_relu_moments_hold_at_any_length():
    q = np.array([0.0, 1e-30, 1e-3, 1.0, 1e8, 1e30, np.inf])
    at = moments(ACTIVATIONS["relu"], q)
    np.testing.assert_allclose(at.dphi2, 0.5, rtol=1e-13)
    # The delta function in φ″ meets φ = 0: d E[φ²] / dq is exactly one half.
    np.testing.assert_allclose(at.curvature, 0.5, rtol=1e-13)
    np.testing.assert_allclose(at.phi2[1:-1], q[1:-1] / 2, rtol=1e-13)


def test_limits_at_zero_length_where_phi_is_not_zero():
    at = moments(ACTIVATIONS["sigmoid"], 0.0)
    assert at.phi2 == pytest.approx(0.25, rel=1e-11)
    # φ′² + φφ″ = 1/16; rounding is divided by √1e-12, hence 1e-8.
    assert at.curvature == pytest.approx(1 / 16, rel=1e-8)


GAPS = (1.0, 0.7, 0.1, 1e-3, 1e-6, 1e-10)


@pytest.mark.parametrize("q", (1e-6, 0.5, 3.0, 1e4))
@pytest.mark.parametrize("gap", GAPS)
def test_relu_pairs_are_the_arc_cosine_kernels(q, gap):
    # Cho & Saul 2009, kernels of order 1 and 0, with θ from 1 - c without cancellation.
    theta = 2 * math.asin(math.sqrt(gap / 2))
    relu = ACTIVATIONS["relu"]
    spread = (
        math.pi * gap
        - math.sqrt(gap * (2 - gap))
        + theta * (1 - gap)  # E[φ²] - E[φφ] = q/2 - q (sin θ + (π - θ) cos θ) / 2π
    ) / (2 * math.pi)
    # The closed form cancels terms of size √gap down to gap.
    rel = 1e-12 + 1e-15 / math.sqrt(gap)
    assert pair(relu, q, gap) == pytest.approx(q * spread, rel=rel)
    slopes = (math.pi - theta) / (2 * math.pi)
    assert pair(relu, q, gap, order=1) == pytest.approx(slopes, rel=1e-12)


@pytest.mark.parametrize("q", (1e-6, 0.5, 3.0, 1e4))
@pytest.mark.parametrize("gap", GAPS)
def test_erf_pairs_have_closed_forms(q, gap):
    erf, t = ACTIVATIONS["erf"], 2 * q / (1 + 2 * q)
    # asin t - asin tc, from the tangent of their difference.
    c = 1 - gap
    root = math.sqrt((1 - t * c) * (1 + t * c))
    whole = math.sqrt(1 + 4 * q) / (1 + 2 * q)
    sine = t * gap * (1 + c) * t / (t * root + t * c * whole)
    spread = 2 / math.pi * math.atan2(sine, whole * root + t * t * c)
    assert pair(erf, q, gap) == pytest.approx(spread, rel=CLOSE)
    # (1 + 2q)² - (2qc)², without cancellation
    square = (1 + 2 * q * gap) * (1 + 2 * q + 2 * q * c)
    slopes = 4 / math.pi / math.sqrt(square)
    assert pair(erf, q, gap, order=1) == pytest.approx(slopes, rel=CLOSE)


@pytest.mark.parametrize("activation", EVERY, ids=named)
def test_pairs_join_the_moments(activation):
    at = moments(activation, 1.3)
    variance = float(at.phi2 - at.mean**2)
    # c = 0: u and v are independent; the subtraction loses a digit or two.
    assert pair(activation, 1.3, 1.0) == pytest.approx(variance, rel=1e-9)
    # c → 1: the spread per unit of 1 - c is q E[φ′²], reached as √(1-c) with kinks.
    assert pair(activation, 1.3, 1e-12) / 1e-12 == pytest.approx(
        1.3 * float(at.dphi2), rel=1e-5
    )
    assert pair(activation, 1.3, 0.0) == 0.0
    assert pair(activation, 1.3, 0.0, order=1) == pytest.approx(float(at.dphi2))
    assert pair(activation, 1.3, 1e-12, order=1) == pytest.approx(
        float(at.dphi2), rel=1e-5
    )


@pytest.mark.parametrize("activation", EVERY, ids=named)
def test_more_nodes_change_no_pair(activation, monkeypatch):
    points = [(q, gap, k) for q in (0.5, 30.0) for gap in (0.3, 1e-3) for k in (0, 1)]
    coarse = [pair(activation, q, gap, order=k) for q, gap, k in points]
    monkeypatch.setattr(quadrature, "OUTER_ORDER", 17)
    monkeypatch.setattr(quadrature, "INNER_ORDER", 15)
    fine = [pair(activation, q, gap, order=k) for q, gap, k in points]
    np.testing.assert_allclose(coarse, fine, rtol=CLOSE)


@pytest.mark.parametrize("name", ("hard_tanh", "gelu", "softsign", "hard_swish"))
def test_the_spread_falls_as_the_slopes_say(name):
    # d E[φ(u)φ(v)] / dc = q E[φ′(u)φ′(v)], whatever φ: Price 1958. Central
    # differences of step 1e-4 leave about 1e-8 of the third derivative.
    activation, h = ACTIVATIONS[name], 1e-4
    for gap in (0.9, 0.5, 0.1):
        rise = pair(activation, 2.0, gap + h) - pair(activation, 2.0, gap - h)
        slopes = 2.0 * pair(activation, 2.0, gap, order=1)
        assert rise / (2 * h) == pytest.approx(slopes, rel=1e-6)


@pytest.mark.parametrize("activation", EVERY, ids=named)
def test_the_table_equals_quadrature(activation):
    # Between grid points; 1e-13, and 4e-12 of sin where q no longer matters.
    q = np.concatenate([np.geomspace(1.3e-30, 1e-6, 17), np.geomspace(1e-5, 6e6, 83)])
    at, lookup = moments(activation, q), tabulated(activation)
    np.testing.assert_allclose(np.exp(lookup.ln_phi2(np.log(q))), at.phi2, rtol=1e-11)
    np.testing.assert_allclose(np.exp(lookup.ln_dphi2(np.log(q))), at.dphi2, rtol=1e-11)


def test_threads_that_ask_for_one_table_wait_for_it(monkeypatch):
    fresh = ACTIVATIONS["tanh"]._replace(name="fresh")
    begun = []

    def slowly(activation, q):
        begun.append(activation.name)
        time.sleep(0.005)
        return moments(activation, q)

    monkeypatch.setattr(quadrature, "moments", slowly)
    with futures.ThreadPoolExecutor(4) as threads:
        tables = list(threads.map(tabulated, [fresh] * 4))
    assert all(one is tables[0] for one in tables)
    assert begun == ["fresh"] * 32  # its blocks, each worked out once


def test_a_correlation_must_be_between_minus_1_and_1():
    with pytest.raises(ValueError, match="between 0 and 2"):
        pair(ACTIVATIONS["tanh"], 1.0, -0.1)


def test_double_precision_whatever_the_session_says():
    import jax

    assert not jax.config.jax_enable_x64
    phi, dphi = evaluate(ACTIVATIONS["tanh"], np.array([[0.3, 1e-9]]))
    assert phi.dtype == dphi.dtype == np.float64 and phi.shape == (1, 2)
    np.testing.assert_allclose(phi, np.tanh([[0.3, 1e-9]]), rtol=1e-14)


def test_threads_get_the_same_numbers():
    from concurrent.futures import ThreadPoolExecutor

    q = [0.1 * k for k in range(1, 9)]
    with ThreadPoolExecutor(4) as threads:
        values = list(threads.map(lambda x: float(moments(EVERY[2], x).phi2), q))
    assert values == [float(moments(EVERY[2], x).phi2) for x in q]
