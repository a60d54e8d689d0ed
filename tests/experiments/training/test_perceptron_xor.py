"""Rosenblatt's rule, and what is done with a truth table."""

import numpy as np

from depthbench.experiments.training import perceptron_xor as study
from depthbench.research.learning import feed, fits, starts
from tests.learning.resumption import assert_resumes

CELL = {
    "rule": "rosenblatt",
    "architecture": "mlp",
    "activation": "relu",
    "depth": 0,
    "bits": 2,
    "width": 4,
    "steps": 60,
    "seeds": 4,
    "lowest_rate": 0.1,
    "highest_rate": 0.1,
    "rates": 1,
    "further_rates": 0,
}
X = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], np.float32)
AND = np.array([0, 0, 0, 1], np.int32)


def test_a_step_is_rosenblatts():
    """w ← w + η y x where a line is wrong, for the output of its label, else nothing."""
    net = study.net_of(CELL)
    system, data = study.rosenblatt(net), {"inputs": X[:1], "targets": AND[:1]}
    fit = fits.fresh(net)
    for scale in (1.0, -1.0):  # one of the two signs has the line right
        variables = _times(fit.variables, scale)
        (after,) = fits.train(
            net, data, 1, (0.1,), [0], [fit._replace(variables=variables)], system
        )
        before = fit._replace(variables=variables).outputs(X[:1])[0]
        moved = after.outputs(X[:1])[0] - before
        # x and its 1 for the bias have a square of 3: each output moves by η · 3.
        expected = [0.3, -0.3] if before[0] < before[1] else [0.0, 0.0]
        np.testing.assert_allclose(moved, expected, atol=1e-5)  # a float32's rounding


def _times(variables, scale):
    import jax

    return jax.tree.map(lambda leaf: scale * leaf, variables)


def test_the_rule_converges_where_a_line_divides_and_not_on_xor():
    """The perceptron convergence theorem, on AND; no linear rule has more than 3 of XOR."""
    net = study.net_of(CELL)
    runs = [starts.Run(s, fits.numbers(net, 0.1, 200)) for s in range(4)]
    how = {"system": study.rosenblatt(net), "feeds": feed.drawn(1)}
    done = starts.train(net, {"inputs": X, "targets": AND}, 200, runs, **how)
    assert np.all(study.rights(done, X, AND) == 1)
    xor = np.array([0, 1, 1, 0], np.int32)
    done = starts.train(net, {"inputs": X, "targets": xor}, 200, runs, **how)
    assert np.all(study.rights(done, X, xor) <= 0.75)


def test_rounding_solves_nothing():
    """Weights of 1e-9 divide XOR by how their sums are rounded, or not at all: no start
    is right that has no margin, whichever output is larger."""
    net = study.net_of(CELL)
    tiny = [
        fit._replace(variables=_times(fit.variables, 1e-9))
        for fit in (fits.fresh(net, seed) for seed in range(4))
    ]
    assert np.all(study.rights(tiny, X, AND) == 0)


def test_the_rule_resumes(tmp_path):
    net = study.net_of(CELL)
    data = {"inputs": X, "targets": np.array([0, 1, 1, 0], np.int32)}
    hyper = fits.numbers(net, 0.1, 8)
    assert_resumes(study.rosenblatt(net), feed.drawn(1), data, hyper, tmp_path, 8)


def test_rates_are_chosen_with_other_starts_than_are_scored(monkeypatch):
    seen = []
    train = starts.train

    def noting(net, data, steps, runs, **how):
        seen.append({run.seed for run in runs})
        return train(net, data, steps, runs, **how)

    monkeypatch.setattr(study.starts, "train", noting)
    row = study.solved({**CELL, "steps": 4, "rates": 2, "lowest_rate": 0.01})
    *choosing, scored = seen
    assert scored == set(range(4)) and not scored & set.union(*choosing)
    assert row.values["linear_right"] == 0.75 and row.values["strong"] == 0.0
