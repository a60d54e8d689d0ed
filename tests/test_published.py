"""Published numbers are text made from committed rows; no number can drift."""

import pytest

from research.architectures import ARCHITECTURES
from research.study import published
from research.study.studies import studies


def test_readme_tables_are_made_from_committed_rows(root):
    text = (root / "README.md").read_text()
    assert published.filled(text) == text, (
        "README.md differs from the committed rows; if they were made anew, run "
        "python -m research.study.published and say so in CHANGELOG.md"
    )


@pytest.mark.parametrize("name", published.PUBLISHED)
def test_reports_are_made_from_committed_rows(name):
    committed = (published.PUBLISHED[name] / "report.md").read_text()
    assert published.made_again(name) == committed


def test_a_changed_row_changes_the_readme(root, tmp_path, monkeypatch):
    name = "gradient_flow"
    folder = published.PUBLISHED[name]
    for file in ("rows.csv", "run.json"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    rows = (tmp_path / "rows.csv").read_text()
    (tmp_path / "rows.csv").write_text(rows.replace(",survives,", ",vanishes,", 40))
    monkeypatch.setattr(published, "PUBLISHED", {name: tmp_path})
    text = (root / "README.md").read_text()
    assert published.filled(text) != text


EXPERIMENTS = [s for s in studies().values() if s.kind == "experiment"]


def test_readme_names_every_architecture_and_experiment(root):
    text = (root / "README.md").read_text()
    for name in (*ARCHITECTURES, *(study.name for study in EXPERIMENTS)):
        assert f"`{name}`" in text, name


def test_every_experiment_has_three_sizes_and_a_claim():
    for study in EXPERIMENTS:
        assert {"smoke", "full"} <= set(study.sizes), study.name
        assert study.claims, study.name
