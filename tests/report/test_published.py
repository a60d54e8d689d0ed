"""Published numbers are text made from committed rows; no number can drift."""

import shutil

import pytest

from research.architectures import ARCHITECTURES
from research.cli.main import main
from research.report import published, readme, rendering
from research.study.studies import studies

PUBLISHED = [(d, name) for d in published.devices() for name in published.folders(d)]


def test_readme_tables_are_made_from_committed_rows(root):
    text = (root / "README.md").read_text()
    assert readme.filled(text) == text, (
        "README.md differs from the committed rows; if they were made anew, run "
        "depthbench report and say so in CHANGELOG.md"
    )


@pytest.mark.parametrize(("device", "name"), PUBLISHED)
def test_reports_are_made_from_committed_rows(device, name):
    committed = (published.folders(device)[name] / "report.md").read_text()
    assert published.made_again(studies()[name], device) == committed


def test_a_changed_row_changes_the_readme(root, tmp_path, monkeypatch):
    text = (root / "README.md").read_text()
    shutil.copytree(published.RESULTS, tmp_path / "results")
    monkeypatch.setattr(published, "RESULTS", tmp_path / "results")
    assert readme.filled(text) == text
    path = tmp_path / "results" / "cpu" / "gradient_flow" / "rows.csv"
    rows = path.read_text()
    path.write_text(rows.replace(",survives,", ",vanishes,", 40))
    assert readme.filled(text) != text


def test_values_are_read_as_they_were_written(tmp_path):
    row = {"a": 1, "b": -0.5, "c": None, "d": True, "e": False, "f": "tanh", "g": 1e-9}
    (tmp_path / "rows.csv").write_text(rendering.as_csv([row], list(row)))
    (read,) = published.read_csv(tmp_path / "rows.csv")
    assert read == row and [type(v) for v in read.values()] == [
        type(v) for v in row.values()
    ]


def test_a_run_is_published_and_readme_made_anew(tmp_path, monkeypatch, capsys):
    """What is published is read by `claims`, and gives the report that was published."""
    monkeypatch.setattr(published, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(readme, "README", tmp_path / "README.md")
    asked = "before\n<!-- table: gradient_flow -->\n<!-- end -->\nafter\n"
    readme.README.write_text(asked)
    run = str(tmp_path / "run")
    small = "--architecture mlp --activation tanh,relu --depth 2 --width 8 --seeds 2"
    assert main(["run", "gradient_flow", *small.split(), "--out", run]) == 0
    assert main(["report", run, "--publish"]) == 0
    text = readme.README.read_text()
    assert text.startswith("before\n") and text.endswith("<!-- end -->\nafter\n")
    assert "| " in text and readme.filled(text) == text
    study = studies()["gradient_flow"]
    committed = (published.folders()["gradient_flow"] / "report.md").read_text()
    assert committed == (tmp_path / "run" / "report.md").read_text()
    assert published.made_again(study) == committed
    assert published.made("gradient_flow").rows
    capsys.readouterr()
    assert main(["report", "--publish"]) == 2
    assert "which run's folder" in capsys.readouterr().err


EXPERIMENTS = [s for s in studies().values() if s.kind == "experiment"]


def test_readme_names_every_architecture_and_experiment(root):
    text = (root / "README.md").read_text()
    for name in (*ARCHITECTURES, *(study.name for study in EXPERIMENTS)):
        assert f"`{name}`" in text, name


def test_every_experiment_has_three_sizes_and_a_claim():
    for study in EXPERIMENTS:
        assert {"smoke", "full"} <= set(study.sizes), study.name
        assert study.claims, study.name
