"""`deepnorm_update`: first updates, against automatic differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from depthbench.experiments.propagation import deepnorm_update, transformers
from depthbench.research.architectures import contract
from depthbench.research.architectures.contract import apply
from tests.experiments.propagation.test_transformers import (
    DEPTH,
    inputs,
    net,
    power,
    row_of,
    shallow,
)


def test_updates_are_derivatives_along_the_first_step(filled):
    x, y = inputs()
    variables = filled(net("deepnorm"), x)
    updates = jax.jit(
        lambda v, depth: deepnorm_update.moved(net("deepnorm", depth), v, x, y, depth)
    )(variables, DEPTH)
    small, variables = shallow("deepnorm", variables)

    @jax.jit
    def expected(variables):
        def outputs(stages):
            return apply(small, variables._replace(stages=stages), x)[0]

        loss = transformers.labelled(y)
        gradient = jax.grad(lambda stages: loss(outputs(stages)))(variables.stages)
        _, push = jax.linearize(outputs, variables.stages)
        changes = jax.vmap(push)(deepnorm_update.steps(gradient))
        return jnp.log10(jnp.mean(jnp.linalg.norm(changes, axis=-1), axis=-1))

    # In decades: some 20 float32 products one after the other, in another order.
    np.testing.assert_allclose(updates, expected(variables), atol=2e-5)


def test_steps_are_those_of_the_optimizers():
    kernel, bias = np.array([2.0, -0.5, 0.0], np.float32), np.ones(2, np.float32)
    gradient = {"dense": {"kernel": kernel, "bias": bias}}
    optimizer = optax.adam(1.0)

    @jax.jit
    def both(gradient):
        steps = deepnorm_update.steps(gradient)
        return steps, optimizer.update(gradient, optimizer.init(gradient))[0]

    with jax.numpy_dtype_promotion("standard"):  # optax mixes floats and counts
        ours, adam = jax.device_get(both(gradient))
    ours, adam = ours["dense"], adam["dense"]
    np.testing.assert_array_equal(ours["kernel"][:2], [kernel, kernel])
    np.testing.assert_array_equal(ours["bias"], [0 * bias, bias, 0 * bias])
    # optax divides a mean that is 0.001 of g² by 1 − 0.999 in float32, good to 6e-5.
    np.testing.assert_allclose(ours["kernel"][2], -adam["kernel"], rtol=1e-4)


def test_a_row_of_updates(monkeypatch, filled):
    monkeypatch.setattr(contract, "init", lambda key, net, x: filled(net, x))
    monkeypatch.setattr(deepnorm_update, "moved", power([0.0, 1.0, 0.5]))
    row = row_of(deepnorm_update.STUDY, "deepnorm")
    for name, expected in zip(deepnorm_update.STEPS, (0.0, 1.0, 0.5), strict=True):
        # A line through float32 logarithms.
        assert row[f"{name}_exponent"] == pytest.approx(expected, abs=1e-6)
        assert row[f"{name}_exponent_se"] == pytest.approx(0, abs=1e-6)
