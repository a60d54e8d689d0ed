"""Stochastic depth: which blocks are there, and what a net is on average."""

import jax
import numpy as np
import pytest

from depthbench.research.architectures.contract import apply, init
from depthbench.research.architectures.loops import LOOPS
from depthbench.research.architectures.residual import stochastic

DEPTH = 14  # six blocks, two of which change the shape
X = np.random.default_rng(0).standard_normal((3, 8, 8, 1)).astype(np.float32)


def test_survival_falls_in_a_line_to_a_half():
    np.testing.assert_allclose(stochastic.survival(4), [0.875, 0.75, 0.625, 0.5])
    assert stochastic.survival(54)[-1] == 0.5


def test_a_nets_blocks_survive_by_their_place_in_it(network):
    net = network("resnet_stochastic", "relu", "batch", width=4, depth=DEPTH)
    each = np.concatenate([stage.fed for stage in net.stages])
    assert [len(stage.fed) for stage in net.stages] == [s.depth for s in net.stages]
    np.testing.assert_array_equal(each, stochastic.survival(6))


def of_stage(network, filled, number=0):
    """(a stage's layer, its variables, a state for it, its probability)."""
    net = network("resnet_stochastic", "relu", "none", width=4, depth=DEPTH)
    stage = net.stages[number]
    h = np.abs(np.random.default_rng(1).standard_normal((2, 4, 4, 4))).astype("f4")
    variables = jax.tree.map(lambda a: a[0], filled(net, X).stages[number])
    return stage.layer, variables, h, stage.fed[0]


def test_a_block_is_there_or_is_not(network, filled):
    """As often as it should: a draw is either the whole block or its input."""
    layer, variables, h, _ = of_stage(network, filled)
    keys = jax.random.split(jax.random.key(2), 2000)

    @jax.jit
    def outputs(keys):
        run = lambda key: layer.apply(variables, h, True, 0.7, rngs={"dropout": key})
        return jax.lax.map(run, keys)

    each = np.asarray(outputs(keys))
    whole = np.asarray(layer.apply(variables, h, True, 1.0))
    assert np.max(np.abs(whole - h)) > 0.1
    there = np.max(np.abs(each - whole), axis=(1, 2, 3)) < 1e-5
    skipped = np.all(each == h, axis=(1, 2, 3))  # states are not negative: φ(h) = h
    assert np.all(there ^ skipped)
    # 2,000 draws: the standard error is .010.
    assert np.mean(there) == pytest.approx(0.7, abs=0.04)


def test_without_a_key_a_branch_is_its_expectation(network, filled):
    """h + p f(h), of which h + f(h) and h are the two ends, before φ."""
    layer, variables, h, _ = of_stage(network, filled)
    linear = layer.clone(activation=lambda a: a)
    run = lambda p: np.asarray(linear.apply(variables, h, False, p), np.float64)
    np.testing.assert_allclose(run(0.0), h, atol=1e-6)
    middle = 0.3 * run(1.0) + 0.7 * run(0.0)
    np.testing.assert_allclose(run(0.3), middle, atol=1e-5)  # float32 sums


def test_a_net_with_a_key_is_another_each_time_and_without_one_the_same(
    network, filled
):
    net = network("resnet_stochastic", "relu", "batch", width=4, depth=DEPTH)
    variables = filled(net, X)
    run = jax.jit(lambda key: apply(net, variables, X, True, key)[0])
    several = [np.asarray(run(jax.random.key(number))) for number in range(20)]
    # Of 2^6 sets of blocks, the likeliest of which has a chance of one in six.
    assert len({one.tobytes() for one in several}) >= 5
    np.testing.assert_array_equal(several[0], run(jax.random.key(0)))
    still = jax.jit(lambda: apply(net, variables, X, True)[0])
    np.testing.assert_array_equal(still(), still())


def test_unrolled_blocks_have_the_same_probabilities(network, filled):
    net = network("resnet_stochastic", "relu", "batch", width=4, depth=20)
    apart = LOOPS["unrolled"].change(net)
    fed = [np.concatenate([stage.fed for stage in n.stages]) for n in (net, apart)]
    np.testing.assert_array_equal(*fed)
    one, other = (
        jax.jit(lambda n=n: apply(n, init(jax.random.key(0), n, X), X)[0])()
        for n in (net, apart)
    )
    # The same sums, in another order.
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
