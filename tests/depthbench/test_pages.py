"""Every line of code on the page of own models runs, and README says what its code says."""

import re
import runpy

import pytest

from depthbench.research.report import documents

BLOCKS = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"\d+\.\d+")


@pytest.mark.slow
def test_the_page_runs_from_top_to_bottom(root, tmp_path, monkeypatch, capsys):
    text = (root / "docs" / "own-model.md").read_text()
    blocks = BLOCKS.findall(text)
    assert len(blocks) == text.count("```python")
    page = tmp_path / "page.py"
    page.write_text("\n".join(blocks))
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path(str(page))
    out = capsys.readouterr().out
    assert "The gradient vanishes" in out and "model: plain(float32[8, 3])" in out
    assert names["watch"].history.steps == (0, 10, 20, 30)
    assert names["arrays"].log10_gradient.shape == (3, 6)
    assert list((tmp_path / "logs").iterdir())
    assert (tmp_path / "runs" / "gradient_flow" / "report.html").is_file()


@pytest.mark.slow
def test_readme_shows_what_its_code_gives(root, tmp_path, monkeypatch, capsys):
    """To the last digit but one, as machines round differently."""
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path(str(root / "docs" / "first_probe.py"))
    said = capsys.readouterr().out.strip()
    shown = re.search(
        r"^```\n(The gradient .*?)\n```$", documents_text(root), re.M | re.S
    )
    assert shown is not None
    assert NUMBER.sub("0", shown[1]) == NUMBER.sub("0", said)
    for ours, theirs in zip(*map(NUMBER.findall, (said, shown[1])), strict=True):
        assert float(ours) == pytest.approx(float(theirs), rel=0.02)
    assert names["report"].verdict == "vanishes"
    assert (tmp_path / "first_probe.svg").stat().st_size > 10_000
    assert (root / "docs" / "first_probe.svg").is_file()


def documents_text(root):
    return (root / documents.README).read_text()


def test_code_between_markers_is_the_files(root):
    code = documents.code("docs/first_probe")
    source = (root / "docs" / "first_probe.py").read_text()
    assert code.startswith("```python\nimport ") and code.endswith("```")
    assert code.removeprefix("```python\n").removesuffix("\n```") in source
    assert code in documents_text(root)
