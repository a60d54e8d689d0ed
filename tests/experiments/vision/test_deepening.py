"""What first sentences say of depth, and how sure it is."""

import pytest

from depthbench.experiments.vision import (
    deepening,
    detection,
    feature_hierarchy,
    permuted_pixels,
    relations,
    segmentation,
)
from depthbench.research.report import published
from depthbench.research.study import headlines

STUDIES = (detection, segmentation, relations, permuted_pixels, feature_hierarchy)


def row(net, depth, score, error=0.001, **more):
    """A row of a net whose score is known to a standard error."""
    ended = {"status": "ok", "reason": "", "seeds": 10, "rate_at_edge": False}
    scored = {"score": score, "score_se": error, "unfinished": False}
    return {**ended, **scored, "net": net, "depth": depth, **more}


def said(rows):
    return deepening.sentence(rows, ("net",), lambda net: net)


def test_what_depth_gives_is_the_deepest_less_the_shallowest():
    rows = [row("one", 4, 0.9), row("one", 1, 0.7), row("one", 2, 0.1)]
    assert said(rows) == "From depth 1 to 4: one +0.200 (sure)."
    rows += [row("two", 1, 0.7), row("two", 4, 0.6, error=0.2), row("three", 4, 0.5)]
    wanted = "From depth 1 to 4: one +0.200 (sure), two -0.100 (not sure)."
    assert said(rows) == wanted
    assert said([row("one", 4, 0.9)]) == said([]) == ""


def test_kinds_of_other_depths_each_say_theirs():
    rows = [row("one", 1, 0.7), row("one", 4, 0.9), row("two", 2, 0.5)]
    rows.append(row("two", 8, 0.4))
    wanted = "one +0.200 (sure) from depth 1 to 4, two -0.100 (sure) from depth 2 to 8."
    assert said(rows) == f"By depth: {wanted}"


@pytest.mark.parametrize(
    ("late", "word"), [(1, "not sure, still learning"), (4, "sure")]
)
def test_a_shallow_net_that_still_learns_may_catch_up(late, word):
    """A deep one that does could only be further ahead."""
    rows = [row("one", n, 0.5 + 0.1 * n, unfinished=n == late) for n in (1, 4)]
    assert said(rows) == f"From depth 1 to 4: one +0.300 ({word})."


def test_of_many_kinds_the_first_are_named():
    rows = [row(name, n, 0.1 * n) for name in "abcdef" for n in (1, 4)]
    assert said(rows).endswith("d +0.300 (sure), 2 more.")


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.STUDY.name)
def test_a_study_that_asks_about_depth_says_early_what_it_gives(study):
    rows = published.made(study.STUDY.name).rows
    answer, worst = headlines.of(study.STUDY, rows)
    assert len(f"{answer} {worst}") <= 500
    second = answer.split(". ")[1]
    assert "sure" in second and ("depth" in second or "layer" in second)
    none = [{**row, "score": None, "valid": None, "gap": None} for row in rows]
    assert "No net has a score" in headlines.of(study.STUDY, none).answer
