"""The one rule: three verdicts, decided by what rows show and never by their noise."""

import math

import pytest

from depthbench.research.study import claims, doubts
from depthbench.research.study.claims import Claim, judge
from depthbench.research.study.estimates import (
    Allowed,
    about,
    above,
    below,
    exact,
    mean,
    share,
)
from depthbench.research.study.studies import claims as all_claims
from depthbench.research.study.studies import studies


def claim(**more):
    settings = {
        "estimate": lambda row: mean(row["gap"], row["error"], row["seeds"]),
        "allows": about(0.0, within=0.5),
        "scope": lambda row: row["scope"],
        "label": ("name",),
        **more,
    }
    return Claim("he2015.small", "small", "a paper", **settings)


def row(gap, error=0.01, **more):
    shown = {"status": "ok", "reason": "", "seeds": 3, "scope": True, "name": "a"}
    return {**shown, "gap": gap, "error": error, **more}


def word(*rows, **more):
    return judge(claim(**more), rows).word


def test_a_claim_holds_fails_or_is_undecided():
    assert word(row(0.1)) == "holds"
    assert word(row(0.9)) == "fails"
    assert word(row(0.1, 0.3)) == "undecided"
    assert word(row(0.9, 0.3)) == "undecided"
    assert word(row(0.1, scope=False)) == "untested"
    assert judge(claim(), []).word == "untested"


def test_noise_helps_no_claim():
    """However large the error, a claim that fails without noise never holds with it."""
    for error in (0.01, 0.1, 1.0, 10.0, 1e6):
        assert word(row(0.9, error)) != "holds"
        assert word(row(0.1, error)) != "fails"
    assert word(row(0.9, 10.0)) == word(row(0.1, 10.0)) == "undecided"


def test_every_point_must_hold():
    assert word(row(0.1), row(0.2), row(-0.3)) == "holds"
    assert word(row(0.1), row(0.1, 0.4)) == "undecided"
    assert word(row(0.1), row(0.1, 0.4), row(2.0)) == "fails"


def test_one_miss_of_many_must_be_surer():
    """p = .02 fails a claim's only point, and not one of twenty (Holm)."""
    miss = row(0.57, 0.01, seeds=3)  # t = 7 of two degrees: p = .0099
    assert word(miss) == "fails"
    assert word(*[row(0.1)] * 19, miss) == "undecided"
    assert claims.holm([0.0099] + [1.0] * 19) == [False] * 20
    assert claims.holm([0.02, 0.02, 0.02]) == [False] * 3
    assert claims.holm([0.01, 0.02, 0.04]) == [True] * 3
    assert claims.holm([]) == []


def test_a_row_that_did_not_end_well_is_named():
    lost = row(None, status="overflow", reason="at layer 3", name="deep")
    verdict = judge(claim(), [row(0.1), lost])
    assert verdict.word == "undecided" and len(verdict.points) == 2
    assert "deep (overflow: at layer 3)" in verdict.sentence()
    assert judge(claim(), [row(2.0), lost]).word == "fails"
    part = judge(claim(), [row(0.1), row(None, name="b")])
    assert part.word == "undecided" and part.sentence().endswith("b (not measured)")


def test_rows_that_lack_what_is_judged_leave_it_untested():
    """Those of an earlier version, and those of which nothing was measured."""
    older = {name: value for name, value in row(0.1).items() if name != "error"}
    verdict = judge(claim(), [older, older])
    assert (verdict.word, verdict.points) == ("untested", ())
    says = "untested: rows made before there was a column 'error'"
    assert verdict.sentence() == says
    verdict = judge(claim(), [row(None), row(None)])
    assert verdict.word == "untested"
    assert verdict.sentence() == "untested: not measured in 2 rows in scope"


def test_a_row_that_gave_nothing_has_its_columns_empty():
    bare = {"status": "no_fixed_point", "reason": "none", "scope": True, "name": "b"}
    verdict = judge(claim(scope=lambda row: row["gap"] is not None), [row(0.1), bare])
    assert (verdict.word, len(verdict.points)) == ("holds", 1)


