"""Lengths and gradients layer by layer, against the maps and sampled nets."""

import math

import numpy as np
import pytest

from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.theory.quadrature import evaluate
from depthbench.research.theory.trajectories import batch_norm_rate, trajectory
from tests.theory.composite import composite

EVERY = list(ACTIVATIONS.values())
RELU = ACTIVATIONS["relu"]


def named(activation):
    return activation.name


def test_batch_norm_rates():
    linear = ACTIVATIONS["linear"]
    assert batch_norm_rate(RELU) == pytest.approx(math.pi / (math.pi - 1), rel=1e-12)
    assert batch_norm_rate(linear) == pytest.approx(1, rel=1e-12)
    assert batch_norm_rate(linear, 8) == pytest.approx(6 / 5, rel=1e-12)
    # Poincaré: Var φ ≤ E[φ′²], so gradients never shrink.
    assert all(batch_norm_rate(activation) > 1 - 1e-12 for activation in EVERY)
    with pytest.raises(ValueError, match="infinite"):
        batch_norm_rate(linear, 3)


@pytest.mark.parametrize("name", ("relu", "tanh", "hard_sigmoid"))
def test_batch_norm_rates_of_finite_batches_tend_to_their_limit(name):
    """The difference falls as 1/B: extrapolating from two sizes leaves 1/B²."""
    small, large = (batch_norm_rate(ACTIVATIONS[name], b) for b in (1000, 2000))
    limit = batch_norm_rate(ACTIVATIONS[name])
    assert 2 * large - small == pytest.approx(limit, rel=1e-4)
    assert batch_norm_rate(ACTIVATIONS[name], 4) > small > limit > 1


@pytest.mark.parametrize(
    ("name", "batch", "rate"),
    [
        ("linear", 8, 6 / 5),
        ("relu", 8, None),
        ("relu", 256, math.pi / (math.pi - 1)),
    ],
)
def test_batch_norm_rates_of_a_sampled_net(name, batch, rate):
    rng, width, depth = np.random.default_rng(0), 400, 25
    h, tape = rng.standard_normal((batch, width)), []
    for _ in range(depth):  # h′ = W φ(batch norm of h)
        deviation = h.std(axis=0)
        z = (h - h.mean(axis=0)) / deviation
        phi, dphi = evaluate(ACTIVATIONS[name], z)
        weight = rng.standard_normal((width, width)) / math.sqrt(width)
        tape.append((weight, z, dphi, deviation))
        h = phi @ weight
    g = rng.standard_normal((batch, width))
    norms = []
    for weight, z, dphi, deviation in reversed(tape):
        g = (g @ weight.T) * dphi
        g = (g - g.mean(axis=0) - z * (g * z).mean(axis=0)) / deviation
        norms.append(math.log(np.sum(g**2)))
    # From the fifth layer on the batch has forgotten both ends. 20 layers of 400 units
    # scatter by 1 %; a finite batch of 256 or width of 400 shifts the rate by as much.
    sampled = math.exp((norms[-3] - norms[4]) / (depth - 7))
    rate = rate or batch_norm_rate(ACTIVATIONS[name], batch)
    assert sampled == pytest.approx(rate, rel=0.02)


@pytest.mark.parametrize("activation", EVERY, ids=named)
@pytest.mark.parametrize(
    ("skip", "branch", "w", "b"),
    [
        (0.0, 1.0, 1.6, 0.05),
        (1.0, 0.3, 1.6, 0.05),
        (0.6, 0.8, 3.0, 0.0),
        (0.0, 1.0, 900.0, 4.0),
    ],
)
def test_profiles_are_the_maps_iterated(activation, skip, branch, w, b):
    q = 2.0
    profile = trajectory(activation, w, b, q, 30, skip=skip, branch=branch)
    assert profile.length.shape == (31,) and profile.chi.shape == (30,)
    for layer in range(30):
        if q > 3e6:  # where the composite rule's panels are too wide for φ
            break
        assert profile.length[layer] == pytest.approx(q, rel=1e-9)
        phi2, dphi2 = composite(activation, q)
        chi = skip**2 + branch**2 * w * dphi2
        assert profile.chi[layer] == pytest.approx(chi, rel=1e-9)
        q = skip**2 * q + branch**2 * (w * phi2 + b)


@pytest.mark.parametrize("normalizer", ("layer", "rms"))
def test_normalised_profiles(normalizer):
    profile = trajectory(
        RELU, 2.0, 0.1, 4.0, 5, normalizer=normalizer, skip=1.0, branch=0.5
    )
    # E[φ²] = E[φ′²] = 1/2 at q = 1: q grows by (1 + 0.1) / 4; χ = 1 + 1 / 4q.
    lengths = 4 + 0.275 * np.arange(6)
    np.testing.assert_allclose(profile.length, lengths, rtol=1e-12)
    np.testing.assert_allclose(profile.chi, 1 + 0.25 / lengths[:-1], rtol=1e-12)
    plain = trajectory(RELU, 2.0, 0.1, 4.0, 5, normalizer=normalizer)
    np.testing.assert_allclose(plain.length[1:], 1.1, rtol=1e-12)


def test_batch_normalised_profiles():
    profile = trajectory(RELU, 2.0, 0.0, 4.0, 5, normalizer="batch")
    np.testing.assert_allclose(profile.chi, math.pi / (math.pi - 1), rtol=1e-12)
    with pytest.raises(ValueError, match="skip"):
        trajectory(RELU, 2.0, 0.0, 1.0, 5, normalizer="batch", skip=1.0)
    with pytest.raises(ValueError, match="no theory"):
        trajectory(RELU, 2.0, 0.0, 1.0, 5, normalizer="group")


def test_deep_profiles_neither_overflow_nor_underflow():
    up = trajectory(ACTIVATIONS["relu_squared"], 1.0, 0.0, 5.0, 1000)
    assert up.length[-1] == math.inf and math.isnan(up.chi[-1])
    down = trajectory(RELU, 1.0, 0.0, 1.0, 10_000)
    # Exactly halved each layer, far below float32: 2^-600 is 2e-181.
    assert down.length[600] == pytest.approx(2.0**-600, rel=1e-9)
    assert down.length[-1] == 0 and down.chi[-1] == pytest.approx(0.5)
    assert np.all(trajectory(RELU, 2.0, 0.0, 3.0, 10_000).length == pytest.approx(3.0))
