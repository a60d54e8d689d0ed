"""Symbols that are looked up, against products with one-hot vectors."""

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.architectures import contract, lookup
from depthbench.research.learning import fits, supervised
from depthbench.research.learning.recipe import Recipe


def test_a_looked_up_net_is_that_of_the_tables_rows():
    change = lookup.of_symbols(9, 5)
    assert change is lookup.of_symbols(9, 5)  # so that equal tasks share programs
    recipe = Recipe(architecture="text_cnn", depth=2, width=7, batch=4)
    net = fits.Net(recipe, supervised.Task((6,), 2, change=change))
    fresh = fits.fresh(net)
    x = np.random.RandomState(0).randint(0, 9, (4, 6)).astype(np.int32)
    stem = fresh.variables.stem["params"]
    assert stem["table"].shape == (9, 5)
    inner = fits.Net(recipe, supervised.Task((6, 5), 2)).parts.net
    own = fresh.variables._replace(stem={"params": stem["stem"]})
    rows = jax.nn.one_hot(x, 9) @ stem["table"]
    wanted = contract.apply(inner, own, rows, train=False)[0]
    # Sums of nine terms, of which one is not 0.
    np.testing.assert_allclose(fresh.outputs(x), wanted, rtol=1e-5, atol=1e-6)


def test_the_head_reads_the_largest_of_each_feature():
    recipe = Recipe(architecture="text_cnn", depth=1, width=6, batch=4)
    net = fits.fresh(fits.Net(recipe, supervised.Task((8, 3), 2)))
    x = np.random.RandomState(0).standard_normal((4, 8, 3)).astype(np.float32)
    last = jnp.asarray(net.states(x)[-1])
    head = net.variables.head["params"]
    kernel, bias = jax.tree.leaves(head)[1], jax.tree.leaves(head)[0]
    wanted = jnp.max(last, axis=1) @ kernel + jnp.reshape(bias, (1, -1))
    np.testing.assert_allclose(net.outputs(x), wanted, rtol=1e-5, atol=1e-6)
