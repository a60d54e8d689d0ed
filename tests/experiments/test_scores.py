"""The form that all studies of systems share: who is ahead, and which net is chosen."""

import math

import pytest

from depthbench.experiments import comparisons, scores
from depthbench.experiments.scores import Scoring
from depthbench.research.learning.fits import Beforehand
from depthbench.research.report import systems

SCORING = Scoring("a system", "accuracy", "largest class", "SVM")
BEFORE = Beforehand(-2.0, -1.0, 3.0)


def row(depth, score, strong, valid=0.5, status="ok", examples=100, **more):
    values = scores.values(score, valid, 0.1, strong, BEFORE, examples=examples, **more)
    shape = {"architecture": "mlp", "activation": "relu", "depth": depth}
    return {**shape, "seeds": len(score), "status": status, "reason": "", **values}


def test_columns_are_those_that_are_declared():
    one = row(1, [0.8, 0.9, 0.85], 0.7)
    assert set(scores.COLUMNS) <= set(one)
    assert one["score"] == pytest.approx(0.85) and one["gap"] == pytest.approx(0.15)
    assert one["gap_se"] == pytest.approx(0.05 / math.sqrt(3))  # of the three seeds
    assert one["score_low"] < 0.85 < one["score_high"] <= 1


def test_a_gap_is_taken_seed_by_seed_and_better_is_positive():
    """Errors: the net's are 0.1 below the baseline's with every seed."""
    one = row(1, [0.2, 0.4], [0.3, 0.5], higher=False)
    assert one["gap"] == pytest.approx(0.1) and one["gap_se"] == 0


@pytest.mark.parametrize(
    ("score", "verdict", "begins"),
    [
        ([0.90, 0.91, 0.92], "wins", "The net is ahead in accuracy"),
        (
            [0.6, 0.9, 0.7],
            "ties",
            "The net is not surely better than the strong baseline",
        ),
        ([0.5, 0.8, 0.7], "ties", "The net is no better than the strong baseline"),
        ([0.9], "ties", "The net is not surely better than the strong baseline"),
        (
            [0.5, 0.51, 0.52],
            "loses",
            "The strong baseline is ahead in accuracy: 0.700 (SVM)",
        ),
    ],
)
def test_the_first_sentence_says_who_is_ahead(score, verdict, begins):
    one = row(4, score, 0.7)
    assert SCORING.verdict(one) == verdict
    answer, worst = SCORING.headline([one])
    assert answer.startswith(begins) and "0.700" in answer
    assert "largest class: 0.100" in worst
    answer = SCORING.headline([{**one, "unfinished": True}]).answer
    assert ("still learning" in answer) == (verdict != "wins")


def test_the_best_net_is_chosen_without_its_test_score():
    """The deeper one is better in the test, and was worse before it."""
    rows = [row(1, [0.8, 0.8], 0.6, valid=0.9), row(8, [0.9, 0.9], 0.6, valid=0.6)]
    assert SCORING.best(rows)["depth"] == 1
    line = SCORING.summary(rows)
    assert (line.depth, line.score, line.verdict) == (1, pytest.approx(0.8), "wins")
    assert SCORING.worst(rows)["depth"] == 1
    lower = SCORING._replace(higher=False)
    assert lower.best(rows)["depth"] == 8 and lower.worst(rows)["depth"] == 8


def test_a_net_is_named_in_words():
    one = row(16, [0.8, 0.8], 0.7) | {"architecture": "residual_mlp", "rule": "hebb"}
    assert SCORING.name(one) == "residual ReLU net of 16 layers"
    named = SCORING._replace(naming=lambda row, net: f"{net} by {row['rule']}")
    assert named.name(one) == "residual ReLU net of 16 layers by hebb"
    other = SCORING._replace(by=("activation",), unit="hidden layer")
    assert other.name({"activation": "leaky_relu", "depth": 1}) == (
        "leaky relu net of 1 hidden layer"
    )


def test_tables_and_pictures_show_rows_that_did_not_end_well():
    rows = [row(1, [0.8, 0.8], 0.7), {**row(8, [0.9, 0.9], 0.7), "status": "diverged"}]
    table = SCORING.table(rows)
    assert table.rows[1][3].text == "diverged" and table.rows[1][3].tone == "bad"
    figure = SCORING.figure(rows).draw()
    assert len(figure.axes) == 2


