"""`depthbench claims`: every claim in one table, run or read; its numbers add up."""

import io
import json
import re
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from depthbench.research.catalogues.mistakes import DataError
from depthbench.research.cli import claims as claims_command
from depthbench.research.cli.main import main
from depthbench.research.report import published, rendering, verdicts
from depthbench.research.store import manifest, rows
from depthbench.research.study.declaration import SMOKE_WARNING
from depthbench.research.study.studies import claims as all_claims
from depthbench.research.study.studies import studies
from tests import forged

KEYS = "key kind tag says protocol differs source published allowed ours low".split()
KEYS += "high lowest highest n points verdict seen size platform device date".split()
WORDS = ("holds", "fails", "undecided", "untested")


def asked(capsys, *more):
    assert main(["claims", "--format", "json", *more]) == 0
    return json.loads(capsys.readouterr().out)


def unique(lines):
    """Keys in order; each device that has committed rows gives a line of them."""
    places = [(line["key"], line["device"]) for line in lines]
    assert len(places) == len(set(places))
    return list(dict.fromkeys(key for key, _ in places))


def test_what_was_never_run_is_said_and_how_to_run_it(tmp_path, capsys):
    lines = asked(capsys, "--size", "full", "--out", str(tmp_path))
    assert len(lines) == sum(len(study.claims) for study in studies().values())
    for line in lines:
        assert list(line) == KEYS
        assert (line["verdict"], line["ours"], line["date"]) == ("not run", None, None)
        assert line["seen"].split()[-1] in studies()
        assert line["published"]
    assert [line["key"] for line in lines] == sorted(all_claims())


def test_committed_rows_are_judged_where_there_are_no_others(tmp_path, capsys):
    lines = asked(capsys, "--only", "gradient_flow", "--out", str(tmp_path))
    declared = studies()["gradient_flow"].claims
    assert {line["key"]: line["tag"] for line in lines} == {
        c.key: c.tag for c in declared
    }
    for line in lines:
        assert line["verdict"] in WORDS
        assert (line["points"] >= 1) != (line["verdict"] == "untested")
        assert line["date"] and line["device"] and line["platform"]
        if line["low"] is not None:
            assert line["low"] <= line["ours"] <= line["high"]
        if line["lowest"] is not None:
            assert line["lowest"] <= line["ours"] <= line["highest"]


def test_claims_are_asked_for_by_key_tag_paper_and_study(tmp_path, capsys):
    def keys(*names):
        more = ["--only", ",".join(names), "--out", str(tmp_path)]
        return unique(asked(capsys, *more))

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
        names = claim.source.lower().replace("-", "")  # Al-Rfou
        assert author in names and year in claim.source
    else:
        assert author in ("popular", "depthbench")
    assert (author == "depthbench") == claim.source.startswith("depthbench")


@pytest.mark.parametrize("form", ["table", "markdown", "csv"])
def test_every_form_shows_key_and_tag(form, tmp_path, capsys):
    more = ["--only", "he2015", "--out", str(tmp_path), "--format", form]
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
    judged = asked(capsys, "--run", *more)
    assert asked(capsys, *more) == judged
    assert {line["size"] for line in judged} == {"smoke"}
    assert judged[0]["verdict"] in WORDS
    assert (tmp_path / "gradient_rate_smoke" / "rows.csv").is_file()
    assert main(["claims", *more, "--format", "table"]) == 0
    assert "gradient_rate" not in capsys.readouterr().out  # no hint: it was run


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--only", "S99"], "mean S9 or S29?"),
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


def a_run(out):
    """A finished run of one cell of finite_width's smoke size."""
    more = "--size smoke --width 16 --depth 4".split()
    assert main(["run", "finite_width", *more, "--out", str(out)]) == 0


def rewritten(folder, **changes):
    (path,) = (folder / "cells").glob("*.json")
    forged.rewritten(path, **changes)


def words(run):
    (path,) = (run / "cells").glob("*.json")
    return dict.fromkeys(rows.load(path).values, "abc")


def manifests(run):
    return [run / name for name in manifest.NAMES]


def written(run, text):
    for path in manifests(run):
        path.write_text(text)


def emptied(path):
    shutil.rmtree(path)
    path.mkdir()


# What may be found in place of a run; and whether its row is judged all the same.
FOUND = {
    "finished": (lambda run: None, True),
    "never finished": (lambda run: forged.edited(run, history=[]), True),
    "stopped": (lambda run: forged.edited(run, history=[{"started": "x"}]), True),
    "nothing": (shutil.rmtree, False),
    "an empty folder": (emptied, False),
    "a file": (lambda run: (shutil.rmtree(run), run.write_text("mine")), False),
    "one manifest": (lambda run: (run / "run.json").unlink(), True),
    "no manifest": (lambda run: [p.unlink() for p in manifests(run)], False),
    "a folder as manifest": (
        lambda run: ((run / "run.json").unlink(), (run / "run.json").mkdir()),
        True,
    ),
    "half a manifest": (lambda run: (run / "run.json").write_text('{"study"'), True),
    "a list as manifest": (lambda run: written(run, "[1]"), False),
    "a manifest of others": (lambda run: written(run, "{}"), False),
    "a history of others": (lambda run: forged.edited(run, history=[1]), False),
    "no cells": (lambda run: shutil.rmtree(run / "cells"), False),
    "no rows": (lambda run: emptied(run / "cells"), False),
    "half a row": (
        lambda run: [p.write_text('{"id"') for p in run.glob("cells/*.json")],
        False,
    ),
    "a folder as row": (lambda run: (run / "cells" / "0.json").mkdir(), True),
    "no profiles": (lambda run: [p.unlink() for p in run.glob("cells/*.npz")], False),
    "another study": (lambda run: rewritten(run, study="gradient_flow"), False),
    "another version": (
        lambda run: rewritten(run, settings={"width": 16, "deep": 4}),
        False,
    ),
    "words as numbers": (lambda run: rewritten(run, values=words(run)), True),
    "other columns": (lambda run: rewritten(run, values={"mean": 0.5}), True),
    "a text as values": (lambda run: rewritten(run, values="none"), False),
}


