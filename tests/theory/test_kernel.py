"""The infinitely wide net's kernel against closed forms, and nets that are drawn."""

import math

import numpy as np
import pytest

from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.learning import fits, gaussian_process
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task
from depthbench.research.theory import mean_field
from depthbench.research.theory.activation import Activation
from depthbench.research.theory.kernel import angles, kernel
from depthbench.research.theory.quadrature import moments, pair
from tests.theory.maps import correlation_map

CORRELATIONS = (-1.0, -0.99, -0.5, -1e-6, 0.0, 0.3, 1.0)
RELU, ERF = ACTIVATIONS["relu"], ACTIVATIONS["erf"]


def product(activation, q, c):
    """E[φ(u)φ(v)]."""
    return float(moments(activation, q).phi2) - pair(activation, q, 1 - c)


@pytest.mark.parametrize("c", CORRELATIONS)
@pytest.mark.parametrize("q", [0.4, 5.0])
def test_relu_has_the_arc_cosine_kernel_for_opposite_inputs_too(q, c):
    angle = math.acos(c)
    one = q / (2 * math.pi) * (math.sin(angle) + (math.pi - angle) * c)
    # Sums of some thousand float64 terms of order q: 1e-13 of q.
    assert product(RELU, q, c) == pytest.approx(one, abs=1e-12 * q)
    slope = (math.pi - angle) / (2 * math.pi)
    assert pair(RELU, q, 1 - c, order=1) == pytest.approx(slope, abs=1e-12)


@pytest.mark.parametrize("c", CORRELATIONS)
def test_erf_has_williams_kernel(c):
    q = 1.7
    expected = 2 / math.pi * math.asin(2 * q * c / (1 + 2 * q))
    # erf's Gaussian averages are resolved to 1e-12, as all others are.
    assert product(ERF, q, c) == pytest.approx(expected, abs=1e-11)
    square = (1 + 2 * q) ** 2 - (2 * q * c) ** 2
    slope = 4 / math.pi / math.sqrt(square)
    assert pair(ERF, q, 1 - c, order=1) == pytest.approx(slope, abs=1e-11)


@pytest.mark.parametrize("name", ["gelu", "elu", "sigmoid"])
def test_opposite_inputs_as_two_gaussians_drawn(name):
    """Activations that are neither even nor odd; 10^6 draws, 5 standard errors."""
    phi, q, c = ACTIVATIONS[name], 2.0, -0.6
    z, w = np.random.RandomState(0).standard_normal((2, 10**6))
    u, v = np.sqrt(q) * z, np.sqrt(q) * (c * z + math.sqrt(1 - c * c) * w)
    both = np.asarray(phi(u), np.float64) * np.asarray(phi(v), np.float64)
    error = 5 * both.std() / 1000
    assert product(phi, q, c) == pytest.approx(both.mean(), abs=error)


def test_a_kink_off_the_origin_is_seen_from_both_sides():
    """max(x − 1, 0): of opposite inputs by one integral over u, at c = −1."""
    shifted = Activation("shifted", lambda x: (x - 1).clip(0), "", kinks=(1.0,))
    assert product(shifted, 1.0, -1.0) == pytest.approx(0.0, abs=1e-14)
    # Where both exceed 1 by rotation: no closed form; symmetric about c = 0 it is not.
    assert 0 < product(shifted, 1.0, -0.3) < product(shifted, 1.0, 0.3)


@pytest.mark.parametrize("gap", [-0.1, 2.1, math.nan])
def test_no_correlation_is_beyond_one(gap):
    with pytest.raises(ValueError, match="between 0 and 2"):
        pair(RELU, 1.0, gap)


def test_the_maps_are_continuous_through_zero():
    gelu, ends = ACTIVATIONS["gelu"], [-1e-9, 1e-9]
    for at in (
        correlation_map(gelu, 1.5, 0.1, 1.0, ends),
        mean_field.chi_c(gelu, 1.5, 1.0, ends),
    ):
        assert at[0] == pytest.approx(at[1], abs=1e-8)  # slopes are of order 1


