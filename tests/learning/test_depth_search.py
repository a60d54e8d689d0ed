"""The search for the deepest net that trains: what it finds, and what is decided by it."""

import pytest

from depthbench.benchmarks.max_trainable_depth import study as max_trainable_depth
from depthbench.benchmarks.max_trainable_depth.search import Ladder, ladder, search
from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.study.claims import judge

ANY = ladder(lambda depth: True, 256)


def test_a_ladder_doubles_and_is_known_to_a_quarter():
    assert ANY.rungs == (1, 2, 4, 8, 16, 32, 64, 128, 256)
    assert set(ANY.rungs) < set(ANY.grid)
    # The geometric middle of neighbours is off by √1.5 at most: 22 %.
    neighbours = zip(ANY.grid[1:], ANY.grid, strict=False)
    assert max(b / a for b, a in neighbours if a > 1) <= 1.5


def test_a_ladder_is_of_depths_that_a_family_has():
    allows = ARCHITECTURES["resnet"].depths.allows  # 6n + 2
    steps = ladder(allows, 120)
    assert steps.rungs[0] == 8 and steps.rungs[-1] == 116
    assert all(allows(depth) for depth in steps.grid)
    assert ladder(lambda depth: depth in (5, 8, 11), 300).grid == (5, 8, 11)
    assert ladder(lambda depth: depth > 9, 4) == Ladder((), ())


@pytest.mark.parametrize("deepest", [1, 2, 3, 6, 11, 45, 128, 181])
def test_the_search_finds_any_depth_of_the_grid(deepest):
    result = search(lambda depth: depth <= deepest, ANY)
    assert result.deepest == deepest and result.steady
    following = min(depth for depth in ANY.grid if depth > deepest)
    assert result.fails_at == following
    assert result.deepest in result.probed and result.fails_at in result.probed


def test_the_search_asks_each_depth_once_and_few_of_them():
    depths = []
    search(lambda depth: depths.append(depth) or depth <= 50, ANY)
    assert depths == [1, 2, 4, 8, 16, 32, 64, 45]


def test_the_search_ends_at_the_cap_and_at_nothing():
    assert search(lambda depth: True, ANY).fails_at is None
    assert search(lambda depth: True, ANY).deepest == 256
    never = search(lambda depth: False, ANY)
    assert (never.deepest, never.fails_at, never.summary()) == (0, 1, "1-")


def test_the_search_may_begin_anywhere():
    for deepest in (0, 1, 3, 8, 16, 91, 256):
        result = search(lambda depth, deepest=deepest: depth <= deepest, ANY, start=8)
        assert result.deepest == deepest
    depths = []
    search(lambda depth: depths.append(depth) or depth <= 2, ANY, start=8)
    assert depths == [8, 4, 2, 3]
    assert search(lambda depth: True, ladder(lambda depth: True, 2), 8).deepest == 2


def test_a_net_that_trains_again_deeper_is_found_with_patience_alone():
    trains = lambda depth: depth <= 4 or 16 <= depth <= 32
    hasty = search(trains, ANY, patience=1)
    assert hasty.deepest == 4 and hasty.steady  # what it has not seen, it cannot say
    patient = search(trains, ANY, patience=2)
    assert patient.deepest == 32 and not patient.steady
    assert patient.summary() == "1+ 2+ 4+ 8- 16+ 32+ 45- 64- 128-"


DEEPER = next(c for c in max_trainable_depth.CLAIMS if "trains-deeper" in c.key)
BASE = {name: 1 for name in max_trainable_depth.AXES} | {
    **{"status": "ok", "reason": "", "seeds": 3, "normalizer": "batch"},
    **{"log2_depth_se": 0.1, "rate_at_edge": False, "unfinished": False},
}
PLAIN = {**BASE, "architecture": "mlp", "log2_depth": 3.0, "capped": False}
DEEP = {**BASE, "architecture": "residual_mlp", "log2_depth": 5.0, "capped": True}


def test_what_the_cap_hides_is_undecided():
    (pair,) = DEEPER.of([PLAIN, DEEP])
    assert pair["gain"] == 2.0 and judge(DEEPER, [PLAIN, DEEP]).word == "holds"
    both = judge(DEEPER, [{**PLAIN, "capped": True}, DEEP])
    assert both.word == "undecided" and "deepest tried" in both.sentence()
    lost = {**DEEP, "status": "oom", "reason": "too large"}
    assert "oom: too large" in judge(DEEPER, [PLAIN, lost]).sentence()


@pytest.mark.parametrize("doubt", ["rate_at_edge", "unfinished"])
def test_a_net_deeper_than_theory_has_it_needs_no_more_steps(doubt):
    bound = next(c for c in max_trainable_depth.CLAIMS if "deepest-plain" in c.key)
    row = {**PLAIN, "normalizer": "none", "theory_depth": 4.0, "cap": 64, doubt: True}
    assert judge(bound, [{**row, "log2_depth": 4.0}]).word == "fails"
    assert judge(bound, [{**row, "log2_depth": 1.0}]).word == "undecided"
    assert judge(bound, [{**row, "log2_depth": 1.0, doubt: False}]).word == "holds"


@pytest.mark.parametrize("doubt", ["rate_at_edge", "unfinished"])
def test_a_net_that_failed_for_want_of_rates_or_steps_is_undecided(doubt):
    """Of a pair, the less deep one: the other is as deep at least as was seen."""
    assert judge(DEEPER, [{**PLAIN, doubt: True}, DEEP]).word == "undecided"
    assert judge(DEEPER, [PLAIN, {**DEEP, doubt: True}]).word == "holds"