def test_the_table_of_systems_counts_who_is_ahead():
    lines = {
        name: SCORING.summary([row(1, score, 0.7)])
        for name, score in (("one", [0.9, 0.9]), ("other", [0.5, 0.5]))
    }
    answer, worst = systems.headline(lines)
    assert (
        "baseline is ahead of the best net in 1 and neither surely in 0; the net is ahead "
        "in 1: one." in answer
    )
    assert worst == "The baseline is ahead in other."
    first, second = systems.table(lines).rows
    assert first[3].tone == second[5].tone == "good"  # of each the score that is ahead
    assert first[:3] == ("a system", "accuracy", "plain ReLU net of 1 layer")
    assert first[5] == "0.700" and isinstance(second[3], str)


def test_examples_of_the_test_break_no_tie_between_baselines():
    assert scores.chosen([(0.7, 1.0), (0.75, 0.6), (0.75, 0.9)]) == 0.6


def test_a_lead_on_few_test_examples_is_not_sure():
    """Seeds that agree say nothing of the examples by which all of them are judged."""
    few, many = (row(1, [0.8, 0.8, 0.8], 0.7, examples=n) for n in (40, 4000))
    assert few["gap_se"] == 0 and SCORING.verdict(few) == "ties"
    assert SCORING.verdict(many) == "wins"
    assert few["gap_test_se"] == pytest.approx(math.sqrt((0.16 + 0.21) / 40), rel=0.05)
    anew = row(1, [0.8, 0.8, 0.8], 0.7, examples=40, anew=True)
    assert anew["gap_test_se"] is None and SCORING.verdict(anew) == "wins"


def test_rows_from_before_the_error_of_examples_are_judged_by_seeds():
    one = row(1, [0.8, 0.81, 0.79], 0.7, examples=40)
    assert SCORING.verdict(one) == "ties"
    del one["gap_test_se"]
    assert SCORING.verdict(one) == "wins"


def test_nets_without_a_finite_score_are_shown_with_their_reason():
    rows = [row(n, [math.nan, math.nan], 0.7, valid=math.nan) for n in (1, 4)]
    rows[0]["reason"] = "diverged at every rate"
    answer, _ = SCORING.headline(rows)
    assert answer.startswith("No net has a score in accuracy: diverged at every rate")
    assert SCORING.table(rows).rows[0][3].text == "diverged at every rate"
    line = SCORING.summary(rows)
    assert (line.score, line.verdict) == (None, "ties")
    assert systems.table({"one": line}).rows[0][3] == "-"
    assert len(SCORING.figure(rows).draw().axes) == 2
    one = row(8, [0.8, 0.8], 0.6, valid=0.5)
    assert SCORING.best([*rows, one]) == SCORING.worst([*rows, one]) == one


def test_a_share_over_another_has_the_error_of_its_examples():
    one = row(1, [0.8, 0.9], 0.7) | {"other": 0.75}
    found = comparisons.over(one, "other", 100)
    assert (found.value, found.seeds) == (pytest.approx(0.1), 2)
    assert found.fixed == comparisons.of_examples(one["score"], 0.75, 100)
    assert comparisons.over(one, "other", None).fixed == 0
    assert math.isnan(comparisons.over(one | {"other": None}, "other", 100).value)


def test_lines_of_a_picture_are_called_in_words():
    shapes = ("mlp", "residual_mlp")
    rows = [
        row(n, [0.8, 0.8], 0.7) | {"architecture": name}
        for name in shapes
        for n in (1, 4)
    ]
    assert list(SCORING._lines(rows)) == ["plain ReLU net", "residual ReLU net"]
    named = SCORING._replace(naming=lambda row, net: "one name for all")
    assert list(named._lines(rows)) == ["plain ReLU", "residual ReLU"]


def test_a_net_of_one_depth_has_its_interval_in_the_picture():
    """Where a band would have no width: a line between the interval's ends."""
    one = row(4, [0.7, 0.8, 0.75], 0.9)
    left = SCORING.figure([one]).draw().axes[0]
    ends = [one["score_low"], one["score_high"]]
    assert any(list(line.get_ydata()) == ends for line in left.lines)
