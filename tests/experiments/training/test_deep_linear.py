"""`deep_linear`: its exact equation, its loss, and when it has learned."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from depthbench.experiments.training import deep_linear, linear_nets


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("layers", [2, 3, 6])
def test_equal_modes_follow_their_exact_equation(layers, float64):
    """τ du/dt = (N − 1) u^(2 − 2/(N − 1)) (s − u), with N − 1 matrices (Saxe et al.)."""
    strengths, start = np.array([2.0, 0.5]), 0.2
    size = np.eye(2) * start ** (1 / layers)
    kernels = (size, np.tile(size, (layers - 2, 1, 1)), size)
    data = (np.eye(2), np.diag(strengths), np.sum(strengths**2))
    rate, steps = 1e-3, 1500

    @jax.jit
    def descend(kernels):
        def more(_, kernels):
            return linear_nets.step(kernels, data, rate)[0]

        return linear_nets.product(jax.lax.fori_loop(0, steps, more, kernels))

    def flow(_, u):
        return layers * u ** (2 - 2 / layers) * (strengths - u)

    exact = solve_ivp(flow, (0, rate * steps), [start, start], rtol=1e-9).y[:, -1]
    assert np.min(np.abs(exact - start)) > 0.1  # both have moved
    end = np.asarray(descend(kernels))
    # Steps of length 1e-3 follow the flow to about as much, times its curvature.
    np.testing.assert_allclose(np.diag(end), exact, rtol=5e-3)
    # Modes do not mix: there is nothing but rounding off the diagonal.
    np.testing.assert_allclose(end - np.diag(np.diag(end)), 0, atol=1e-15)


def test_the_loss_of_a_linear_net_is_that_of_its_data(filled):
    random = np.random.default_rng(0)
    x, y = random.standard_normal((40, 5)), random.standard_normal((40, 3))
    data = linear_nets.statistics(x, y)
    first, others, last = (
        random.standard_normal(shape) for shape in ((5, 4), (2, 4, 4), (4, 3))
    )
    out = x @ first @ others[0] @ others[1] @ last
    loss = linear_nets.loss((first, others, last), *data)
    # Float32 inside jax, and a difference of terms of the same size.
    assert loss == pytest.approx(0.5 * np.sum((y - out) ** 2) / 40, rel=1e-4)
    best = np.linalg.lstsq(x, y)[0]
    least = 0.5 * np.sum((y - x @ best) ** 2) / 40
    assert linear_nets.least(*data) == pytest.approx(least, rel=1e-9)


def test_learning_times():
    data = tuple(np.float32(a) for a in (np.eye(1), np.eye(1), 1.0))
    kernels = (jnp.ones((1, 1)), jnp.ones((0, 1, 1)), jnp.full((1, 1), 0.5))
    learn = jax.jit(linear_nets.learn)

    def time(rate, enough, most=50):
        return float(learn(kernels, data, np.float32(rate), np.float32(enough), most))

    assert time(0.1, 1.0) == 0  # the loss is 0.125 before the first step
    w, losses = np.array([1.0, 0.5]), []
    for _ in range(20):
        losses.append(0.5 * (1 - w.prod()) ** 2)
        w = w + 0.1 * (1 - w.prod()) * w[::-1]
    assert time(0.1, losses[12] * 1.001) == 12
    assert time(0.1, 0.0, most=5) == math.inf
    assert time(1e20, 0.01) == math.inf


def test_the_best_rate_of_learning_times():
    never = np.inf
    times = np.array([[never, never], [5, never], [9, 11], [8, 14]])
    assert deep_linear.best(times) == 2
    assert deep_linear.best(times[:2]) == 1


def test_draws_keep_lengths_or_their_mean():
    first, others, last = linear_nets.draw(jax.random.key(0), "orthogonal", 4, 6, 6, 6)
    w = np.asarray(linear_nets.product((first, others, last)))
    np.testing.assert_allclose(w @ w.T, np.eye(6), atol=1e-5)  # float32's rounding
    assert others.shape == (2, 6, 6)
