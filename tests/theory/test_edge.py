"""Correlations on the edge of chaos, against closed forms and plain iteration."""

import math

import numpy as np
import pytest

from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.theory import edge, mean_field
from tests.theory.maps import correlation_map


def at(name):
    activation = ACTIVATIONS[name]
    point = mean_field.critical_point(activation)
    return activation, point.sigma_w2, point.sigma_b2, point.q_star


def test_constants_in_closed_form():
    relu = edge.decay(ACTIVATIONS["relu"], 2.0, 3.0)  # at any length
    assert relu == (2, pytest.approx(9 * math.pi**2 / 2, rel=1e-12))
    for q in (0.3, 1.0, 4.0):
        # erf: E[φ′²] = 4/π (1+4q)^-½ and E[φ″²] = 16 q/π (1+4q)^-3/2.
        activation = ACTIVATIONS["erf"]
        sigma_w2 = float(mean_field.critical_line(activation, q).sigma_w2)
        expected = (1 + 4 * q) / (2 * q**2)
        assert edge.decay(activation, sigma_w2, q) == (1, pytest.approx(expected))


def test_slopes_that_jump_are_seen():
    assert edge.jumps(ACTIVATIONS["relu"]) == pytest.approx([1.0])
    assert edge.jumps(ACTIVATIONS["hard_tanh"]) == pytest.approx([1.0, -1.0])
    assert edge.jumps(ACTIVATIONS["elu"]) == pytest.approx([0.0])
    assert edge.jumps(ACTIVATIONS["tanh"]).size == 0


def test_relu_is_iterated_as_its_arc_cosine_map():
    gaps = edge.correlations(ACTIVATIONS["relu"], 2.0, 0.0, 1.0, 0.5, 3000)
    c = 0.5
    for layer in range(1, 3001):
        angle = math.acos(c)
        c = (math.sin(angle) + (math.pi - angle) * c) / math.pi
        if layer in (1, 10, 100, 300):
            assert gaps[layer] == pytest.approx(1 - c, rel=1e-6)
    assert gaps[-1] == pytest.approx(1 - c, rel=1e-5)


@pytest.mark.parametrize("name", ["tanh", "hard_tanh", "silu"])
def test_the_table_is_the_map(name):
    activation, sigma_w2, sigma_b2, q = at(name)
    gaps = edge.correlations(activation, sigma_w2, sigma_b2, q, 0.9, 40)
    c = np.array(0.1)
    for gap in gaps[1:]:
        c = correlation_map(activation, sigma_w2, sigma_b2, q, c)
        assert gap == pytest.approx(1 - float(c), rel=1e-5)  # a spline of 161 points


@pytest.mark.parametrize("name", ["tanh", "erf", "silu", "relu", "hard_tanh", "selu"])
def test_the_map_arrives_at_the_constant(name):
    """The next order is ln(l)/l of the constant: 1 % at 5,000 layers, but for SELU's."""
    activation, sigma_w2, sigma_b2, q = at(name)
    law = edge.decay(activation, sigma_w2, q)
    gaps = edge.correlations(activation, sigma_w2, sigma_b2, q, 0.5, 5000)
    assert gaps[-1] * 5000**law.power == pytest.approx(law.constant, rel=0.03)
    assert law.power == (1 if name in ("tanh", "erf", "silu") else 2)
