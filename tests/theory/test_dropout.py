"""The c map with dropout, against sampling, its own limit, and no dropout."""

import math

import numpy as np
import pytest

from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.theory import dropout, edge, mean_field

TANH = ACTIVATIONS["tanh"]


@pytest.mark.parametrize("name", ["tanh", "erf", "relu"])
@pytest.mark.parametrize("sigma_w2", [0.8, 1.7, 3.0])
def test_without_dropout_it_is_the_plain_net(name, sigma_w2):
    sigma_w2 = min(sigma_w2, 1.9) if name == "relu" else sigma_w2
    at = dropout.layer(ACTIVATIONS[name], sigma_w2, 0.05, 1.0)
    plain = mean_field.correlation_fixed_point(ACTIVATIONS[name], sigma_w2, 0.05)
    assert dropout.fixed_gap(at) == pytest.approx(plain.gap, abs=1e-9)
    assert dropout.rate(at) == pytest.approx(plain.chi_c, rel=1e-8)


@pytest.mark.parametrize("keep", [0.5, 0.9])
@pytest.mark.parametrize("gap", [0.0, 0.3, 1.0])
def test_a_layer_is_what_sampling_gives(keep, gap):
    """A million units with masks of their own: the error of c is below 1e-3 · 3."""
    random = np.random.default_rng(0)
    at = dropout.layer(TANH, 2.0, 0.05, keep)
    z, a, b = random.standard_normal((3, 10**6))
    u, v = (
        np.sqrt(at.q) * (math.sqrt(1 - gap) * z + math.sqrt(gap) * own)
        for own in (a, b)
    )
    x, y = (np.tanh(h) * (random.random(10**6) < keep) / keep for h in (u, v))
    length = 2.0 * np.mean(x * x) + 0.05
    assert length == pytest.approx(at.q, rel=5e-3)
    c = (2.0 * np.mean(x * y) + 0.05) / length
    assert dropout.following(at, gap) == pytest.approx(1 - c, abs=4e-3)


def test_no_depth_scale_is_infinite():
    critical = mean_field.critical_sigma_w2(TANH, 0.05).sigma_w2
    grid = critical * np.linspace(0.8, 1.2, 9)
    bare, _ = dropout.longest(TANH, 0.05, 1.0, grid)
    assert bare > 1e6
    for keep in (0.999, 0.9):
        coarse, at = dropout.longest(TANH, 0.05, keep, grid)
        fine, _ = dropout.longest(TANH, 0.05, keep, at * np.linspace(0.97, 1.03, 25))
        assert coarse <= fine < 1.05 * coarse


def small_noise_scale(at, curvature):
    """ξ_c on the edge to leading order in 1 - keep; curvature: E[φ″²] at q."""
    phi2 = float(edge.moments(at.activation, at.q).phi2)
    noise = at.sigma_w2 * (1 / at.keep - 1) * phi2 / at.q
    return 1 / math.sqrt(2 * noise * at.sigma_w2 * at.q * curvature)


def test_little_dropout_is_the_root_of_its_noise():
    """To leading order; the next is some √(1 - keep)."""
    for keep, error in ((1 - 1e-4, 0.03), (1 - 1e-6, 0.003)):
        q = mean_field.critical_sigma_w2(TANH, 0.05).q_star
        sigma_w2 = mean_field.critical_sigma_w2(TANH, 0.05).sigma_w2
        at = dropout.DropoutLayer(
            TANH, sigma_w2 * keep, 0.05, keep, q
        )  # χ₁ is keep of 1
        curvature = float(edge.moments(edge.slope_of(TANH), q).dphi2)
        expected = small_noise_scale(at, curvature)
        assert dropout.scale(at) == pytest.approx(expected, rel=error)


def test_the_difference_falls_by_the_rate():
    at = dropout.layer(TANH, 1.8, 0.05, 0.9)
    gap = dropout.fixed_gap(at)
    path = dropout.gaps(at, gap + 1e-4, 3) - gap
    assert path[1:] / path[:-1] == pytest.approx(dropout.rate(at), rel=1e-3)


@pytest.mark.parametrize("keep", [0.0, 1.1, float("nan")])
def test_a_share_is_a_share(keep):
    with pytest.raises(ValueError, match="share that is kept"):
        dropout.layer(TANH, 1.0, 0.0, keep)