@pytest.mark.parametrize("case", FOUND)
def test_whatever_is_found_in_place_of_a_run_is_no_traceback(
    case, once, tmp_path, capsys
):
    """It is judged as far as it goes; what cannot be read is said in a line."""
    path = tmp_path / "finite_width_smoke"
    shutil.copytree(once("finite_width", a_run), path)
    change, judged = FOUND[case]
    change(path)
    capsys.readouterr()
    more = ["--size", "smoke", "--only", "finite_width", "--out", str(tmp_path)]
    for form in ("json", "table"):
        assert main(["claims", *more, "--format", form]) == 0
        stdout, stderr = capsys.readouterr()
        assert len(stderr.splitlines()) <= 1
        if form == "json":
            lines = json.loads(stdout)
            assert {line["verdict"] == "not run" for line in lines} == {not judged}
    quiet = ("finished", "never finished", "stopped", "nothing", "no cells", "no rows")
    foreign = (
        *("another study", "another version"),
        *("other columns", "words as numbers"),
    )
    assert bool(stderr) != (case in (*quiet, *foreign))
    assert SMOKE_WARNING in " ".join(stdout.split())  # wherever its lines are broken


def test_bars_are_asked_for_by_one_name_and_stand_apart(tmp_path, capsys):
    bars = asked(capsys, "--only", "bars", "--out", str(tmp_path))
    keys = [key for key in all_claims() if key.startswith("depthbench.")]
    assert unique(bars) == sorted(keys)
    assert {line["kind"] for line in bars} == {"bar"}
    every = asked(capsys, "--out", str(tmp_path))
    assert {line["key"] for line in every if line["kind"] == "bar"} == set(keys)
    assert main(["claims", "--out", str(tmp_path), "--format", "markdown"]) == 0
    first, second, *others = capsys.readouterr().out.split("\n### ")
    assert "published claims" in first and "of our own" in second
    assert not any(key in first for key in keys) and all(key in second for key in keys)
    accelerators = {line["device"] for line in every if line["platform"] == "gpu"}
    assert accelerators and not any(name in first + second for name in accelerators)
    # Of another processor there are times alone.
    elsewhere = {
        published.made(name, device).device
        for device in published.devices()
        if device != published.CPU
        for name in published.folders(device)
    }
    assert accelerators < elsewhere
    for table in others:
        title = table.partition("\n")[0]
        assert sum(name in title for name in elsewhere) == 1, title


def test_what_is_missing_is_run_and_its_time_is_said_before(
    tmp_path, capsys, monkeypatch
):
    begun = []
    monkeypatch.setattr(
        claims_command,
        "run_study",
        lambda study, *rest: begun.append(study.name) or True,
    )
    more = ["--size", "smoke", "--only", "gradient_rate,digits", "--out", str(tmp_path)]
    asked(capsys, *more)
    assert begun == []  # it reads by default
    assert main(["claims", "--run", *more]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert sorted(begun) == ["digits", "gradient_rate"]
    assert "18 cells of 2 studies: about" in lines[0]
    assert ["1 of 2: " in lines[1], "2 of 2: " in lines[2]] == [True, True]


@pytest.mark.parametrize("step", ["fit", "measured"])
def test_a_study_that_cannot_be_run_is_skipped_and_the_others_are(
    step, tmp_path, capsys, monkeypatch
):
    """As without a package that its data come in: found when cells are listed, or later."""

    def without(*_):
        raise DataError("digits: needs a package, which is not installed")

    begun = []

    def completed(study, *_):
        begun.append(study.name)
        raise DataError(f"{study.name}: needs a package, which is not installed")

    if step == "fit":
        fit = claims_command.cells_of
        chosen = lambda study, size: (without if study.name == "digits" else fit)(
            study, size
        )
        monkeypatch.setattr(claims_command, "cells_of", chosen)
        monkeypatch.setattr(
            claims_command,
            "run_study",
            lambda study, *_: begun.append(study.name) or True,
        )
    else:
        monkeypatch.setattr(claims_command.runs, "completed", completed)
    more = ["--size", "smoke", "--only", "digits,gradient_rate", "--out", str(tmp_path)]
    assert main(["claims", "--run", *more]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert "depthbench: digits skipped: digits: needs a package" in "\n".join(lines)
    assert "gradient_rate" in begun
    assert not any(line.startswith("Traceback") for line in lines)
