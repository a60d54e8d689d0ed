"""`depthbench claims`: every claim in one table, run or read; its numbers add up."""

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from research.cli.main import main
from research.report import rendering, verdicts
from research.study.studies import claims as all_claims
from research.study.studies import studies

KEYS = "key kind tag says protocol differs source published allowed ours low".split()
KEYS += "high lowest highest n points verdict seen size device date".split()
WORDS = ("holds", "fails", "undecided", "untested")


def asked(capsys, *more):
    assert main(["claims", "--format", "json", *more]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_was_never_run_is_said_and_how_to_run_it(tmp_path, capsys):
    lines = asked(capsys, "--read", "--size", "full", "--out", str(tmp_path))
    assert len(lines) == sum(len(study.claims) for study in studies().values())
    for line in lines:
        assert list(line) == KEYS
        assert (line["verdict"], line["ours"], line["date"]) == ("not run", None, None)
        assert line["seen"].split()[-1] in studies()
        assert line["published"]
    assert [line["key"] for line in lines] == sorted(all_claims())


def test_committed_rows_are_judged_where_there_are_no_others(tmp_path, capsys):
    lines = asked(capsys, "--read", "--only", "gradient_flow", "--out", str(tmp_path))
    declared = studies()["gradient_flow"].claims
    assert {line["key"]: line["tag"] for line in lines} == {
        c.key: c.tag for c in declared
    }
    for line in lines:
        assert line["verdict"] in WORDS
        assert line["points"] >= 1 and line["date"] and line["device"]
        if line["low"] is not None:
            assert line["low"] <= line["ours"] <= line["high"]
        if line["lowest"] is not None:
            assert line["lowest"] <= line["ours"] <= line["highest"]


def test_claims_are_asked_for_by_key_tag_paper_and_study(tmp_path, capsys):
    def keys(*names):
        more = ["--read", "--only", ",".join(names), "--out", str(tmp_path)]
        return [line["key"] for line in asked(capsys, *more)]

    every = all_claims().values()
    assert keys("he2015.gradient-kept") == ["he2015.gradient-kept"]
    tagged = sorted(claim.key for claim in every if claim.tag == "S13")
    assert len(tagged) > 5 and keys("S13") == tagged
    # A paper's claims may have several tags, and a tag's several papers.
    he = sorted(claim.key for claim in every if claim.key.startswith("he2016."))
    assert keys("he2016") == he
    assert keys("digits", "S20") == sorted(
        claim.key for name in ("digits", "mup") for claim in studies()[name].claims
    )


@pytest.mark.parametrize("key", all_claims())
def test_a_claims_key_says_whose_it_is(key):
    """by_key refuses another form and a key used twice; authors are the source's."""
    claim = all_claims()[key]
    author, year = re.fullmatch(r"([a-z]+)(\d*)[a-z]?", claim.paper).groups()
    if year:
        assert author in claim.source.lower() and year in claim.source
    else:
        assert author in ("popular", "depthbench")
    assert (author == "depthbench") == claim.source.startswith("depthbench")


@pytest.mark.parametrize("form", ["table", "markdown", "csv"])
def test_every_form_shows_key_and_tag(form, tmp_path, capsys):
    more = ["--read", "--only", "he2015", "--out", str(tmp_path), "--format", form]
    assert main(["claims", *more]) == 0
    shown = capsys.readouterr().out
    for key in (key for key in all_claims() if key.startswith("he2015.")):
        assert key in shown
    assert "S13" in shown


@pytest.mark.parametrize("width", [80, 100])
def test_no_key_is_broken_in_a_terminal(width):
    lines = [
        line
        for study in studies().values()
        for line in verdicts.verdict_lines(study, Path("nowhere"), "smoke")
    ]
    console = Console(width=width, file=io.StringIO())
    for table in verdicts.verdicts_tables(lines):
        rendering.show(rendering.stacked(table, *verdicts.STACKS), console)
    shown = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert max(map(len, shown)) <= width
    starts = {line.split()[0] for line in shown if line}
    assert starts >= set(all_claims())


@pytest.mark.slow
def test_a_study_is_run_and_then_read(tmp_path, capsys):
    more = ["--size", "smoke", "--only", "gradient_rate", "--out", str(tmp_path)]
    judged = asked(capsys, *more)
    assert asked(capsys, "--read", *more) == judged
    assert {line["size"] for line in judged} == {"smoke"}
    assert judged[0]["verdict"] in WORDS
    assert (tmp_path / "gradient_rate_smoke" / "rows.csv").is_file()
    assert main(["claims", "--read", *more, "--format", "table"]) == 0
    assert "gradient_rate" not in capsys.readouterr().out  # no hint: it was run


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--only", "S99"], "mean S9?"),
        (["--only", "he2015.gradient-keeped"], "he2015.gradient-kept"),
        (["--only", "he2051"], "he2015"),
        (["--only", "gradient_flo"], "gradient_flow"),
        (["--size", "small"], "smoke"),
        (["--format", "xml"], "json"),
    ],
)
def test_mistakes_are_one_line(more, word, capsys):
    assert main(["claims", *more]) == 2
    stderr = capsys.readouterr().err
    assert word in stderr and len(stderr.splitlines()) == 1 and len(stderr) < 250
