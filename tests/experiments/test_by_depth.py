"""What a headline says of depth: by how much, and whether surely."""

import pytest

from depthbench.experiments import by_depth
from depthbench.experiments.scores import Scoring
from depthbench.research.report import published
from depthbench.research.study import headlines
from depthbench.research.study.studies import studies

SCORING = Scoring("a net", "accuracy", "chance", "forest")
ASKED = (  # studies that ask what depth gives
    *("detection", "segmentation", "relations", "permuted_pixels", "feature_hierarchy"),
    *("sentiment", "sensors", "chorales", "speech", "char_model", "captions"),
    *("self_play", "evolution", "policy_gradient"),
)


def row(kind, depth, score, error=0.001, **more):
    """A row of a net whose score is known to a standard error."""
    ended = {"status": "ok", "reason": "", "seeds": 10, "rate_at_edge": False}
    scored = {"score": score, "score_se": error, "unfinished": False}
    return {**ended, **scored, "kind": kind, "depth": depth, **more}


def said(rows, scoring=SCORING):
    return by_depth.told(scoring, rows, ("kind",), lambda pair: pair["kind"])


def test_what_depth_does_is_the_deepest_less_the_shallowest():
    rows = [row("one", 4, 0.9), row("one", 1, 0.7), row("one", 2, 0.1)]
    assert said(rows) == "From 1 to 4 layers the score moves by +0.200 (one): surely."
    rows += [row("two", 1, 0.7), row("two", 4, 0.6, error=0.2), row("three", 4, 0.5)]
    assert said(rows) == (
        "From 1 to 4 layers the score moves by +0.200 (one) and -0.100 (two): surely for "
        "the one alone."
    )
    assert said([row("one", 4, 0.9)]) == said([]) == ""
    assert said([row("one", 4, 0.9), row("one", 1, None)]) == ""


def test_of_errors_less_is_a_move_downwards():
    errors = SCORING._replace(higher=False)
    rows = [row("one", 1, 0.9), row("one", 4, 0.8)]
    assert "-0.100 (one): surely." in said(rows, errors)


def test_kinds_of_other_depths_are_said_apart():
    rows = [row("one", 1, 0.7), row("one", 4, 0.7), row("three", 1, 0.7)]
    rows += [row("three", 4, 0.7), row("two", 2, 0.5), row("two", 8, 0.4)]
    assert said(rows).endswith(
        "+0.000 (one) and +0.000 (three), from 2 to 8 by -0.100 (two): surely for the "
        "two alone."
    )


@pytest.mark.parametrize(("late", "end"), [((1, 4), "undecided"), ((4,), "surely")])
def test_a_shallow_net_that_still_learns_may_catch_up(late, end):
    """A deep one that does could only be further ahead."""
    rows = [row("one", n, 0.5 + 0.1 * n, unfinished=n in late) for n in (1, 4)]
    assert said(rows).endswith(f"+0.300 (one): {end}.")


def test_of_many_kinds_the_first_are_named():
    rows = [row(name, n, 0.1 * n) for name in "abcdef" for n in (1, 4)]
    assert "+0.300 (d) and 2 more: surely" in said(rows)


@pytest.mark.parametrize("name", ASKED)
def test_a_study_that_asks_about_depth_says_early_what_it_does(name):
    study, rows = studies()[name], published.made(name).rows
    answer = headlines.of(study, rows).answer
    assert len(answer) <= 500
    assert "layer" in answer and any(w in answer for w in ("surely", "undecided"))
    none = [{**row, "status": "diverged", "reason": "not finite"} for row in rows]
    assert headlines.of(study, none).answer
