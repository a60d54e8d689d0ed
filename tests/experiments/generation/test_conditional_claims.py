"""What translators are said to do: a judge blind to true images decides nothing."""

import pytest

from depthbench.experiments.generation import conditional_claims, conditional_gan
from depthbench.research.study.claims import judge

(REAL,) = (c for c in conditional_claims.CLAIMS if "more-real" in c.key)
ROW = {
    **{"status": "ok", "reason": "", "rate_at_edge": False, "unfinished": False},
    **{"architecture": "unet", "depth": 8, "seeds": 3, "distance_se": 0.01},
    **{"floor_distance": 1.0, "given_distance": 4.0, "steps": 400, "batch": 8},
    **{"score": 25.0, "strong": 24.0, "trivial": 23.0, "valid": 25.0, "gap": 1.0},
    **{"gap_se": 0.01, "unseen": 20.0, "unseen_strong": 22.0, "unseen_se": 0.01},
    **{"first_gradient": 0.0, "step_mflop": 1.0},
    **{"gap_test_se": 0.01, "gap_test_groups": 5},
    **{"unseen_test_se": 0.01, "unseen_test_groups": 2},
}
LEFT_OUT = "3.0 3.01 2.99 3.0 3.0"


def rows(translation, **changes):
    far = {"l1": 3.0, "l1_gan": 2.0}
    return [
        ROW
        | {"translation": translation, "objective": o, "distance": d}
        | {"distance_left_out": LEFT_OUT}
        | changes
        for o, d in far.items()
    ]


@pytest.mark.parametrize(("floor", "word"), [(1.0, "holds"), (4.0, "undecided")])
def test_a_judge_that_true_images_look_no_better_to_decides_nothing(floor, word):
    """Of that translation: another's verdict is its own."""
    seen = rows("enlarge", floor_distance=floor) + rows("colour")
    first, second = judge(REAL, seen).points
    assert (first.word, second.word) == (word, "holds")
    assert first.doubt == (conditional_claims.BLIND if floor == 4.0 else "")


def test_the_headline_says_who_is_ahead_on_unseen_photographs():
    answer = conditional_gan.STUDY.headline(rows("colour")).answer
    seen, unseen, drew = answer.split(". ")
    assert "the net is ahead in colours (25.00 against 24.00 dB)" in seen
    assert "saw anything" in unseen
    assert unseen.endswith("the strong baseline is ahead in colours")
    assert "3,200 patches" in drew


def test_without_an_error_of_its_photographs_no_net_is_ahead():
    old = {"gap_test_se": None, "unseen_test_se": None, "distance_left_out": None}
    done = rows("colour", **old)
    answer = conditional_gan.STUDY.headline(done).answer
    assert answer.count("neither is surely ahead in colours") == 2
    words = {judge(claim, done).word for claim in conditional_claims.CLAIMS}
    assert words <= {"undecided", "untested"}


def test_the_line_of_colours_says_where_the_net_is_behind():
    done = [*rows("colour"), *rows("day", score=22.0, gap=-2.0)]
    line = conditional_gan.STUDY.summary(done)
    assert line.net.endswith("colours; behind in night to day")
    assert line.score == 25.0
    worst = conditional_gan.STUDY.headline(done).worst
    assert "22.00 against 24.00" in worst and "night to day" in worst


def test_nets_without_skips_have_a_gan_only_where_it_is_asked_for():
    cells = [
        {"architecture": architecture, "objective": objective, "depth": 8, "side": 16}
        for architecture in conditional_gan.NETS
        for objective in conditional_gan.BY
    ]
    left, _ = conditional_gan.fit(cells, set())
    assert [cell for cell in cells if cell not in left] == [cells[3]]
    for asked in ("architecture", "objective"):
        assert conditional_gan.fit(cells, {asked})[0] == cells