@pytest.mark.parametrize("depth", [0, 3, 20])
def test_relu_s_kernel_is_the_arc_cosine_iterated(depth):
    made = kernel(RELU, 2.0, 0.0, depth)
    c = np.cos(made.angle)
    for _ in range(depth):
        angle = np.arccos(np.clip(c, -1, 1))
        c = (np.sin(angle) + (np.pi - angle) * c) / np.pi
    # 17 Chebyshev nodes, then arccos near 1, where it turns 1e-15 into 3e-8.
    np.testing.assert_allclose(made.correlation, c, atol=1e-7)


def test_lengths_are_those_of_the_length_map():
    made = kernel(ACTIVATIONS["tanh"], 1.5, 0.1, 4)
    q = 1.6
    for _ in range(4):
        q = float(mean_field.length_map(ACTIVATIONS["tanh"], 1.5, 0.1, q))
    assert made.length == pytest.approx(q, rel=1e-12)
    assert made.square == pytest.approx(float(moments(ACTIVATIONS["tanh"], q).phi2))


@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_drawn_nets_have_this_covariance(name):
    """The catalogue's nets of 256 units, 10 outputs of each of 20 draws.

    A covariance of 200 samples has an error of 0.1 at most; 4 of them, and 1/width.
    """
    x = np.random.RandomState(0).standard_normal((6, 16)).astype(np.float32)
    x[1], x[2] = -x[0], x[0] + 0.3 * x[1]
    x /= np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    recipe = Recipe(
        *("mlp", 3, 256, name), initializer="free", sigma_w2=1.6, sigma_b2=0.2
    )
    net = fits.Net(recipe, Task((16,), 10))
    drawn = np.stack([fits.fresh(net, seed).outputs(x) for seed in range(20)])
    empirical = np.einsum("sio,sjo->ij", drawn, drawn) / 200
    made = kernel(ACTIVATIONS[name], 1.6, 0.2, 3)
    expected = made.square * made.covariance(x, x)
    assert np.max(np.abs(empirical - expected)) < 0.45 * made.square
    assert np.max(np.abs(empirical / made.square - np.eye(6))) > 0.5  # not of chance


def test_inputs_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="mean square of 1"):
        angles(np.full((2, 4), 2.0), np.ones((2, 4)))


def test_regression_without_noise_goes_through_its_targets():
    x = np.random.RandomState(1).standard_normal((8, 5))
    x /= np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    made = kernel(RELU, 2.0, 0.0, 1)
    y = gaussian_process.targets(np.arange(8) % 3, 3)
    learned = made.covariance(x, x)
    known = gaussian_process.posterior(learned, learned, y, 1e-10)
    np.testing.assert_allclose(known.mean, y, atol=1e-6)  # 1e-10 × the condition
    assert np.all(np.abs(known.variance) < 1e-6)
    far = gaussian_process.posterior(learned, np.zeros((1, 8)), y, 1e-10)
    assert far.variance == 1 and not far.mean.any()


def test_regression_is_kernel_ridge():
    from sklearn.kernel_ridge import KernelRidge

    x = np.random.RandomState(2).standard_normal((12, 5))
    x /= np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    made = kernel(ACTIVATIONS["tanh"], 1.5, 0.1, 2)
    y = gaussian_process.targets(np.arange(9) % 3, 3)
    learned, beside = made.covariance(x[:9], x[:9]), made.covariance(x[9:], x[:9])
    theirs = KernelRidge(alpha=0.1, kernel="precomputed").fit(learned, y)
    ours = gaussian_process.posterior(learned, beside, y, 0.1).mean
    np.testing.assert_allclose(ours, theirs.predict(beside), rtol=1e-9, atol=1e-12)
