"""Weights counted by shapes, beside arithmetic and beside nets that are really drawn."""

import jax
import numpy as np
import pytest

from depthbench.experiments.training import dense_weights as study
from depthbench.research.architectures import contract


def cell(kind, side, depth):
    return {"kind": kind, "side": side, "depth": depth}


def test_a_megapixel_has_exactly_nine_trillion_weights():
    values = study.counts(cell("dense", 1000, 2)).values
    assert values["layer_weights"] == 9 * 10**12
    # Stem and two layers with biases, and a head of ten outputs.
    n = 3 * 10**6
    assert values["weights"] == 3 * (n * n + n) + 10 * n + 10
    assert values["device"] == "none" and values["deepest"] == -1


@pytest.mark.parametrize("kind", ["dense", "convolution"])
def test_shapes_are_those_of_a_net_that_is_drawn(kind):
    side, depth = 5, 3
    net = study.net_of(kind, side, depth)
    x = np.ones((1, side, side, 3), np.float32)
    drawn = contract.init(jax.random.key(0), net, x)
    variables, state = study.shapes(kind, side, depth)
    sizes = lambda tree: [leaf.shape for leaf in jax.tree.leaves(tree)]
    assert sizes(drawn) == sizes(variables)
    values = study.counts(cell(kind, side, depth)).values
    assert values["weights"] == sum(leaf.size for leaf in jax.tree.leaves(drawn))
    assert state.size == net.stem.apply(drawn.stem, x).size


def test_a_convolution_s_weights_do_not_grow_with_the_image():
    small, large = (study.counts(cell("convolution", n, 1)).values for n in (10, 1000))
    assert small["layer_weights"] == large["layer_weights"] == 9 * 64 * 64
    assert large["state"] == 64 * 10**6
    assert large["step_mflop"] > 9000 * small["step_mflop"]  # 10⁴, apart from the head


def test_a_dense_step_is_two_operations_a_weight_three_times():
    one, two = (study.counts(cell("dense", 100, depth)).values for depth in (1, 2))
    # Forwards, back through the weights and to them; the state is 3 × 10⁻⁵ of it.
    expected = 6 * 900_000_000 / 1e6
    assert two["step_mflop"] - one["step_mflop"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    "need, name", [(16e9, "a laptop"), (16e9 + 1, "an H100"), (1e15, "none")]
)
def test_the_smallest_device_that_holds_it(need, name):
    assert study.device(need) == name


def test_how_deep_a_net_fits():
    # Ends of 10 weights, a state of 5 numbers; layers of 3 weights and a state each.
    bare = 16 * 10 + 4 * 5
    each = 16 * 3 + 4 * 5
    assert study.deepest(3, 10, 5, bare + 7 * each) == 7
    assert study.deepest(3, 10, 5, bare + 8 * each - 1) == 7
    assert study.deepest(3, 10, 5, bare - 1) == -1
