"""Rows that another kind of device has made (--mixed): done for every command."""

import json
import shutil

import pytest

from depthbench.research.cli.main import main
from depthbench.research.report import figures
from depthbench.research.store import folder as folders
from depthbench.research.store import manifest as manifests
from depthbench.research.store.folder import Folder
from tests import forged
from tests.cli.test_command import run_small

pytestmark = pytest.mark.slow  # real runs


@pytest.fixture
def mixed(once, tmp_path, capsys, monkeypatch):
    """A run of four cells, of which another kind of device has made one."""
    monkeypatch.setattr(figures, "lay_out", lambda drawn: None)
    monkeypatch.setattr(figures, "as_png", lambda drawn: b"")
    monkeypatch.setattr(figures, "as_svg", lambda drawn: b"")
    out = shutil.copytree(once("small", lambda out: run_small(out)), tmp_path / "run")
    kind = out / folders.KINDS / "gpu_0a1b2c"
    (kind / "cells").mkdir(parents=True)
    for name in manifests.NAMES:
        shutil.copy(out / name, kind)
    environment = {**manifests.of(kind).environment, "device": "gpu"}
    forged.edited(kind, environment=environment)
    first = sorted((out / "cells").glob("*.json"))[0]
    for path in (first, first.with_suffix(".npz")):
        path.rename(kind / "cells" / path.name)
    capsys.readouterr()
    return out, kind


def test_they_are_here_for_run_status_and_report(mixed, capsys):
    out, kind = mixed
    before = sorted(path.name for path in (out / "cells").iterdir())
    assert run_small(out) == 0
    shown = capsys.readouterr()
    assert "status" not in shown.err and "4 of 4 cells, 1 of them of other" in shown.out
    assert sorted(path.name for path in (out / "cells").iterdir()) == before
    assert main(["status", str(out), "--format", "json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["cells"], status["done"], status["missing"]) == (4, 4, [])
    assert status["statuses"] == {"ok": 4} and not status["command"]
    assert main(["report", str(out)]) == 0
    shown = capsys.readouterr()
    assert "are here" not in shown.err
    assert shown.out.startswith("4 of 4 cells, 1 of them of other kinds of devices. ")
    assert main(["report", str(kind)]) == 0
    assert capsys.readouterr().out.startswith("1 of 4 cells so far. ")


def test_they_are_not_published_with_others(mixed, capsys):
    out, _ = mixed
    assert main(["report", str(out), "--publish"]) == 2
    line = capsys.readouterr().err
    assert "1 of them of other kinds of devices" in line and "without --mixed" in line


def test_they_are_merged_where_they_are_named(mixed, tmp_path, capsys):
    out, kind = mixed
    words = ["merge", str(out), "--out", str(tmp_path / "joined"), "--accept-changes"]
    assert main(words) == 2
    assert f"in {kind}: name that folder too" in capsys.readouterr().err
    assert not (tmp_path / "joined").exists()
    assert main(["merge", str(out), str(kind), *words[2:]]) == 0
    assert "4 of 4 cells: " in capsys.readouterr().out
    assert len(folders.records(Folder(tmp_path / "joined"))[0]) == 4
