"""What a setting's runs are worth on what is held out."""

from types import SimpleNamespace

import numpy as np
import pytest

from depthbench.research.learning import selection
from depthbench.research.learning.outcomes import chosen_by, held

worth = lambda run: run.worth


def runs(*each, diverged=None):
    """Runs of these worths; the last one diverged at the step given."""
    made = [SimpleNamespace(worth=value, diverged=None) for value in each]
    made[-1].diverged = diverged
    return made


def test_a_setting_is_worth_the_mean_of_its_runs():
    assert chosen_by(worth, "loss")(runs(1.0, 2.0)).loss == 1.5
    outcome = chosen_by(worth)(runs(0.25, 0.5))
    assert (outcome.ended, outcome.accuracy) == (1.0, 0.375)


@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_what_is_no_number_is_the_worst_there_is(lost):
    assert chosen_by(worth, "loss")(runs(1.0, lost)).loss == np.inf
    assert chosen_by(worth)(runs(0.9, lost)).accuracy == 0.0
    fine, bad = (chosen_by(worth, "loss")(runs(value)) for value in (9.0, lost))
    assert selection.best([bad, fine], "loss") == 1


def test_of_runs_of_which_one_diverged_the_loss_is_infinite_and_a_share_is_kept():
    by_loss = chosen_by(worth, "loss")(runs(1.0, 2.0, diverged=7))
    assert (by_loss.ended, by_loss.loss) == (0.5, np.inf)
    assert chosen_by(worth)(runs(0.5, 0.1, diverged=7)).accuracy == pytest.approx(0.3)


def test_what_is_held_out_is_asked_of_each_run():
    one = SimpleNamespace(diverged=None, accuracy=lambda x, y: x / y)
    assert held((1.0, 4.0))([one, one]).accuracy == 0.25
