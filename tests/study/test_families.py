"""Depths that nets have, and what a layer of each family costs, as the runner is told."""

import jax
import numpy as np
import pytest

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.contract import init
from depthbench.research.architectures.family import ANY_DEPTH
from depthbench.research.study import families
from depthbench.research.study.declaration import chosen_values, grid
from depthbench.research.study.errors import Refusal
from depthbench.research.study.studies import studies

BLOCKS = ("branch_scale",)  # whose depth counts blocks, and not the net's layers


def restricted(study):
    """The architectures of which a study takes a depth, and which have only some."""
    both = {"architecture", "depth"} <= study.axes.keys() and study.name not in BLOCKS
    names = (both and study.axes["architecture"].choices) or ()
    known = [name for name in names if name in ARCHITECTURES]
    return [name for name in known if ARCHITECTURES[name].depths is not ANY_DEPTH]


@pytest.mark.parametrize("name", [n for n, s in studies().items() if restricted(s)])
def test_a_depth_that_a_net_has_not_is_refused(name):
    """The least that the axis allows and the net has not: a builder would round it."""
    study = studies()[name]
    for net in restricted(study):
        depths, least = ARCHITECTURES[net].depths, int(study.axes["depth"].low or 1)
        depth = next(d for d in range(least, 10**4) if not depths.allows(d))
        asked = {"architecture": (net,), "depth": (depth,)}
        cells = grid(study, chosen_values(study, "smoke", asked))
        with pytest.raises(Refusal, match=f"{depth}"):
            study.fit(cells, set(asked))


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
