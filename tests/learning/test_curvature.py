"""Curvature against Hessians by hand and against the whole matrix."""

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.learning import curvature, fits, starts
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task

X = np.random.default_rng(3).normal(size=(12, 3)).astype(np.float32)
DATA = {"inputs": X, "targets": (X[:, 0] * X[:, 1] > 0).astype(np.int32)}
NET = fits.Net(Recipe(depth=2, width=4, activation="tanh", batch=12), Task((3,), 2))


def trained():
    runs = [starts.Run(seed, fits.numbers(NET, 0.03, 30)) for seed in range(3)]
    return starts.train(NET, DATA, 30, runs)


def test_ends_of_a_quadratic_form_are_its_own():
    """v·A v / 2 of a random symmetric A, whose eigenvalues numpy gives."""
    random = np.random.default_rng(0).normal(size=(40, 40))
    matrix = ((random + random.T) / 2).astype(np.float32)
    loss = lambda v: v @ jnp.asarray(matrix) @ v / 2
    values = np.linalg.eigvalsh(matrix.astype(np.float64))
    for ends in (curvature.exact_ends, curvature.lanczos_ends):
        # As many steps as dimensions: exact but for float32's rounding.
        np.testing.assert_allclose(ends(loss, jnp.ones(40)), values[[0, -1]], rtol=1e-4)


def test_lanczos_in_a_few_steps_is_near_and_inside():
    values = np.concatenate([[-5.0], np.linspace(0, 1, 200), [20.0]]).astype(np.float32)
    loss = lambda v: jnp.sum(jnp.asarray(values) * v**2) / 2
    least, largest = curvature.lanczos_ends(loss, jnp.zeros(202), steps=25)
    # Ends that stand apart converge first; they are never passed, rounding apart.
    np.testing.assert_allclose([least, largest], [-5.0, 20.0], rtol=1e-4)


def test_a_net_is_curved_as_its_hessian_by_differences():
    """Central differences of the gradient, of step 1e-2: to a hundredth of the largest."""
    nets = trained()
    found = curvature.curved(nets, DATA)
    for place, fit in enumerate(nets):
        loss, at = curvature.flat_loss(NET, fit.variables, DATA)
        gradient = jax.jit(jax.grad(loss))
        step = 1e-2
        rows = [
            (gradient(at + step * one) - gradient(at - step * one)) / (2 * step)
            for one in jnp.eye(at.size, dtype=jnp.float32)
        ]
        values = np.linalg.eigvalsh(np.asarray(rows, np.float64))
        near = {"atol": 0.01 * abs(values[-1])}
        np.testing.assert_allclose(found.least[place], values[0], **near)
        np.testing.assert_allclose(found.largest[place], values[-1], **near)
        np.testing.assert_allclose(found.loss[place], loss(at), rtol=1e-5)
        size = np.linalg.norm(gradient(at))
        np.testing.assert_allclose(found.gradient[place], size, rtol=1e-4)
        steep = size * np.linalg.norm(at) / loss(at)
        np.testing.assert_allclose(found.steepness[place], steep, rtol=1e-4)


def test_lanczos_finds_a_nets_ends():
    loss, at = curvature.flat_loss(NET, trained()[0].variables, DATA)
    both = jax.jit(
        lambda at: (curvature.exact_ends(loss, at), curvature.lanczos_ends(loss, at))
    )
    whole, few = both(at)
    # Of 66 parameters in 60 steps: what is left is small beside the largest.
    np.testing.assert_allclose(few, whole, atol=1e-3 * abs(whole[1]))
