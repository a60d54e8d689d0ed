"""`run --dry-run` and `--retry`: what of a folder would be run."""

import json
import re

import pytest

from depthbench.research.cli.main import main
from depthbench.research.report import figures
from tests import forged
from tests.cli.test_command import run_small


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr(figures, "lay_out", lambda drawn: None)
    monkeypatch.setattr(figures, "as_png", lambda drawn: b"")
    monkeypatch.setattr(figures, "as_svg", lambda drawn: b"")


def dry(capsys, out, *flags):
    """(cells, those that are there already, seconds' line) of a dry run."""
    capsys.readouterr()
    assert run_small(out, *flags, "--dry-run") == 0
    said = capsys.readouterr().out
    counts = [
        re.search(rf"^{w} +(\d+)$", said, re.M) for w in ("cells", "already there")
    ]
    return (*(int(c[1]) if c else 0 for c in counts), re.findall("^time.*", said, re.M))


def test_a_dry_run_is_of_the_run_that_would_be_made(tmp_path, capsys):
    out = tmp_path / "run"
    whole = dry(capsys, out)
    assert whole[:2] == (4, 0)
    assert dry(capsys, out, "--shard", "1/2")[:2] == (2, 0)
    assert "on 1 core" in dry(capsys, out, "--workers", "1")[2][0]
    assert run_small(out, "--shard", "1/2") == 0
    assert dry(capsys, out)[:2] == (2, 2)
    assert dry(capsys, out, "--shard", "1/2")[:2] == (0, 2)
    assert dry(capsys, out, "--shard", "2/2")[:2] == (2, 0)
    rows = [json.loads(p.read_text()) for p in (out / "cells").glob("*.json")]
    assert {row["status"] for row in rows} == {"ok"}
    for path in (out / "cells").glob("*.json"):
        path.write_text("{}")  # is run again
    assert dry(capsys, out)[:2] == (4, 0)


def test_any_status_that_rows_have_is_retried(tmp_path, capsys):
    """A study, and a plugin's, may give its rows any word."""
    out = tmp_path / "run"
    assert run_small(out) == 0
    path = min((out / "cells").glob("*.json"))
    forged.rewritten(path, status="no_states", reason="forged")
    assert dry(capsys, out)[:2] == (0, 4)
    assert dry(capsys, out, "--retry", "no_states")[:2] == (1, 3)
    assert dry(capsys, out, "--retry", "oom,no_states")[:2] == (1, 3)
    assert run_small(out, "--retry", "no_states") == 0
    assert json.loads(path.read_text())["status"] == "ok"
    for status in ("no_states", "ok", "no_stats"):
        capsys.readouterr()
        assert run_small(out, "--retry", status) == 2
        assert f"--retry {status}: " in capsys.readouterr().err


def test_a_dry_run_refuses_the_folder_that_the_run_would(tmp_path, capsys):
    out = tmp_path / "run"
    assert run_small(out) == 0
    capsys.readouterr()
    assert main(["run", "linear_regions", "--out", str(out), "--dry-run"]) == 2
    assert "contains gradient_flow, not linear_regions" in capsys.readouterr().err
