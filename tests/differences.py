"""Gradients against central differences, in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest


def check_gradient(function, at):
    """A random projection of the gradient against a central difference, in float64."""
    random = np.random.default_rng(7)
    direction = jax.tree.map(lambda a: random.standard_normal(a.shape), at)
    weights = random.standard_normal(jax.eval_shape(function, at).shape)

    @jax.jit
    def value(step):
        moved = jax.tree.map(lambda a, d: a + step * d, at, direction)
        return jnp.sum(weights * function(moved))

    gradient = jax.jit(jax.grad(lambda at: jnp.sum(weights * function(at))))(at)
    assert all(np.all(np.isfinite(g)) for g in jax.tree.leaves(gradient))
    products = jax.tree.map(lambda g, d: np.sum(np.asarray(g) * d), gradient, direction)
    h = np.float64(1e-4)
    near, far = value(h) - value(-h), value(2 * h) - value(-2 * h)
    central = (8 * near - far) / (12 * h)
    # h⁴ = 1e-16 times a fifth derivative of up to 1e8 (batch norm of 4 examples).
    assert float(sum(jax.tree.leaves(products))) == pytest.approx(
        float(central), rel=1e-7, abs=1e-7
    )