@pytest.mark.parametrize("column", ["rate_at_edge", "unfinished"])
def test_a_grid_or_a_budget_decides_nothing(column):
    for gap in (0.1, 2.0):
        doubted = {**row(gap), column: True}
        verdict = judge(claim(), [doubted])
        assert verdict.word == "undecided"
        reason = {"rate_at_edge": doubts.EDGE, "unfinished": doubts.UNFINISHED}[column]
        assert f"a ({reason})" in verdict.sentence()
        assert "seeds would decide" not in verdict.sentence()
        assert judge(claim(doubt=doubts.certain), [doubted]).word != "undecided"


@pytest.mark.parametrize("column", doubts.COLUMNS)
@pytest.mark.parametrize(
    "gap, allows, up, down",
    [  # what is said where more could only raise it, and where it could only lower it
        (1.0, above(0.0), "holds", "undecided"),
        (-1.0, above(0.0), "undecided", "fails"),
        (1.0, below(0.0), "fails", "undecided"),
        (-1.0, below(0.0), "undecided", "holds"),
        (0.1, about(0.0, within=0.5), "undecided", "undecided"),
        (1.0, about(0.0, within=0.5), "fails", "undecided"),
        (-1.0, about(0.0, within=0.5), "undecided", "fails"),
    ],
)
def test_a_budget_leaves_open_only_what_more_might_turn(column, gap, allows, up, down):
    doubted = {**row(gap), column: True, "may_rise": False, "may_fall": False}
    for moves, said in ((doubts.upward, up), (doubts.downward, down)):
        assert word(doubted, allows=allows, moves=moves) == said
        assert word(row(gap), allows=allows, moves=moves) != "undecided"  # in no doubt
    for rises, falls in ((True, False), (False, True), (True, True)):
        pair = {**doubted, "may_rise": rises, "may_fall": falls}
        said = "undecided" if rises and falls else up if rises else down
        assert word(pair, allows=allows, moves=doubts.of_sides) == said


def test_noise_is_not_made_surer_by_what_more_training_might_give():
    for gap in (0.1, -0.1):
        noisy = {**row(gap, 0.3), "unfinished": True}
        for moves in (doubts.upward, doubts.downward, doubts.anywhere):
            assert word(noisy, allows=above(0.0), moves=moves) == "undecided"


def test_an_undecided_verdict_says_how_many_seeds_would_decide():
    verdict = judge(claim(), [row(0.1, 0.3), row(0.0)])
    assert verdict.seeds_to_decide == 7
    assert "undecided at a: about 7 seeds would decide" in verdict.sentence()
    never = judge(claim(), [row(0.5, 0.3)])
    assert never.seeds_to_decide is None
    assert "no number of seeds" in never.sentence()


@pytest.mark.parametrize(
    "seeds, t, needed",
    [(3, 3.0, 8), (20, 1.8, 66)],  # of the least p of 54: one of 0.05 / 54 fails
)
def test_the_seeds_that_would_decide_are_those_that_decide(seeds, t, needed):
    """A point that is outside at 5 % by itself is not so of many points."""
    outside = lambda n: row(0.5 + 0.1, 0.1 / t * math.sqrt(seeds / n), seeds=n)
    within = [row(0.0)] * 53
    assert judge(claim(), [outside(seeds)]).word == "fails"
    verdict = judge(claim(), [outside(seeds), *within])
    assert verdict.word == "undecided"
    said = verdict.seeds_to_decide
    assert said == pytest.approx(needed, abs=1)
    assert judge(claim(), [outside(said), *within]).word == "fails"
    assert judge(claim(), [outside(said - 1), *within]).word == "undecided"


def test_what_has_no_chance_in_it_says_so():
    verdict = judge(claim(estimate=lambda row: exact(row["gap"])), [row(0.1)])
    assert (verdict.word, verdict.seeds) == ("holds", 0)
    assert verdict.interval == (0.1, 0.1)
    assert verdict.sentence() == "holds at 1 of 1 point in scope; no chance in it"


def test_shares_of_few_runs_are_known_badly():
    shares = lambda row: share(row["gap"], row["seeds"])
    more = {"estimate": shares, "allows": above(0.5)}
    assert word(row(1.0), **more) == "holds"  # 3 of 3: Wilson's lower end is .526
    assert word(row(1.0, seeds=2), **more) == "undecided"
    assert word(row(2 / 3), **more) == "undecided"
    assert word(row(0.0), **more) == "fails"


