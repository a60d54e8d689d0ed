"""Nets of one stage of equal dense layers: gradients, seeds, and theory's branch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.contract import apply
from tests.conftest import dense_families
from tests.differences import check_gradient
from tests.entries import KEY, normal

dense = pytest.mark.parametrize(
    "entry", [ARCHITECTURES[n] for n in dense_families()], ids=dense_families()
)


@dense
def test_an_architecture_differentiates(entry, network, filled):
    net, x = network(entry.name), normal(4, 6, dtype=np.float64)
    with jax.enable_x64(True):
        check_gradient(lambda v: apply(net, v, x)[0], filled(net, x))


@dense
def test_an_architecture_maps_over_seeds_and_compiles_once(
    entry, network, filled, traces
):
    net, x = network(entry.name), normal(4, 6)
    drawn = [filled(net, x, seed=seed) for seed in range(3)]
    run = traces(lambda variables: apply(net, variables, x)[0])
    alone = [run(variables) for variables in drawn]
    assert run.count == 1
    stacked = jax.tree.map(lambda *arrays: jnp.stack(arrays), *drawn)
    together = jax.jit(jax.vmap(lambda variables: apply(net, variables, x)[0]))(stacked)
    # Products of matrices side by side are summed in another order.
    np.testing.assert_allclose(together, jnp.stack(alone), rtol=1e-4, atol=1e-6)


@dense
def test_a_branch_is_the_layer_that_theory_speaks_of(entry, network):
    if entry.branch is None:
        return
    depth = 4
    branch = entry.branch(depth)
    net = network(entry.name, "tanh", depth=depth)
    plain = network("mlp", "tanh", depth=depth)
    h = normal(3, 8)
    layer, variables = net.stages[0].layer, plain.stages[0].layer.init(KEY, h)
    initial = layer.init(KEY, h)["params"]
    # Where a branch is a layer within the layer, its kernel is handed in.
    mine = variables["params"]
    params = {n: mine if n.startswith("Layer") else initial[n] for n in initial}
    params = mine if entry.name == "mlp" else params
    expected = branch.skip * h + branch.scale * plain.stages[0].layer.apply(
        variables, h
    )
    np.testing.assert_allclose(
        layer.apply({"params": params}, h), expected, rtol=1e-6, atol=1e-6
    )
