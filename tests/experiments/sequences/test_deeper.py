"""What depth does, as headlines say it."""

import pytest

from depthbench.experiments import scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.sequences import deeper
from depthbench.research.learning.fits import Beforehand

SCORING = Scoring("a system", "accuracy", "largest class", "SVM")


def row(depth, score, architecture="mlp", unfinished=False):
    before = Beforehand(-2.0, -1.0, 3.0)
    values = scores.values(score, 0.5, 0.1, 0.5, before, examples=10_000)
    shape = {"architecture": architecture, "depth": depth, "seeds": len(score)}
    return {**shape, "status": "ok", "reason": "", **values, "unfinished": unfinished}


LOW, HIGH = [0.70, 0.71, 0.72], [0.80, 0.81, 0.82]


@pytest.mark.parametrize(
    ("late", "end"),
    [
        ((False, False), "surely"),
        ((False, True), "surely"),  # the deeper one could only move further ahead
        ((True, False), "undecided"),
    ],
)
def test_depth_moves_a_score_surely_where_more_steps_could_not_turn_it(late, end):
    rows = [row(1, LOW, unfinished=late[0]), row(4, HIGH, unfinished=late[1])]
    assert (
        deeper.said(SCORING, rows)
        == f"From 1 to 4 layers the score moves by +0.100 (plain): {end}."
    )


def test_of_errors_less_is_a_move_downwards():
    errors = SCORING._replace(higher=False)
    assert "-0.100 (plain): surely." in deeper.said(errors, [row(1, HIGH), row(4, LOW)])


def test_kinds_of_other_depths_are_said_apart():
    rows = [row(1, LOW), row(4, LOW), row(4, LOW, "stacked_gru")]
    assert deeper.said(SCORING, rows[:1]) == deeper.said(SCORING, []) == ""
    rows.append(row(2, HIGH, "stacked_gru"))
    said = deeper.said(SCORING, rows)
    assert said.startswith("From 1 to 4 layers the score moves by +0.000 (plain)")
    assert said.endswith("from 2 to 4 by -0.100 (GRU): surely for the GRU alone.")


def test_a_net_without_a_score_is_left_out():
    lost = {**row(4, HIGH), "score": None}
    assert deeper.said(SCORING, [row(1, LOW), lost]) == ""
