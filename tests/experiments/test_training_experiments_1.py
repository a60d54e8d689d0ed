"""Experiments that train nets: their mathematics, and that rows and verdicts appear."""

import csv
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from experiments.training import deep_linear, nets, trainable_depth
from experiments.training import understanding_difficulty as difficulty
from research.cli.main import main
from research.learning import recipe, sweeps
from research.signal.measured import Measured
from research.study import trials


def result(reached, steps, accuracy):
    values = {
        "reached": reached,
        "steps_to_target": steps,
        "train_accuracy": accuracy,
    }
    return Measured("ok", "", values, {})


def test_rates_are_at_equal_ratios():
    assert nets.log_spaced(0.01, 100.0, 5) == (0.01, 0.1, 1.0, 10.0, 100.0)
    assert nets.log_spaced(0.01, 0.3, 1) == (0.3,)


def test_the_best_rate_gets_most_seeds_there_and_soonest():
    slow, fast = result(1.0, 90.0, 0.99), result(1.0, 30.0, 0.91)
    some, none = result(0.4, None, 1.0), result(0.0, None, 0.3)
    assert nets.best_of([slow, fast, some, none]) == 1
    assert nets.best_of([slow, result(1.0, 10.0, 0.4)]) == 0  # it did not stay there
    assert nets.best_of([none, some]) == 1
    assert nets.best_of([none, result(0.0, None, 0.5)]) == 1


def test_times_are_compared_seed_by_seed():
    mean, error = nets.log2_longer(np.array([8.0, 40.0]), np.array([4.0, 10.0]))
    assert (mean, error) == (1.5, 0.5)
    assert (
        nets.log2_longer(np.array([8.0, np.inf]), np.array([4.0, 10.0])) == (None,) * 2
    )


def test_activations_share_what_draws_a_net():
    settings = {**trials.DEFAULTS, "depth": 2, "width": 4, "steps": 3}
    own = [
        sweeps.of_recipe(recipe.of({**settings, "activation": name, "batch": size}), 3)
        for name, size in (("tanh", 8), ("relu", 16))
    ]
    assert own[0].init is own[1].init
    assert own[0].advance is not own[1].advance


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
            return deep_linear.step(kernels, data, rate)[0]

        return deep_linear.product(jax.lax.fori_loop(0, steps, more, kernels))

    def flow(_, u):
        return layers * u ** (2 - 2 / layers) * (strengths - u)

    told = solve_ivp(flow, (0, rate * steps), [start, start], rtol=1e-9).y[:, -1]
    assert np.min(np.abs(told - start)) > 0.1  # both have moved
    found = np.asarray(descend(kernels))
    # Steps of length 1e-3 follow the flow to about as much, times its curvature.
    np.testing.assert_allclose(np.diag(found), told, rtol=5e-3)
    # Modes do not mix: there is nothing but rounding off the diagonal.
    np.testing.assert_allclose(found - np.diag(np.diag(found)), 0, atol=1e-15)


def test_the_loss_of_a_linear_net_is_that_of_its_data(filled):
    random = np.random.default_rng(0)
    x, y = random.standard_normal((40, 5)), random.standard_normal((40, 3))
    data = deep_linear.statistics(x, y)
    first, others, last = (
        random.standard_normal(shape) for shape in ((5, 4), (2, 4, 4), (4, 3))
    )
    out = x @ first @ others[0] @ others[1] @ last
    own = deep_linear.loss((first, others, last), *data)
    # Float32 inside jax, and a difference of terms of the same size.
    assert own == pytest.approx(0.5 * np.sum((y - out) ** 2) / 40, rel=1e-4)
    best = np.linalg.lstsq(x, y)[0]
    least = 0.5 * np.sum((y - x @ best) ** 2) / 40
    assert deep_linear.least(*data) == pytest.approx(least, rel=1e-9)


def test_learning_times():
    data = tuple(np.float32(a) for a in (np.eye(1), np.eye(1), 1.0))
    kernels = (jnp.ones((1, 1)), jnp.ones((0, 1, 1)), jnp.full((1, 1), 0.5))
    learn = jax.jit(deep_linear.learn)

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
    found = np.array([[never, never], [5, never], [9, 11], [8, 14]])
    assert deep_linear.best(found) == 2
    assert deep_linear.best(found[:2]) == 1


def test_nets_on_the_wrong_side_of_theory():
    told = {"train_accuracy": 0.65, "depth_over": 0.5}
    assert trainable_depth.missing(told) == 0
    assert trainable_depth.missing({**told, "depth_over": 2.0}) == pytest.approx(0.1)
    assert trainable_depth.missing({**told, "train_accuracy": 0.5}) == pytest.approx(
        0.05
    )


def test_draws_keep_lengths_or_their_mean():
    first, others, last = deep_linear.draw(jax.random.key(0), "orthogonal", 4, 6, 6, 6)
    w = np.asarray(deep_linear.product((first, others, last)))
    np.testing.assert_allclose(w @ w.T, np.eye(6), atol=1e-5)  # float32's rounding
    assert others.shape == (2, 6, 6)


def test_mean_stretch_of_a_wide_layer():
    # Of 8 × 200 values at width 200; the mean of such a matrix varies by 1/width.
    draws = np.random.default_rng(0).uniform(-1, 1, (8, 200, 200)) * (3 / 200) ** 0.5
    mean = np.mean(np.linalg.svd(draws, compute_uv=False))
    assert mean == pytest.approx(difficulty.MEAN_STRETCH, rel=0.01)


def test_jacobians_of_layers(network, filled):
    net = network("mlp", "tanh", width=3, depth=2)
    x = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    params = filled(net, x)
    found = jax.jit(lambda p: difficulty.jacobians(net, p, x))(params)
    assert found.shape == (2, 2, 3, 3)
    kernel, bias = (
        np.asarray(params.stages[0]["params"]["Dense_0"][name])
        for name in ("kernel", "bias")
    )
    stem = params.stem["params"]["Dense_0"]
    z = x @ np.asarray(stem["kernel"]) + np.asarray(stem["bias"])
    for layer in range(2):
        slope = 1 - np.tanh(z) ** 2
        told = kernel[layer].T[None] * slope[:, None, :]
        np.testing.assert_allclose(found[layer], told, rtol=1e-5, atol=1e-6)
        z = np.tanh(z) @ kernel[layer] + bias[layer]


def test_borders_of_a_map():
    np.testing.assert_allclose(trainable_depth.edges([1, 2, 4]), [0.5, 1.5, 3, 5])
    borders = trainable_depth.edges([10, 40], log=True)
    np.testing.assert_allclose(borders, [5, 20, 80])


SMALL = {
    "activation_fix": "--remedy sigmoid --depth 2 --rates 1",
    "trainable_depth": "--sigma-w2 1,4 --depth 30",
    "he_against_xavier": "--depth 30 --rates 1",
    "deep_linear": "--depth 4 --steps 20",
    "understanding_difficulty": "--activation tanh --depth 3 --rates 1",
}


@pytest.mark.parametrize("name", SMALL)
def test_a_small_run(name, tmp_path, capsys):
    extra = "" if name == "deep_linear" else "--steps 2"
    arguments = f"{SMALL[name]} {extra} --width 8 --seeds 3 --size smoke".split()
    assert main(["run", name, *arguments, "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "Claims" in shown and "nan" not in shown
    with (tmp_path / "out" / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows and {row["status"] for row in rows} == {"ok"}
    assert "nan" not in (tmp_path / "out" / "rows.csv").read_text()
    assert (tmp_path / "out" / "figure.png").stat().st_size > 10_000
