"""Dropout in a multilayer perceptron: its masks, its expectation, and the judged net."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.architectures.contract import apply, init
from depthbench.research.architectures.dense import dropout
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.learning import feed, fits, supervised
from depthbench.research.learning.recipe import Recipe
from tests.learning.resumption import assert_resumes

KEEP = 0.8
X = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
UNITS = dropout.Dropped(jax.nn.relu, NORMALIZERS["none"], KEEP)


def both(network):
    """(a plain net, the same with dropout, variables of both)."""
    plain = network("mlp", "relu", "none", width=16, depth=3)
    changed = dropout.of_mlp(plain, KEEP)
    return plain, changed, (init(jax.random.key(1), net, X) for net in (plain, changed))


def masks(count):
    """What is left of ones [count, 50] by that many keys."""
    ones = jnp.ones((1, 50))
    run = lambda key: UNITS.apply({}, ones, True, rngs={"dropout": key})[0]
    return np.asarray(jax.vmap(run)(jax.random.split(jax.random.key(0), count)))


def test_units_are_kept_as_often_as_said_and_keep_their_expectation():
    each = masks(400)
    assert set(np.unique(each)) == {0.0, np.float32(1 / KEEP)}
    # 20,000 draws: the standard error of the mean is √((1 − p) / p / 20,000) = .0035.
    assert np.mean(each) == pytest.approx(1.0, abs=0.018)


def test_every_key_and_every_layer_has_a_mask_of_its_own(network):
    few = masks(2)
    assert np.any(few[0] != few[1])
    # Layers that hand on what they read: what is 0 after one mask alone is on its own.
    _, net, (_, variables) = both(network)
    eye = jax.tree.map(lambda a: jnp.zeros_like(a), variables)
    for stage in eye.stages[:1]:
        dense = stage["params"]["Dense_0"]
        dense["kernel"] = jnp.broadcast_to(jnp.eye(16), dense["kernel"].shape)
    eye.stem["params"]["Dense_0"]["bias"] = jnp.ones(16)
    eye.head["params"]["Dense_0"]["kernel"] = jnp.ones((16, net.head.outputs))
    left = [apply(net, eye, X, key=jax.random.key(seed))[0] for seed in range(60)]
    # Four masks of 16 units: of a sum, the mean is 16 and the variance 16 (1 / .8⁴ − 1).
    # One mask for all would leave 1 / .8³ times the mean. Of 180 sums the standard errors
    # are .36, and a tenth of the variance.
    sums = np.asarray(left)[:, :, 0]
    assert np.mean(sums) == pytest.approx(16, abs=1.6)
    assert np.var(sums) == pytest.approx(16 * (KEEP**-4 - 1), rel=0.5)


def test_the_judged_net_and_its_start_are_those_without_dropout(network):
    plain, changed, (one, other) = both(network)
    jax.tree.map(np.testing.assert_array_equal, one.stages[0], other.stages[0])
    expected = np.asarray(apply(plain, one, X, train=False)[0])
    np.testing.assert_array_equal(apply(changed, other, X, train=False)[0], expected)
    np.testing.assert_array_equal(apply(changed, other, X)[0], expected)  # no key
    dropped = apply(changed, other, X, key=jax.random.key(0))[0]
    assert np.max(np.abs(dropped - expected)) > 0.1 * np.max(np.abs(expected))


def test_only_a_share_can_be_kept(network):
    for keep in (0.0, 1.1):
        with pytest.raises(ValueError, match="must be in"):
            dropout.of_mlp(network("mlp", "relu", "none", width=16, depth=3), keep)


def recipe_of(keep):
    change = functools.partial(dropout.of_mlp, keep=keep)
    recipe = Recipe(depth=2, width=8, batch=4)
    return fits.Net(recipe, supervised.Task((8,), 2, change=change))


def test_every_step_has_masks_of_its_own():
    one = {"inputs": X[:1], "targets": np.zeros(1, np.int32)}
    (still,) = fits.train(recipe_of(KEEP), one, 4, (0.0,), 1)
    assert len(set(np.asarray(still.log["loss"]).tolist())) == 4
    (kept,) = fits.train(recipe_of(1.0), one, 4, (0.0,), 1)
    assert len(set(np.asarray(kept.log["loss"]).tolist())) == 1


def test_training_with_dropout_goes_on_from_the_disk(tmp_path):
    net = recipe_of(KEEP)
    data = {"inputs": X, "targets": np.array([0, 1, 0], np.int32)}
    hyper = fits.numbers(net, 0.1, 4)
    assert_resumes(net.system, feed.drawn(4), data, hyper, tmp_path / "run")