def test_one_point_has_an_interval_and_several_have_a_range():
    one = judge(claim(), [row(0.2)])
    assert one.interval == pytest.approx((0.2 - 0.0292, 0.2 + 0.0292), abs=1e-4)
    assert (one.ours, one.range, one.seeds) == (0.2, None, 3)
    several = judge(claim(), [row(0.2), row(-0.3, seeds=2), row(0.1)])
    assert (several.ours, several.range) == (0.1, (-0.3, 0.2))
    assert (several.interval, several.seeds) == (None, 2)
    none = judge(claim(), [row(0.2, scope=False)])
    assert (none.ours, none.interval, none.seeds) == (None, None, None)


def test_the_worst_comes_first():
    rows = [row(g, name=n) for g, n in ((0.7, "near"), (-3.0, "far"), (0.1, "in"))]
    verdict = judge(claim(), rows)
    assert [point.label for point in verdict.having("fails")] == ["far", "near"]
    assert "fails at far by 2.5, near by 0.2" in verdict.sentence()


def test_a_claim_may_compare_cells():
    differences = lambda rows: [
        {**rows[0], "gap": rows[0]["gap"] - other["gap"]} for other in rows[1:]
    ]
    verdict = judge(claim(of=differences), [row(1.0), row(0.99), row(0.1)])
    assert [point.word for point in verdict.points] == ["holds", "fails"]


@pytest.mark.parametrize(
    "key",
    [
        "S13",
        "he.gradient-kept",
        "he2015",
        "he2015.",
        "he2015.Gradient-kept",
        "he2015.gradient_kept",
        "he2015.gradient--kept",
        "He2015.gradient-kept",
        "he2015.gradient-kept.again",
        "he2015." + "a" * 34,
    ],
)
def test_a_key_of_another_form_is_refused(key):
    claims.by_key([claim(), claim()._replace(key="he2015b.small-2")])
    with pytest.raises(ValueError, match="must have at most 40 letters"):
        claims.by_key([claim()._replace(key=key)])


def test_no_two_claims_share_a_key():
    with pytest.raises(ValueError, match=r"two claims are named 'he2015\.small'"):
        claims.by_key([claim(), claim()._replace(says="another")])


@pytest.mark.parametrize("key", all_claims())
def test_claims_say_what_they_allow_and_how_they_were_tested(key):
    """Published ones also how that differs from their source; sentences stand alone."""
    declared = all_claims()[key]
    low, high = declared.allows
    assert isinstance(declared.allows, Allowed) and low < high
    assert math.isfinite(low) or math.isfinite(high)
    assert not declared.says.startswith(("and ", "but ", "or "))
    if declared.kind == "claim":
        assert declared.protocol and declared.differs


@pytest.mark.parametrize("name", studies())
def test_scopes_are_asked_of_rows_without_measurements(name):
    """A row that gave nothing is in scope or out of it by its settings alone."""
    study = studies()[name]
    for settings in ({axis: a.values[0] for axis, a in study.axes.items()},):
        for status in ("overflow", "failed"):
            bare = {column: None for column in study.columns}
            seen = {**bare, **settings, "status": status, "reason": "none", "id": "x"}
            for one in study.claims:
                assert judge(one, [seen]).word in ("untested", "undecided")


def test_what_claims_have_in_common_is_said_once():
    """Of every study: what is left of a protocol and what is said once are the whole."""
    found = 0
    for study in studies().values():
        shared = claims.common(study.claims)
        found += bool(shared)
        for claim in study.claims if shared else ():
            own = claim.statement(shared)
            assert claim.protocol.startswith(shared) and shared not in own
            rest = claim.protocol.removeprefix(shared).lstrip(",; ")
            assert own == claims.stated(claim.says, rest, claim.differs)
    assert found > 30


def test_a_single_claim_and_one_without_a_protocol_have_nothing_in_common():
    protocol = "digits, 64 units, Adam, 200 steps of 64 examples, 3 seeds; the deepest"
    of = lambda text: Claim("a2000.b", "c", "d", None, None, None, protocol=text)
    assert claims.common([of(protocol)]) == ""
    assert claims.common([of(protocol), of("")]) == ""
    both = claims.common([of(protocol), of(protocol + " net")])
    assert both == "digits, 64 units, Adam, 200 steps of 64 examples, 3 seeds"
