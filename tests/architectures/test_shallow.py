"""Nets of no, one and more hidden layers, against products by hand."""

import jax
import numpy as np
import pytest

from depthbench.research.architectures import contract
from depthbench.research.architectures.dense import shallow
from depthbench.research.learning import fits
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task


def net_of(count, architecture="mlp"):
    recipe = Recipe(architecture=architecture, depth=1, width=5, activation="tanh")
    return fits.Net(recipe, Task((3,), 2, change=shallow.hidden(count)))


@pytest.mark.parametrize("count", [0, 1, 2, 4])
@pytest.mark.parametrize("architecture", ["mlp", "residual_mlp"])
def test_a_net_has_as_many_hidden_layers_as_asked(count, architecture):
    fit = fits.fresh(net_of(count, architecture))
    kernels = [
        np.asarray(leaf, np.float64)
        for leaf in jax.tree.leaves(fit.variables)
        if leaf.ndim > 1 and leaf.shape[-1] != 1
    ]
    assert sum(
        len(k) if k.ndim == 3 and k.shape[1:] == (5, 5) else 0 for k in kernels
    ) == max(count - 1, 0)
    x = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    np.testing.assert_allclose(
        fit.outputs(x), by_hand(fit, x, count), rtol=1e-5, atol=1e-6
    )


def by_hand(fit, x, count):
    """Outputs as products of the net's own kernels; biases are 0 at the start."""
    stages = fit.variables.stages
    first = jax.tree.leaves(stages[0]["params"])
    (kernel,) = (np.asarray(leaf[0], np.float64) for leaf in first if leaf.ndim == 3)
    z = x @ kernel
    if count == 0:
        return z
    skip = "residual" in fit.net.recipe.architecture
    if count > 1:
        (layers,) = (leaf for leaf in jax.tree.leaves(stages[1]) if leaf.ndim == 3)
        for layer in np.asarray(layers, np.float64):
            z = np.tanh(z) @ layer + (z if skip else 0)
    (head,) = (leaf for leaf in jax.tree.leaves(fit.variables.head) if leaf.ndim == 2)
    return np.tanh(z) @ np.asarray(head, np.float64)


def test_equal_counts_are_one_program():
    assert net_of(1).parts is net_of(1).parts
    assert shallow.hidden(3) is shallow.hidden(3)


def test_probes_see_the_first_layer_too():
    fit, probed = fits.fresh(net_of(4)), {}
    x = np.ones((2, 3), np.float32)
    data = {"inputs": x, "targets": np.zeros(2, np.int32)}
    tree = fit.learner(fits.numbers(fit.net, 0.0, 1))
    probed = fit.net.system.nets(tree, data)["net"]
    assert len(fit.states(x)) == 5 and fit.states(x)[0].shape == (2, 3)
    assert len(contract.links(probed.net, probed.variables)) == 4  # with both ends
