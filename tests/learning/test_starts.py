"""Runs side by side are what they are one by one."""

import numpy as np

from depthbench.research.learning import feed, fits, starts, sweeps
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.starts import Run
from depthbench.research.learning.supervised import Task

X = np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32)
DATA = {"inputs": X, "targets": (X[:, 0] > 0).astype(np.int32)}
NET = fits.Net(Recipe(depth=1, width=4, batch=8, activation="tanh"), Task((3,), 2))
RUNS = [
    Run(seed, fits.numbers(NET, rate, 5))
    for seed, rate in ((0, 0.1), (1, 0.01), (2, 0.1))
]


def alone(run):
    problem = sweeps.Problem(NET.system, feed.whole, DATA, {}, {})
    (one,) = sweeps.ended(problem, [run], 5)
    return fits.of_state(NET, one.state, log=one.log)


def test_a_run_side_by_side_is_the_run_alone():
    """Products are summed in another order, so to a few roundings of float32."""
    for one, run in zip(starts.train(NET, DATA, 5, RUNS), RUNS, strict=True):
        other = alone(run)
        np.testing.assert_allclose(
            one.outputs(X), other.outputs(X), rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(one.log["loss"], other.log["loss"], rtol=1e-4)
        assert (one.seed, one.diverged) == (run.seed, None)


def test_groups_change_nothing_and_outputs_are_each_nets_own():
    whole = starts.train(NET, DATA, 5, RUNS)
    parts = starts.train(NET, DATA, 5, RUNS, size=2)  # the second is filled up
    one = starts.train(NET, DATA, 5, RUNS[:1], size=1)
    assert len(parts) == 3
    together = starts.outputs(whole, X)
    np.testing.assert_allclose(together, starts.outputs(parts, X), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        together[:1], starts.outputs(one, X), rtol=1e-4, atol=1e-5
    )
    for fit, outputs in zip(whole, together, strict=True):
        np.testing.assert_allclose(fit.outputs(X), outputs, rtol=1e-4, atol=1e-5)
    assert np.ptp(together, axis=0).max() > 0.1  # the starts are not one start


def test_the_fresh_gradient_is_the_mean_over_starts():
    runs = [Run(seed, fits.numbers(NET, 0.0, 5)) for seed in range(3)]
    many, few = starts.beforehand(NET, DATA, runs, 5), fits.beforehand(NET, DATA, 3)
    # Conversions of numbers whose type is weak are counted in one and not in the other.
    np.testing.assert_allclose(many.step_mflop, few.step_mflop, rtol=0.02)
    np.testing.assert_allclose(many[:2], few[:2], rtol=1e-4)
