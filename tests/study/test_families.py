"""What a layer of each family costs, as the runner is told."""

import jax
import numpy as np
import pytest

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.contract import init
from depthbench.research.study import families


@pytest.mark.parametrize("name", ("mlp", "cnn", "cnn_1d", "highway_mlp"))
def test_the_memory_estimate_of_a_layer(name, network):
    cell = {"architecture": name, "dataset": "digits", "width": 16, "batch": 4}
    net = network(name, width=16, depth=7, outputs=10)
    x = jax.ShapeDtypeStruct((4, 8, 8, 1), np.float32)
    held = jax.eval_shape(lambda key, x: init(key, net, x), jax.random.key(0), x)
    weights = sum(leaf.size for leaf in jax.tree.leaves(held.stages)) / 7
    state = 4 * 16 * 8 ** ARCHITECTURES[name].space
    found = families.cost(cell, 8).memory - families.cost(cell, 7).memory
    # Four bytes each, and room for a copy; biases count as often as a kernel's places.
    assert found == pytest.approx(2 * 4 * (weights + state), rel=0.05)
