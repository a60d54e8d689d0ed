"""Reports of studies: their order, what they warn of, and where they were made."""

import pytest

from depthbench.research.cli.main import main
from depthbench.research.report import published, study_report
from depthbench.research.store import provenance
from depthbench.research.study import headlines
from depthbench.research.study.declaration import (
    SMOKE_WARNING,
    chosen_values,
    grid,
    of_smoke_size,
)
from depthbench.research.study.studies import studies

COMMITTED = published.folders()
WORLD = {"dtype": "float32", "matmul_precision": "highest"}


def cells(study, size):
    return study.fit(grid(study, chosen_values(study, size, {})), set())[0]


@pytest.mark.parametrize("name", studies())
def test_rows_are_of_smoke_size_exactly_after_a_smoke_run(name):
    study = studies()[name]
    assert of_smoke_size(study, cells(study, "smoke"))
    assert not of_smoke_size(study, cells(study, "standard"))
    assert not of_smoke_size(study, cells(study, "full"))
    assert not of_smoke_size(study, [])


@pytest.mark.parametrize("name", COMMITTED)
def test_committed_rows_are_not_of_smoke_size(name):
    rows = published.made(name).rows
    assert not of_smoke_size(studies()[name], rows)


def test_a_smoke_run_warns_above_its_claims():
    study = studies()["transformer_placement"]
    smoke, standard = cells(study, "smoke"), published.made(study.name).rows
    small = [{**row, **cell} for row, cell in zip(standard, smoke, strict=False)]
    for rows, warned in ((small, True), (standard, False)):
        title = study_report.judgement(study, rows)[0].title
        assert (SMOKE_WARNING in title) is warned
        markdown = study_report.as_markdown(study, rows, [WORLD], [])
        html = study_report.as_html(study, rows, [WORLD], [])
        for text, claim in ((markdown, "| xiong2020."), (html, ">xiong2020.")):
            assert (0 < text.find(SMOKE_WARNING) < text.index(claim)) is warned


@pytest.mark.parametrize(
    ("uncommitted", "said"),
    [
        (None, "commit 0a"),
        ("1b", "commit 0a with uncommitted changes"),
        (
            provenance.UNKNOWN,
            "commit 0a; whether with uncommitted changes is not known",
        ),
    ],
)
def test_a_report_says_whether_code_was_committed(uncommitted, said):
    stamp = {**WORLD, "commit": "0a", "uncommitted": uncommitted}
    assert study_report.stamp_lines([], [stamp])[-1] == said


def test_a_protocol_says_in_what_rows_were_made_otherwise():
    """As rows of a full size, whose claims speak of the standard one."""
    study, standard = studies()["speech"], published.made("speech").rows
    other = [{**row, "steps": 2000, "width": 128} for row in standard]
    for rows, words in ((standard, ""), (other, "width 128, steps 2000")):
        assert study_report.otherwise(study, rows) == words
        markdown = study_report.as_markdown(study, rows, [WORLD], [])
        assert (f"; in these rows not so: {words}" in markdown) is bool(words)


@pytest.mark.parametrize("name", COMMITTED)
def test_bars_of_our_own_are_apart_from_published_claims(name):
    study = studies()[name]
    tables = study_report.judgement(study, published.made(name).rows)
    keys = {table.title: {row[0] for row in table.rows} for table in tables}
    own = {c.key for c in study.claims if c.key.startswith("depthbench.")}
    assert keys.get("Bars of our own, which nobody published", set()) == own
    assert keys.get("Claims", set()) == {c.key for c in study.claims} - own


def test_products_are_named_as_the_rows_have_them():
    """A run in bfloat16 is not float32 at the highest precision."""
    rows = [{"dtype": dtype, "status": "ok"} for dtype in ("float32", "bfloat16")]
    for of, said in (
        (rows[:1], "float32, matmul precision highest"),
        (rows[1:], "products in bfloat16"),
        (rows, "products in float32, bfloat16"),
        ([{"status": "ok"}], "float32, matmul precision highest"),
    ):
        _, machine, _ = study_report.stamp_lines(of, [WORLD])
        assert machine.endswith(said) and machine.count("float32") == said.count(
            "float32"
        )
    trained = {"dtype": "bfloat16", "matmul_precision": "default"}
    line = study_report.stamp_line(trained)
    assert line.endswith("bfloat16, matmul precision default.")


def test_rows_of_several_commits_or_machines_name_each():
    """What an accepted change adds to a folder, or a merge of two."""
    rows = [{"status": "ok"}] * 3
    old, new = {**WORLD, "commit": "aaa"}, {**WORLD, "commit": "bbb"}
    other = {**new, "device": "another", "uncommitted": True}
    assert study_report.stamp_lines(rows, [old] * 3) == study_report.stamp_lines(
        rows, [old]
    )
    lines = study_report.stamp_lines(rows, [old, new, new])
    assert lines[2:] == ["2 of 3 rows: commit bbb", "1 of 3 rows: commit aaa"]
    lines = study_report.stamp_lines(rows, [old, old, other])
    assert [line.partition(" × ")[0] for line in lines[1:]] == [
        "2 of 3 rows: None",
        "1 of 3 rows: None",
        "2 of 3 rows: commit aaa",
        "1 of 3 rows: commit bbb with uncommitted changes",
    ]


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_the_answer_is_printed_first(form, capsys):
    study, rows = (
        studies()["transformer_placement"],
        published.made("transformer_placement").rows,
    )
    study_report.present(study, rows, form)
    printed = " ".join(capsys.readouterr().out.replace("**", "").split())
    answer, worst = headlines.of(study, rows)
    assert printed.startswith(f"{answer} {worst} ")


def test_a_training_run_answers_first(tmp_path, capsys):
    flags = "--depth 2 --width 8 --steps 4 --learning-rate 1e-3,1e-2 --dtype bfloat16"
    assert main(["train", *flags.split(), "--out", str(tmp_path / "run")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    page = (tmp_path / "run" / "report.html").read_text()
    markdown = (tmp_path / "run" / "report.md").read_text()
    assert printed.startswith("After 4 steps the test accuracy is")
    for text, table in ((page, "<table"), (markdown, "\n| ")):
        assert 0 < text.index("After 4 steps the test") < text.index(table)
        assert "bfloat16, matmul precision default" in text
        assert "float32" not in text.replace("bfloat16", "")
