"""`depthbench reproduce`: published cells run again; a verdict that differs is status 1."""

import csv
import json
import shutil

import pytest

from depthbench.research.cli.main import main
from depthbench.research.report import documents, figures, published, reproduction
from depthbench.research.report.published import Made
from depthbench.research.report.run_folder import opened
from depthbench.research.study.studies import studies

NAME = "edge_of_chaos"
GRID = "--activation tanh,relu --sigma-b2 0.05 --depth 8 --width 16 --seeds 3".split()


@pytest.fixture
def committed(once, tmp_path, monkeypatch):
    """A folder of committed results, with one study of few cells."""

    def make(out):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(published, "RESULTS", out / "results")
            assert main(["run", NAME, *GRID, "--out", str(out / "run")]) == 0
            run = opened(out / "run")
            published.publish(run.study, run.folder, run.records)

    results = shutil.copytree(once("published", make) / "results", tmp_path / "results")
    monkeypatch.setattr(published, "RESULTS", results)
    return results


@pytest.fixture
def no_pictures(monkeypatch):
    monkeypatch.setattr(figures, "lay_out", lambda drawn: None)
    monkeypatch.setattr(figures, "as_png", lambda drawn: b"")
    monkeypatch.setattr(figures, "as_svg", lambda drawn: b"")


@pytest.mark.slow
def test_a_table_is_reproduced_and_resumed(committed, tmp_path, capsys, no_pictures):
    """What is there is not run again."""
    out = tmp_path / "again"

    def reproduced(*more):
        assert main(["reproduce", NAME, "--out", str(out), *more]) == 0
        return capsys.readouterr()

    done = reproduced("--dry-run")
    assert done.out == "nothing was run\n"
    assert "cells to run, about" in done.err and not out.exists()
    done = reproduced()
    rows = published.read_csv(committed / "cpu" / NAME / "rows.csv")
    claims = len(studies()[NAME].claims)
    assert f"verdicts equal {len(rows) + claims} of {len(rows) + claims}" in done.out
    assert done.out.count(f"{len(rows)} of {len(rows)}") == 2 and "none" in done.out
    cells = {p: p.stat().st_mtime_ns for p in out.rglob("cells/*")}
    done = reproduced("--format", "json")
    assert "0 cells to run, all are there" in done.err
    (outcome,) = json.loads(done.out)
    assert outcome["largest"] is None and outcome["identical"] == len(rows)
    assert {p: p.stat().st_mtime_ns for p in out.rglob("cells/*")} == cells


def planted(folder, column, change):
    """Changes what the committed rows have in a column; how many there are."""
    path = folder / "cpu" / NAME / "rows.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    there = [row for row in rows if row[column]]
    for row in there:
        row[column] = change(row[column])
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return len(there)


@pytest.mark.slow
def test_a_planted_verdict_is_named_with_status_1(
    committed, tmp_path, capsys, no_pictures
):
    command = ["reproduce", NAME, "--out", str(tmp_path / "again"), "--format", "json"]
    # No length is near q* any more, and the claim on it fails.
    planted(committed, "log10_length", lambda text: "5.0")
    assert main(command) == 1
    (outcome,) = json.loads(capsys.readouterr().out)
    assert outcome["equal"]["claims"] < outcome["verdicts"]["claims"]
    assert outcome["others"] and outcome["largest"]["column"] == "log10_length"
    assert main(command[:-2]) == 1
    assert "Verdicts that differ" in capsys.readouterr().out


@pytest.mark.slow
def test_another_status_is_another_verdict_and_a_small_difference_is_none(
    committed, tmp_path, capsys, no_pictures
):
    command = ["reproduce", NAME, "--out", str(tmp_path / "again"), "--format", "json"]
    planted(committed, "log10_slope", lambda text: str(1.001 * float(text)))
    assert main(command) == 0
    (outcome,) = json.loads(capsys.readouterr().out)
    assert outcome["largest"]["share"] == pytest.approx(1e-3, rel=0.01)
    assert 0 < outcome["identical"] < outcome["verdicts"]["rows"]
    planted(committed, "status", lambda text: text.replace("ok", "lost"))
    assert main(command) == 1
    (outcome,) = json.loads(capsys.readouterr().out)
    assert outcome["equal"]["rows"] == 3
    assert ["lost", "ok"] in [line[1:] for line in outcome["others"]]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("READM", "did you mean README"),
        ("edge_of_chaso", NAME),
        ("nothing", "allowed:"),
    ],
)
def test_an_unknown_table_is_refused_with_the_nearest(name, words, capsys):
    assert main(["reproduce", name]) == 2
    stderr = capsys.readouterr().err
    assert words in stderr and len(stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["README", "docs/results.md", "results"])
def test_a_page_names_the_studies_of_its_tables(name, capsys):
    assert main(["reproduce", name, "--dry-run"]) == 0
    assert "max_trainable_depth" in capsys.readouterr().err


def test_timings_count_on_the_same_hardware_alone():
    study = studies()["max_trainable_depth"]
    committed = published.made(study.name)
    slower = [{**row, "step_ms": 2 * row["step_ms"]} for row in committed.rows]
    here = reproduction.of(study, committed, committed._replace(rows=slower))
    assert here.largest.column == "step_ms" and here.left_out == []
    assert here.largest.share == pytest.approx(0.5) and here.identical == 0
    world = {**committed.environment, "processor": "another"}
    there = reproduction.of(study, committed, Made(slower, world, None))
    assert there.largest is None and "step_ms" in there.left_out
    assert there.identical == len(committed.rows)


def test_claims_on_timings_are_left_out_on_other_hardware():
    study = studies()["throughput"]
    committed = published.made(study.name)
    world = {**committed.environment, "processor": "another"}
    there = reproduction.of(study, committed, committed._replace(environment=world))
    here = reproduction.of(study, committed, committed)
    assert "depthbench.time-grows-as-depth" in there.left_out
    assert there.verdicts["claims"] < here.verdicts["claims"] == len(study.claims)


def test_every_timing_is_a_column_and_no_setting():
    for study in studies().values():
        assert set(study.timings) <= set(study.columns), study.name
        assert not set(study.timings) & set(study.axes), study.name


@pytest.mark.slow
def test_a_report_that_cannot_be_published_leaves_all_as_it_was(
    committed, tmp_path, capsys, no_pictures, monkeypatch
):
    """The rows are in their place when README cannot be made of them."""
    out = tmp_path / "again"
    assert main(["run", NAME, *GRID, "--out", str(out)]) == 0
    files = lambda: {p: p.read_bytes() for p in committed.rglob("*") if p.is_file()}
    before, seen = files(), []

    def full(text):
        seen.append(files() != before)
        raise OSError(28, "No space left on device", "README.md")

    monkeypatch.setattr(documents, "filled", full)
    capsys.readouterr()
    assert main(["report", str(out), "--publish"]) == 74
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("depthbench: ") and "No space left" in said
    assert seen == [True] and files() == before
