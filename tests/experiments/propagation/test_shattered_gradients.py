import functools
import math

import jax
import numpy as np
import pytest

from depthbench.experiments.propagation import gradient_pairs
from depthbench.experiments.propagation.gradient_pairs import (
    NETS,
    correlations,
    measure,
)
from depthbench.experiments.propagation.shattered_gradients import (
    STUDY,
    autocorrelation,
    fit,
    limit,
    seen,
)
from depthbench.research.architectures import Branch
from depthbench.research.architectures.contract import init
from depthbench.research.architectures.family import PLAIN
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.cli.main import main
from depthbench.research.theory.quadrature import pair

RELU = ACTIVATIONS["relu"]


@pytest.mark.parametrize("c", (0.0, 0.3, 0.9))
def test_theory_of_two_layers_by_quadrature(c):
    # He's σ_w² = 2 keeps the length 1: the gradients' ratio is 2 E[φ′(u)φ′(v)], and the
    # next correlation 2 E[φ(u)φ(v)]. A step function's quadrature is good to 1e-6.
    first = 2 * pair(RELU, 1.0, 1 - c, order=1)
    following = 2 * (0.5 - pair(RELU, 1.0, 1 - c))
    second = first * 2 * pair(RELU, 1.0, 1 - following, order=1)
    expected = pytest.approx([1, first, second], rel=1e-6)
    assert correlations(PLAIN, "none", 2, c=c) == expected


def test_theory_of_independent_inputs():
    # Batch norm leaves them uncorrelated: a quarter of the units is active for both.
    plain = correlations(PLAIN, "batch", 4)
    assert plain == pytest.approx(0.5 ** np.arange(5), rel=1e-12)
    assert correlations(Branch(1.0, 1.0), "none", 1)[1] == pytest.approx(
        3 / 4, rel=1e-12
    )
    # Layer l divides by a variance of 2 + l (1 − 1/π).
    residual = correlations(Branch(1.0, 1.0), "batch", 2000)
    v = 2 + np.arange(2000) * (1 - 1 / math.pi)
    assert residual[1:] == pytest.approx(np.cumprod((v + 0.5) / (v + 1)), rel=1e-9)
    # So the power tends to −½ / (1 − 1/π), where the paper has −½; by 3 / L or so.
    power = math.log2(residual[2000] / residual[1000])
    assert power == pytest.approx(-0.5 / (1 - 1 / math.pi), abs=3e-3)


def drawn(net, points, seeds, mirrored=False):
    """Variables [seeds, …] with He's variances; mirrored: W, -W over -W, W.

    numpy draws them: compiling jax's samplers takes longer than the tests.
    """
    random = np.random.default_rng(0)

    def value(path, leaf):
        name, shape = jax.tree_util.keystr(path[-1:]), (seeds, *leaf.shape)
        if "kernel" not in name:
            return (np.ones if "scale" in name else np.zeros)(shape, leaf.dtype)
        kernel = random.standard_normal(shape) * math.sqrt(2 / shape[-2])
        half = shape[-1] // 2
        if mirrored and half:  # the head has one output, and is not run
            kernel[..., half:] = -kernel[..., :half]
            if shape[-2] == shape[-1]:
                kernel[..., half:, :] = -kernel[..., :half, :]
        return kernel.astype(leaf.dtype)

    x = jax.numpy.zeros((points, WIDTH))
    shapes = jax.eval_shape(lambda key: init(key, net, x), jax.random.key(0))
    return jax.tree_util.tree_map_with_path(value, shapes)


def inputs(points, seeds):
    """(x, direction) [seeds, points, width], all independent and Gaussian."""
    random = np.random.default_rng(1)
    x, direction = random.standard_normal((2, seeds, points, WIDTH))
    direction = np.broadcast_to(direction[:, :1], direction.shape)
    return x.astype(np.float32), direction.astype(np.float32)


WIDTH, DEPTH = 64, 2


@pytest.mark.parametrize("name", ("plain", "residual_batch"))
def test_theory_of_sampled_nets(name):
    net, seeds = gradient_pairs.build(NETS[name], WIDTH, DEPTH), 24
    statistics = jax.jit(jax.vmap(functools.partial(measure, net)))(
        drawn(net, 64, seeds), *inputs(64, seeds)
    )
    mean = statistics.correlation.mean(0)
    error = statistics.correlation.std(0, ddof=1) / math.sqrt(seeds)
    expected = gradient_pairs.wide_correlations(NETS[name], DEPTH)
    assert np.all(np.abs(mean - expected) < 4 * error + 1 / WIDTH)
    assert mean[0] == pytest.approx(1, abs=1e-5)  # the stem is linear
    # Inputs and units are independent: 24 × 64 units are active for half of the pairs.
    assert statistics.co_active[:, 0].mean() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("name", ("plain", "plain_batch"))
