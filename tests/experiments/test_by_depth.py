"""What a headline says of depth: by how much, and whether surely."""

import pytest

from depthbench.experiments import by_depth
from depthbench.experiments.scores import Scoring

SCORING = Scoring("a net", "accuracy", "chance", "forest", by=("kind",), form=".2f")


def row(kind, depth, score, error=0.01):
    known = {"status": "ok", "seeds": 9, "kind": kind, "rate_at_edge": False}
    return {**known, "unfinished": False, "depth": depth, "score": score} | {
        "score_se": error
    }


@pytest.mark.parametrize(
    ("deep", "error", "words"),
    [
        (0.7, 0.01, "Deeper is better: 8 layers instead of 1 change it by +0.20."),
        (0.3, 0.01, "Deeper is worse: 8 layers instead of 1 change it by -0.20."),
        (0.7, 0.2, "Deeper is not surely better or worse: 8 layers instead of 1 "),
    ],
)
def test_the_interval_decides_what_is_said_of_depth(deep, error, words):
    rows = [row("a", 1, 0.5, error), row("a", 4, 0.1), row("a", 8, deep, error)]
    assert by_depth.told(SCORING, rows, ("kind",)).startswith(words)


def test_kinds_that_differ_are_told_apart_and_one_depth_is_nothing():
    rows = [row(k, d, s) for k, d, s in (("a", 1, 0.5), ("a", 8, 0.7), ("b", 1, 0.5))]
    rows.append(row("b", 8, 0.5))
    assert by_depth.told(SCORING, rows, ("kind",), lambda pair: pair["kind"]) == (
        "What depth does differs: 8 layers instead of 1 change it by +0.20 (a, surely) "
        "and +0.00 (b, not surely)."
    )
    assert by_depth.told(SCORING, rows[:1], ("kind",)) == ""
