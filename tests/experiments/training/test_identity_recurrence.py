"""`identity_recurrence`: how its nets begin, and what is set beside what."""

import jax
import numpy as np
import pytest

from depthbench.experiments.training import identity_recurrence
from depthbench.research.datasets import sequences
from depthbench.research.learning import recipe, supervised, training
from depthbench.research.study.claims import judge

LEARNS, AS_LSTM = identity_recurrence.STUDY.claims


def cell(net):
    cell = {"net": net, "lag": 50, "width": 24, "batch": 4, "steps": 2, "seeds": 1}
    cell = {**recipe.DEFAULTS, **cell, "learning_rate": 0.001}
    return {**cell, **identity_recurrence.settings(cell)}


def test_the_trivial_error_is_the_data_sets():
    assert identity_recurrence.TRIVIAL == sequences.ADDING_BASELINE


def test_lags_are_the_lengths_of_sequences():
    assert identity_recurrence.LAGS[50] == "adding"
    assert identity_recurrence.LAGS[200] == "adding_200"


def test_the_identity_begins_as_the_papers():
    """W the identity, biases 0, inputs of deviation 0.001: the state hardly moves."""
    settings = cell("identity ReLU")
    chosen = recipe.of(settings)
    numbers = training.numbers_of(settings)
    assert numbers.rule.clip == 1
    learner = supervised.system(chosen).init(jax.random.key(0), numbers)
    leaves = jax.tree_util.tree_leaves_with_path(learner.params)
    arrays = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
    square = [a for a in arrays.values() if a.shape == (24, 24)]
    np.testing.assert_array_equal(*square, np.eye(24))
    (inputs,) = (a for a in arrays.values() if a.shape == (2, 24))
    # 48 draws: the standard error of a deviation is a tenth of it.
    assert np.std(inputs) == pytest.approx(0.001, rel=0.35)
    for name, array in arrays.items():
        if "bias" in name:
            np.testing.assert_array_equal(array, 0)


def row(net, error, rate=0.003, loss=0.1, **more):
    return {
        "net": net,
        "lag": 50,
        "learning_rate": rate,
        "seeds": 5,
        "status": "ok",
        "diverged": 0.0,
        "first_loss": 0.7,
        "train_loss": loss,
        "test_loss": error,
        "test_loss_se": 0.001,
        "unfinished": False,
        **more,
    }


def rows(identity, lstm, **more):
    """Three rates of each net, of which the middle one has the least training loss."""
    return [
        row(net, error, rate, loss, **more)
        for net, error in (("identity ReLU", identity), ("LSTM", lstm))
        for rate, loss in ((0.001, 0.2), (0.003, 0.1), (0.01, 0.2))
    ]


def test_verdicts_of_errors():
    for error, learns, comparable in (
        (0.004, "holds", "holds"),
        (0.05, "holds", "fails"),
        (0.16, "fails", "fails"),
    ):
        seen = rows(error, 0.003)
        assert judge(LEARNS, seen).word == learns
        assert judge(AS_LSTM, seen).word == comparable
    # An LSTM that is worse refutes nothing.
    assert judge(AS_LSTM, rows(0.004, 0.16)).word == "holds"


def test_runs_that_diverged_make_no_error_surer():
    """Three of five did; t of 2.5 has p of 0.03 with four degrees of freedom, 0.12 with
    one."""
    noisy = {"test_loss_se": (identity_recurrence.LEARNED - 0.05) / 2.5}
    assert judge(LEARNS, rows(0.05, 0.003, **noisy)).word == "holds"
    lost = rows(0.05, 0.003, **noisy, diverged=0.6)
    assert judge(LEARNS, lost).word == "undecided"
    assert judge(AS_LSTM, lost).seeds == 2


def test_two_nets_that_learn_nothing_are_not_comparable():
    verdict = judge(AS_LSTM, rows(0.165, 0.165))
    assert verdict.word == "undecided"
    assert "neither has learned" in verdict.sentence()


def test_steps_that_were_too_few_refute_nothing():
    seen = rows(0.16, 0.003, unfinished=True)
    assert judge(LEARNS, seen).word == "undecided"
    assert judge(AS_LSTM, seen).word == "undecided"
    # And what is there already needs none.
    assert judge(LEARNS, rows(0.01, 0.003, unfinished=True)).word == "holds"