def test_gradients_are_those_of_each_input_alone(name):
    """Statistics are constants, so that a gradient passes each example by itself."""
    net = gradient_pairs.build(NETS[name], WIDTH, DEPTH)
    variables = jax.tree.map(lambda a: a[0], drawn(net, 5, 1))
    x, direction = (a[0] for a in inputs(5, 1))
    statistics = jax.jit(functools.partial(measure, net))(variables, x, direction)
    stem = variables.stem["params"]["Dense_0"]["kernel"]
    h, gradient = x @ stem, direction @ stem
    for index in range(DEPTH):
        mean, deviation = 0.0, 1.0
        if name == "plain_batch":
            mean, deviation = h.mean(0), np.sqrt(h.var(0) + 1e-5)
        kernel = variables.stages[0]["params"]["Dense_0"]["kernel"][index]
        active = h > mean
        gradient = (gradient / deviation * active) @ kernel
        h = ((h - mean) / deviation * active) @ kernel
        # Sums of 64 products in single precision.
        assert statistics.series[index + 1] == pytest.approx(gradient[:, 0], abs=1e-4)
    # The definition, pair by pair.
    pairs = [gradient[i] @ gradient[j] for i in range(5) for j in range(5) if i != j]
    expected = np.mean(pairs) / np.mean(np.sum(gradient**2, axis=1))
    assert statistics.correlation[-1] == pytest.approx(expected, abs=1e-4)
    lagged = gradient - gradient.mean(0)
    expected = np.sum(lagged[:-2] * lagged[2:]) / np.sum(gradient**2)
    assert statistics.covariance[-1, 2] == pytest.approx(expected, abs=1e-4)


def test_mirrored_weights_have_one_gradient():
    net = gradient_pairs.build(NETS["looks_linear"], WIDTH, DEPTH)
    variables = drawn(net, 5, 1, mirrored=True)
    arguments = jax.tree.map(lambda a: a[0], (variables, *inputs(5, 1)))
    statistics = jax.jit(functools.partial(measure, net))(*arguments)
    # x W is linear in x, so all inputs have its gradient, but for rounding.
    assert statistics.correlation == pytest.approx(np.ones(DEPTH + 1), abs=1e-5)


def test_fitted_laws():
    x = np.arange(1.0, 9)
    scatter = 1 + 0.1 * np.random.default_rng(0).standard_normal((4, 1))
    slope, error, misfit = fit(x, 0.5**x * np.ones((4, 1)))
    assert (slope, error, misfit) == pytest.approx((math.log(0.5), 0, 0), abs=1e-12)
    # A factor that is a seed's own moves the line, not its slope.
    slope, error, _ = fit(np.log(x), x**-0.5 * scatter)
    assert (slope, error) == pytest.approx((-0.5, 0), abs=1e-12)
    assert math.isnan(fit(x, 0.5 ** x[None])[1])


def test_wide_nets_laws_far_down():
    """Where each unit's slopes are independent: ½ a layer with batch norm, exactly."""
    assert limit(NETS["plain_batch"]) == pytest.approx(0.5, abs=1e-12)
    # Without, inputs grow alike, and so do their gradients: no factor is left.
    assert 0.98 < limit(NETS["plain"]) < 1
    assert 0.98 < limit(NETS["residual"]) < 1


def test_what_is_seen_above_noise():
    error = np.full(4, 0.01)
    assert seen(np.array([1, 0.5, 0.03, 0.3]), error) == 1
    assert seen(np.array([1, 0.5, 0.3, 0.2]), error) == 3


def test_autocorrelation():
    covariance = np.array([[0.5, 0.25], [1e-14, 5e-15]])  # the latter is rounding
    assert autocorrelation(covariance).tolist() == [[1, 0.5], [1, 1]]


def test_a_small_run(tmp_path, capsys):
    arguments = "--net plain_batch --depth 4 --width 8 --points 16 --seeds 3"
    command = ["run", STUDY.name, *arguments.split(), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    assert "wide net" in capsys.readouterr().out
    text = (tmp_path / "out" / "rows.csv").read_text()
    header, values = (line.split(",") for line in text.splitlines())
    row = dict(zip(header, values, strict=True))
    assert float(row["correlation_theory"]) == pytest.approx(1 / 16, rel=1e-9)
    assert 0 < float(row["co_active"]) < 1
    assert (tmp_path / "out" / "figure.png").stat().st_size > 10_000
