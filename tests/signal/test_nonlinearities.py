"""Saturated and dead shares, of what looks like an activation in any function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.signal import segments, states
from depthbench.research.theory.activation import steepest, value_and_slope
from tests.signal.chains import composed, loss
from tests.signal.test_states import WIDTH, matrices

X = 4 * np.random.default_rng(0).standard_normal((3, WIDTH)).astype(np.float32)
# No function with a bend, as this is taken here: the square of a normal density's kind.
UNSEEN = {"linear"}


def shares(f, params, x=X):
    measured = states.measured(segments.network(f, params, x, loss), params, x)
    pairs = zip(measured.saturated, measured.dead, strict=True)
    return dict(zip(measured.names, pairs, strict=True))


def expected(phi, z, least):
    """By the definition of gradient_flow's column, a loop."""
    _, slope = value_and_slope(phi, z)
    few = [all(abs(s) < least for s in unit) for unit in slope.reshape(len(z), -1).T]
    none = [all(s == 0 for s in unit) for unit in slope.reshape(len(z), -1).T]
    return np.mean(few), np.mean(none)


@pytest.mark.parametrize("name", [a.name for a in ACTIVATIONS.values()])
def test_every_activation_of_the_catalogue_is_seen(name):
    """And its shares are those of gradient_flow."""
    phi = ACTIVATIONS[name].phi
    # Units that are far on either side of where a slope rounds to 0.
    w = matrices(1)[0] * np.array([0.01, 0.1, 0.3, 1, 1e3, 1e4], np.float32)
    z = X @ w - 1
    ours = shares(lambda p, h: jnp.sin(phi(h @ p - 1) @ p), w)["step_1"]
    if name in UNSEEN:
        assert np.isnan(ours).all()
    else:
        least = 0.01 * steepest(ACTIVATIONS[name])
        np.testing.assert_allclose(ours, expected(phi, z, least), atol=1e-6)


FORMS = {
    "where": lambda z: jnp.where(z > 0, z, 0),
    "maximum": lambda z: jnp.maximum(0, z),
    "clip": lambda z: jnp.clip(z, 0, None),
    "jitted": jax.jit(lambda z: jax.nn.relu(z)),
    "in bfloat16": lambda z: jax.nn.relu(z.astype(jnp.bfloat16)).astype(jnp.float32),
    "a learned slope": lambda z: jnp.where(z > 0, 1.0, 0.0) * z,
}


@pytest.mark.parametrize("form", FORMS)
def test_relus_are_relus_however_they_are_written(form):
    w = matrices(1)[0]
    dead = np.mean(np.all(X @ w < 3, axis=0))
    assert 0 < dead < 1
    ours = shares(lambda p, h: jnp.sin(FORMS[form](h @ p - 3) @ p), w)["step_1"]
    assert ours == pytest.approx((dead, dead))


def normed(h):
    apart = h - jnp.mean(h, -1, keepdims=True)
    variance = jnp.maximum(jnp.mean(jnp.square(apart), -1, keepdims=True), 0.0)
    return apart * jax.lax.rsqrt(variance + 1e-5)


NONE = {
    "a product": lambda p, h: h @ p,
    "a bias and a gain": lambda p, h: 2 * (h @ p) + p[:1],
    "a layer norm": lambda p, h: normed(h @ p) * p[:1],
    "a softmax": lambda p, h: jax.nn.softmax(h @ p),
    "a mask": lambda p, h: jnp.where(np.tri(3, WIDTH) > 0, h @ p, 0.0),
    "a product of two": lambda p, h: (h @ p) * (h @ p.T),
    "no axis of the batch": lambda p, h: jnp.tanh((h @ p).T).T,
    "a ReLU within a branch": lambda p, h: jax.lax.cond(
        jnp.sum(p) > 0, lambda h: jax.nn.relu(h @ p), lambda h: h @ p, h
    ),
}


@pytest.mark.parametrize("form", NONE)
def test_what_is_no_activation(form):
    measured = shares(lambda p, h: NONE[form](p, h) @ p, matrices(1)[0])
    assert np.isnan(list(measured.values())).all()


def test_the_mean_over_a_segments_activations():
    """A gated layer has two: one is dead, the other lives."""

    def layer(p, h):
        gate = jax.nn.sigmoid(1e-3 * (h @ p.T))
        return (gate * jax.nn.relu(h @ p - 1000.0)) @ p + h

    measured = shares(composed([layer] * 4), matrices(1)[0])
    assert list(measured.values())[1:] == [(0.5, 0.5)] * 4


def test_a_learned_slope_is_one_for_all_elements():
    params = {"w": matrices(1)[0], "slope": np.float32(0.0)}
    phi = lambda p, z: jnp.where(z > 0, z, p["slope"] * z)
    f = lambda p, h: jnp.sin(phi(p, h @ p["w"] - 3) @ p["w"])
    dead = np.mean(np.all(X @ params["w"] < 3, axis=0))
    assert shares(f, params)["step_1"] == pytest.approx((dead, dead))
    params["slope"] = np.float32(0.1)
    assert shares(f, params)["step_1"] == (0, 0)


@jax.custom_vjp
def _clipped_back(h):
    return h


_clipped_back.defvjp(lambda h: (h, None), lambda _, g: (jnp.clip(g, -1e-3, 1e-3),))


def test_a_rule_that_clips_gradients_saturates_nothing():
    layer = lambda p, h: _clipped_back(jnp.tanh(0.01 * h @ p))
    measured = shares(composed([layer] * 3), matrices(1)[0])
    assert list(measured.values())[1:] == [(0, 0)] * 3
