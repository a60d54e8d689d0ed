"""Policy gradients: learning curves, what is left out, the harder environment first."""

from types import SimpleNamespace

import numpy as np

from depthbench.experiments.acting import policy_gradient, policy_gradient_shown
from depthbench.research.environments import ENVIRONMENTS
from depthbench.research.study.declaration import chosen_values, grid


def test_a_curve_repeats_the_last_return_where_no_episode_was_over():
    """Eighty updates in forty stretches of two; one episode is over in every fourth."""
    ended, returns = np.zeros(80), np.zeros(80)
    ended[::8], returns[::8] = 1, np.arange(10) - 100
    run = SimpleNamespace(log={"ended": ended, "returns": returns})
    over, means = policy_gradient.curve(run, ENVIRONMENTS["acrobot"])
    np.testing.assert_array_equal(over, np.repeat(np.arange(1, 11), 4))
    np.testing.assert_array_equal(means, np.repeat(np.arange(10) - 100, 4))
    never = SimpleNamespace(log={"ended": 0 * ended, "returns": 0 * returns})
    assert set(policy_gradient.curve(never, ENVIRONMENTS["acrobot"])[1]) == {-500.0}


def test_what_tells_little_is_left_out_unless_asked_for():
    study = policy_gradient.STUDY
    cells = grid(study, chosen_values(study, "standard", {}))
    kept, (said,) = policy_gradient.fit(cells, set())
    names = ("environment", "architecture", "activation")
    depths = {}
    for cell in kept:
        depths.setdefault(tuple(cell[n] for n in names), []).append(cell["depth"])
    assert depths == {
        ("cartpole", "mlp", "relu"): [1, 16],
        ("cartpole", "mlp", "sigmoid"): [1, 16],
        ("acrobot", "mlp", "relu"): [1, 4, 16],
        ("acrobot", "mlp", "sigmoid"): [1, 16],
        ("acrobot", "residual_mlp_scaled", "relu"): [1, 16],
    }
    assert f"{len(cells) - len(kept)} nets" in said
    assert policy_gradient.fit(cells, {"activation"}) == (cells, [])


def test_the_harder_environment_is_the_first():
    rows = [{"environment": name, "status": "ok"} for name in ENVIRONMENTS]
    assert policy_gradient_shown.hardest(rows)[0]["environment"] == "acrobot"
    assert policy_gradient_shown.hardest(rows[:1])[0]["environment"] == "cartpole"
