"""`transformer_placement`: the last layer's gradient, against automatic differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.experiments.propagation import transformer_placement, transformers
from depthbench.research.architectures import contract
from depthbench.research.architectures.contract import Variables, apply
from depthbench.research.signal import probes
from tests.experiments.propagation.test_transformers import (
    DEPTH,
    inputs,
    net,
    power,
    row_of,
    shallow,
)


def test_the_last_gradient_is_the_last_layers(filled):
    x, y = inputs()
    deep = net("pre_ln")  # whose head has a normaliser of its own
    variables = filled(deep, x)
    log10_norm = jax.jit(
        lambda v, depth: transformer_placement.last_gradient(deep, v, x, y, depth)
    )(variables, DEPTH)
    small, variables = shallow("pre_ln", variables)

    def loss(variables: Variables):
        return transformers.labelled(y)(apply(small, variables, x)[0])

    (layers,) = jax.jit(jax.grad(loss))(variables).stages
    last = layers["params"]["narrow"]["kernel"][-1]
    # In decades: float32's rounding in another order.
    np.testing.assert_allclose(log10_norm, np.log10(np.linalg.norm(last)), atol=2e-5)


def test_a_row_of_last_gradients(monkeypatch, filled):
    monkeypatch.setattr(contract, "init", lambda key, net, x: filled(net, x))
    monkeypatch.setattr(transformer_placement, "last_gradient", power(-0.5))
    layers = jnp.arange(16.0)
    monkeypatch.setattr(probes, "log_gradients", lambda *a: (layers, layers))
    row = row_of(transformer_placement.STUDY, "pre_ln")
    # As above.
    assert row["gradient_exponent"] == pytest.approx(-0.5, abs=1e-6)
    assert row["log10_last"] == pytest.approx(-0.5 * np.log10(16), abs=1e-6)
    assert row["log10_first_over_last"] == -15
