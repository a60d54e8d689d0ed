"""What the studies of plain nets share: rates, the best of them, times."""

import numpy as np

from depthbench.experiments.training import nets
from depthbench.research.learning import recipe, sweeps
from depthbench.research.signal.measured import Measured
from depthbench.research.study import trials


def result(reached, steps, accuracy):
    values = {
        "reached": reached,
        "steps_to_target": steps,
        "train_accuracy": accuracy,
    }
    return Measured("ok", "", values, {})


def test_rates_are_at_equal_ratios():
    assert nets.log_spaced(0.01, 100.0, 5) == (0.01, 0.1, 1.0, 10.0, 100.0)
    assert nets.log_spaced(0.01, 0.3, 1) == (0.3,)


def test_the_best_rate_gets_most_seeds_there_and_soonest():
    slow, fast = result(1.0, 90.0, 0.99), result(1.0, 30.0, 0.91)
    some, none = result(0.4, None, 1.0), result(0.0, None, 0.3)
    assert nets.best_of([slow, fast, some, none]) == 1
    assert nets.best_of([slow, result(1.0, 10.0, 0.4)]) == 0  # it did not stay there
    assert nets.best_of([none, some]) == 1
    assert nets.best_of([none, result(0.0, None, 0.5)]) == 1


def test_times_are_compared_seed_by_seed():
    mean, error = nets.log2_longer(np.array([8.0, 40.0]), np.array([4.0, 10.0]))
    assert (mean, error) == (1.5, 0.5)
    assert (
        nets.log2_longer(np.array([8.0, np.inf]), np.array([4.0, 10.0])) == (None,) * 2
    )


def test_activations_share_what_draws_a_net():
    settings = {**trials.DEFAULTS, "depth": 2, "width": 4, "steps": 3}
    programs = [
        sweeps.of_recipe(recipe.of({**settings, "activation": name, "batch": size}), 3)
        for name, size in (("tanh", 8), ("relu", 16))
    ]
    assert programs[0].init is programs[1].init
    assert programs[0].advance is not programs[1].advance
