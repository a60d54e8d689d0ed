"""`depthbench claims`: every claim in one table, run or read; its numbers add up."""

import json

import pytest

from research.cli.main import main
from research.study import claims
from research.study.claims import Claim
from research.study.studies import studies

KEYS = "id says source published ours low high n verdict scope size device date".split()


def asked(capsys, *more):
    assert main(["claims", "--format", "json", *more]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_was_never_run_is_said_and_how_to_run_it(tmp_path, capsys):
    lines = asked(capsys, "--read", "--size", "full", "--out", str(tmp_path))
    assert len(lines) == sum(len(study.claims) for study in studies().values())
    for line in lines:
        assert list(line) == KEYS
        assert (line["verdict"], line["ours"], line["date"]) == ("not run", None, None)
        assert line["scope"].split()[-1] in studies()
        assert line["published"]
    numbered = [line["id"] for line in lines if line["id"][1:].isdecimal()]
    order = [(name[0], int(name[1:])) for name in numbered]
    assert order == sorted(order)
    assert [line["id"] for line in lines][: len(order)] == numbered  # words come last


def test_committed_rows_are_judged_where_there_are_no_others(tmp_path, capsys):
    lines = asked(capsys, "--read", "--only", "gradient_flow", "--out", str(tmp_path))
    assert {line["id"] for line in lines} == {"S1", "S8", "S11", "S13"}
    for line in lines:
        assert line["verdict"] in ("holds", "fails")
        assert line["low"] <= line["ours"] <= line["high"]
        assert line["n"] >= 1 and line["date"] and line["device"]


@pytest.mark.slow
def test_a_study_is_run_and_then_read(tmp_path, capsys):
    more = ["--size", "smoke", "--only", "gradient_rate", "--out", str(tmp_path)]
    made = asked(capsys, *more)
    assert asked(capsys, "--read", *more) == made
    assert {line["size"] for line in made} == {"smoke"}
    assert made[0]["verdict"] in ("holds", "fails", "untested")
    assert (tmp_path / "gradient_rate_smoke" / "rows.csv").is_file()
    assert main(["claims", "--read", *more, "--format", "table"]) == 0
    assert "gradient_rate" not in capsys.readouterr().out  # no hint: it was run


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--only", "S99"], "S9"),
        (["--only", "gradient_flo"], "gradient_flow"),
        (["--size", "small"], "smoke"),
        (["--format", "xml"], "json"),
    ],
)
def test_mistakes_are_one_line(more, word, capsys):
    assert main(["claims", *more]) == 2
    said = capsys.readouterr().err
    assert word in said and len(said.splitlines()) == 1


def claim(**more):
    return Claim(
        "S1",
        "small",
        "a paper",
        gap=lambda row: row["gap"],
        error=lambda row: 0.1,
        within=0.05,
        scope=lambda row: row["scope"],
        label=("gap",),
        **more,
    )


def rows(*gaps, **more):
    return [{"status": "ok", "seeds": 3, "scope": True, "gap": g, **more} for g in gaps]


def test_one_point_has_an_interval_and_several_have_a_range():
    one = claims.judge(claim(), rows(0.2))
    assert (one.ours, one.low, one.high) == pytest.approx((0.2, 0.0, 0.4))
    several = claims.judge(claim(), rows(0.2, -0.3, 0.1))
    assert (several.ours, several.low, several.high) == (0.1, -0.3, 0.2)
    other = claims.judge(claim(ours=lambda row: 2 * row["gap"]), rows(0.2, 0.1, 0.5))
    assert (other.ours, other.points, other.word) == (0.4, 3, "fails")
    none = claims.judge(claim(), rows(0.2, scope=False))
    assert (none.ours, none.low, none.word) == (None, None, "untested")


def test_a_claim_may_compare_cells():
    differences = lambda rows: [
        {**rows[0], "gap": rows[0]["gap"] - other["gap"]} for other in rows[1:]
    ]
    told = claims.judge(claim(of=differences), rows(1.0, 0.99, 0.1))
    assert (told.holds, told.points) == (1, 2)
    assert told.misses[0][1] == pytest.approx(0.9)
