"""Published numbers are text made from committed rows; no number can drift."""

import re
import shutil

import pytest

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.cli.main import main
from depthbench.research.datasets import DATASETS
from depthbench.research.report import documents, gallery, published, rendering
from depthbench.research.store import folder as folders
from depthbench.research.store.folder import Folder
from depthbench.research.study.studies import studies
from tests import forged

PUBLISHED = [(d, name) for d in published.devices() for name in published.folders(d)]


@pytest.mark.parametrize("path", documents.paths(), ids=lambda path: path.name)
def test_documents_are_made_from_committed_rows(path):
    text = path.read_text()
    assert documents.filled(text) == text, (
        f"{path.name} differs from the committed rows; if they were measured again, run "
        "depthbench report and say so in CHANGELOG.md"
    )


@pytest.mark.parametrize(("device", "name"), PUBLISHED)
def test_reports_are_made_from_committed_rows(device, name):
    committed = (published.folders(device)[name] / "report.md").read_text()
    assert published.made_again(studies()[name], device) == committed


@pytest.mark.parametrize(
    ("page", "study", "value", "other"),
    [
        ("docs/results.md", "gradient_flow", ",survives,", ",vanishes,"),
        ("README.md", "max_trainable_depth", ",32,", ",33,"),
        ("docs/studies/propagation.md", "finite_width", ",ok,", ",lost,"),
    ],
)
def test_a_changed_row_changes_the_page(
    root, tmp_path, monkeypatch, page, study, value, other
):
    text = (root / page).read_text()
    shutil.copytree(published.RESULTS, tmp_path / "results")
    monkeypatch.setattr(published, "RESULTS", tmp_path / "results")
    assert documents.filled(text) == text
    path = tmp_path / "results" / "cpu" / study / "rows.csv"
    rows = path.read_text()
    assert value in rows
    path.write_text(rows.replace(value, other))
    assert documents.filled(text) != text


def test_a_block_of_an_unknown_study_is_refused():
    with pytest.raises(ValueError, match="no committed rows of nothing"):
        documents.filled("<!-- table: nothing -->\n<!-- end -->")


def test_values_are_read_as_they_were_written(tmp_path):
    row = {"a": 1, "b": -0.5, "c": None, "d": True, "e": False, "f": "tanh", "g": 1e-9}
    (tmp_path / "rows.csv").write_text(rendering.as_csv([row], list(row)))
    (read,) = published.read_csv(tmp_path / "rows.csv")
    assert read == row and [type(v) for v in read.values()] == [
        type(v) for v in row.values()
    ]


def test_a_run_is_published_and_documents_updated(tmp_path, monkeypatch, capsys):
    """What is published is read by `claims`, and gives the report that was published."""
    monkeypatch.setattr(published, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(documents, "ROOT", tmp_path)
    readme, page = tmp_path / "README.md", tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    template = "before\n<!-- table: gradient_flow 2 -->\n<!-- end -->\nafter\n"
    readme.write_text(template.replace(" 2 ", " "))
    page.write_text(template)
    run = str(tmp_path / "run")
    small = "--architecture mlp --activation tanh,relu --depth 2 --width 8 --seeds 2"
    assert main(["run", "gradient_flow", *small.split(), "--out", run]) == 0
    assert main(["report", run, "--publish"]) == 0
    for path in (readme, page):
        text = path.read_text()
        assert text.startswith("before\n") and text.endswith("<!-- end -->\nafter\n")
        assert "| " in text and documents.filled(text) == text
    assert readme.read_text() != page.read_text().replace(" 2 ", " ")
    study = studies()["gradient_flow"]
    committed = (published.folders()["gradient_flow"] / "report.md").read_text()
    assert committed == (tmp_path / "run" / "report.md").read_text()
    assert published.made_again(study) == committed
    assert published.made("gradient_flow").rows
    capsys.readouterr()
    assert main(["report", "--publish"]) == 2
    assert "needs a run's folder" in capsys.readouterr().err


@pytest.mark.parametrize("of, other", [("commit", "abc"), ("device", "another chip")])
def test_rows_of_several_commits_or_machines_are_reported_and_not_published(
    tmp_path, monkeypatch, capsys, of, other
):
    """They are committed with one stamp, and would be said to be all of it."""
    monkeypatch.setattr(published, "RESULTS", tmp_path / "results")
    run = tmp_path / "run"
    small = "--architecture mlp --activation tanh,relu --depth 2 --width 8 --seeds 2"
    words = ["run", "gradient_flow", *small.split(), "--out", str(run)]
    assert main(words) == 0
    (record, *more) = folders.records(Folder(run))[0]
    path = Folder(run).cells / f"{record.id}.json"
    forged.rewritten(path, stamp={**record.stamp, of: other})
    reports = []
    for again in (words, ["report", str(run)]):
        (run / "report.md").unlink()
        assert main(again) == 0
        reports.append((run / "report.md").read_text())
    assert reports[0] == reports[1]
    rows = len(more) + 1
    for count in (1, len(more)):
        (line,) = re.findall(rf"^- {count} of {rows} rows: .*$", reports[0], re.M)
        assert (other in line) is (count == 1)
    capsys.readouterr()
    assert main(["report", str(run), "--publish"]) == 2
    said = capsys.readouterr().err
    assert f"has rows of 2 {of.replace('device', 'machine')}s (" in said
    assert other in said and not (tmp_path / "results").exists()


EXPERIMENTS = [s for s in studies().values() if s.kind == "experiment"]


def test_docs_name_every_architecture_and_study(root):
    text = (root / "docs" / "architectures.md").read_text()
    for name in ARCHITECTURES:
        assert f"`{name}`" in text, name
    text = (root / "docs" / "experiments.md").read_text()
    for name in studies():
        assert f"`{name}`" in text, name


def test_docs_name_every_data_set(root):
    text = (root / "docs" / "datasets.md").read_text()
    for name in DATASETS:
        assert f"`{name}`" in text, name


def test_the_gallery_shows_every_committed_figure():
    text = "".join(gallery.pictures(folder) for folder in gallery.FOLDERS)
    for device_folder in published.folders().values():
        for figure in device_folder.glob("*.svg"):
            assert f"/{device_folder.name}/{figure.name})" in text


def test_every_experiment_has_three_sizes_and_a_claim():
    for study in EXPERIMENTS:
        assert {"smoke", "full"} <= set(study.sizes), study.name
        assert study.claims, study.name
