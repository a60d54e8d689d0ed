"""Evolution strategies: the slope of ranks, and runs that resume bit for bit."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats as statistics

from depthbench.research.architectures.contract import divide
from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.learning import evolution, feed, fits, supervised
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task
from depthbench.research.learning.system import Moment
from tests.learning import resumption

RECIPE = Recipe(depth=1, width=4, batch=16, activation="tanh")
NET = fits.Net(RECIPE, Task((3,), 2))
X = np.random.RandomState(0).randn(16, 3).astype(np.float32)
DATA = {"inputs": X, "targets": (X[:, 0] > 0).astype(np.int32)}


def test_ranks_are_scipys():
    losses = np.random.RandomState(1).randn(2, 7).astype(np.float32)
    expected = (statistics.rankdata(losses).reshape(2, 7) - 1) / 13 - 0.5
    np.testing.assert_allclose(evolution.ranks(losses), expected, atol=1e-6)


def test_the_slope_of_many_neighbours_has_the_gradients_direction():
    """By 4,096 pairs of 26 parameters the angle is some √(26 / 8,192) rad off: cosine
    above 0.99; and a rank is a monotone function of the loss."""
    params, stats = divide(fits.fresh(NET).variables)
    parts, key = NET.parts, jax.random.key(3)
    found = evolution.estimated(parts, params, stats, DATA, key, 0.01, 4096)
    true, _ = supervised.gradients(parts, params, stats, DATA, None)
    one, other = (
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])
        for tree in (found.slope, true)
    )
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert cosine > 0.99 and found.losses.shape == (2, 4096)
    # Neighbours differ by σ times the gradient's length.
    spread = float(jnp.std(found.losses))
    assert spread == pytest.approx(0.01 * np.linalg.norm(other), rel=0.05)


def test_steps_shorten_as_the_schedule_says():
    """A cosine's factor before the last of 100 steps is 2.5e-4; by Adam's first step each
    parameter moves by the rate, whatever the slope."""
    net = NET._replace(recipe=dataclasses.replace(RECIPE, schedule="cosine"))
    hyper, system = evolution.numbers(net, 0.01, 100, 0.1), evolution.system(net, 8)
    tree = system.init(jax.random.key(0), hyper)

    def moved(step):
        now = Moment(jnp.asarray(step), jax.random.key(1))
        after, _ = system.step(tree, hyper, DATA, now)
        apart = jax.tree.map(
            lambda a, b: jnp.abs(a - b).max(), after.params, tree.params
        )
        return float(max(jax.tree.leaves(apart)))

    assert moved(0) == pytest.approx(0.01, rel=0.01)
    assert moved(99) < 1e-3 * moved(0) * 1.1


def test_runs_resume_bit_for_bit(tmp_path):
    hyper = evolution.numbers(NET, 0.01, 4, 0.1)
    system = evolution.system(NET, 8)
    resumption.assert_resumes(system, feed.drawn(16), DATA, hyper, tmp_path)


def test_it_learns_and_needs_a_pair():
    (run,) = evolution.train(NET, DATA, 200, (0.05,), 1, sigma=0.1, pairs=16)
    assert run.accuracy(X, DATA["targets"]) > 0.9
    assert run.log["loss"][-1] < run.log["loss"][0] / 2
    with pytest.raises(DataError, match="0 pairs"):
        evolution.train(NET, DATA, 2, (0.05,), 1, sigma=0.1, pairs=0)
