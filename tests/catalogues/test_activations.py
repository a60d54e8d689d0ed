"""Every activation keeps its contract: shapes, dtypes, gradients, kinks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.theory.quadrature import evaluate
from tests.entries import DTYPES, over


def points(dtype, kinks=()):
    """A grid on ±8 that keeps 0.01 away from every kink, and has no round numbers."""
    x = np.linspace(-8.0, 8.0, 331) + 0.0037
    for kink in kinks:
        x = x[np.abs(x - kink) > 0.01]
    return jnp.asarray(x, dtype)


@over(ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_activation_keeps_shape_and_dtype(entry, dtype):
    @jax.jit
    def value_and_slopes(x):
        y, pull = jax.vjp(entry.phi, x)
        return y, *pull(jnp.ones_like(y))

    for wide in {dtype == "float64", True}:  # float32 stays so where x64 is allowed
        with jax.enable_x64(wide):
            x = np.array(points(dtype)).reshape(1, -1, 1)
            x[0, :2, 0] = -1e4, 1e4  # e^10000 is not finite
            for a in value_and_slopes(x):
                assert (a.shape, a.dtype) == (x.shape, x.dtype)
                assert np.all(np.isfinite(a))


@over(ACTIVATIONS)
def test_an_activation_acts_on_elements_and_compiles_once(entry, traces):
    x = np.asarray(points("float32"))
    run = traces(entry.phi)
    together = run(x)
    for shift in (0.1, 0.2, 0.3):
        run(x + np.float32(shift))
    assert run.count == 1
    # Compiled for a scalar and for an array, exp and its like may differ by a few ulp.
    np.testing.assert_allclose(
        jax.jit(jax.vmap(entry.phi))(x.reshape(-1, 1))[:, 0],
        together,
        rtol=1e-6,
        atol=1e-6,
    )


@over(ACTIVATIONS)
def test_an_activations_gradient_is_that_of_its_values(entry):
    with jax.enable_x64(True):
        x, h = np.asarray(points("float64", entry.kinks)), 1e-5
    _, gradient = evaluate(entry, x)
    central = (evaluate(entry, x + h, 0)[0] - evaluate(entry, x - h, 0)[0]) / (2 * h)
    # h² φ‴ / 6 is about 1e-10; cancellation is |φ| ε / h, 1e-9 at φ = 64.
    np.testing.assert_allclose(gradient, central, rtol=0, atol=3e-9)


def bends(activation):
    """The points in [-12, 12] where φ′ or φ″ jumps, to within 1e-3.

    The second difference of φ′, over its step h, goes to 0 as h φ⁗ where φ is smooth
    (0.01 for the sharpest here) and to at least half the jump where φ″ jumps, the
    smallest of which is CELU's ½.
    """
    h = 1e-3
    x = np.arange(-12, 12, h) + h * 0.3
    _, slopes = evaluate(activation, x)
    second = np.abs(slopes[2:] - 2 * slopes[1:-1] + slopes[:-2]) / h
    jumps = x[1:-1][second > 0.05]
    groups = np.split(jumps, np.flatnonzero(np.diff(jumps) > 2.5 * h) + 1)
    return [float(np.mean(group)) for group in groups if group.size]


@over(ACTIVATIONS)
def test_an_activations_kinks_are_those_declared(entry):
    assert bends(entry) == pytest.approx(sorted(entry.kinks), abs=2e-3)


@over(ACTIVATIONS)
@pytest.mark.parametrize("dtype", ("float16", "bfloat16", "float32", "float64"))
@pytest.mark.parametrize("compiled", (False, True))
def test_a_slope_at_a_kink_lies_between_those_beside_it(entry, dtype, compiled):
    """At the kink, at ±1e-38 of it and at its neighbours, subnormal ones of 0 too.

    XLA's CPU code takes a float32 below 1.2e-38 for 0: the slope there is one at 0.
    """
    slope = jax.grad(entry.phi)
    slope = jax.jit(slope) if compiled else slope
    with jax.enable_x64(dtype == "float64"):
        kind = np.dtype(jnp.dtype(dtype))
        beside = float(jnp.finfo(kind).eps) * 4
        for kink in {0.0, *entry.kinks}:
            step = beside * max(1.0, abs(kink))
            sides = [slope(jnp.asarray(kink + s, kind)) for s in (-step, step)]
            low, high = sorted(map(float, sides))
            up, down = (np.nextafter(np.float32(kink), s) for s in (np.inf, -np.inf))
            near = (0.0, 1e-38, -1e-38, 1.2e-38, -1.2e-38)
            for x in (-0.0 + kink, up, down, *(kink + z for z in near)):
                found = float(slope(jnp.asarray(x, kind)))
                # φ″ over a step of a few ulp, and the rounding of a slope
                assert low - 2 * step <= found <= high + 2 * step, (kink, x)
