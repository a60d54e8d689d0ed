"""Whose a folder is: what is not a run's own is neither read, written nor followed."""

import json
import os
import shutil
from pathlib import Path

import pytest

from depthbench.research.cli.main import main
from depthbench.research.engine import runner, trainer
from depthbench.research.report import published
from depthbench.research.store import folder as folders
from tests.store.test_damage import KINDS, in_time, made, no_pictures

__all__ = ["in_time", "no_pictures"]  # fixtures

COMMANDS = sorted(KINDS)
# A stranger's files, by what they might be taken for.
STRANGERS = {
    "reports": {"reports/2023.npz": b"PK", "report.md": b"mine"},
    "checkpoints": {"checkpoints/1000/model.pt": b"mine"},
    "cells": {"cells/neuron.json": b"{}", "rows.csv": b"a,b\n"},
    "another's run.json": {"run.json": b'{"study": "train"}'},
    "a list as run.json": {"run.json": b"[1]"},
    "a lock and more": {".lock": b"12", "thesis.tex": b"mine"},
    "hidden": {".git/config": b"[core]"},
    "a quarantine": {"quarantine/covid.csv": b"1"},
    "a lock of another's": {".lock": b"thesis.tex is open"},
    "a lock with a name": {".lock-1-of-2": b"mine"},
    "a temporary file": {".thesis.tex.12.tmp": b"mine"},
    "a file as reports": {"reports": b"mine"},
}


def tree(folder: Path) -> dict[str, tuple]:
    """Everything below a folder: what it is, and its content."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            os.readlink(path)
            if path.is_symlink()
            else path.read_bytes()
            if path.is_file()
            else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


def refused(capsys, kind: str, out: Path, *more: str) -> str:
    """The line with which a command is refused."""
    capsys.readouterr()
    assert main([*KINDS[kind].command, *more, "--out", str(out)]) == 2
    stdout, stderr = capsys.readouterr()
    assert not stdout and len(stderr.splitlines()) == 1
    return stderr


@pytest.fixture
def no_work(once, monkeypatch):
    """Whatever comes after looking at the folder is an error."""
    for kind in COMMANDS:
        made(once, kind)

    def never(*_):
        raise AssertionError("the folder is looked at first")

    monkeypatch.setattr(runner, "pin", never)
    monkeypatch.setattr(trainer, "main", never)


@pytest.mark.parametrize("kind", COMMANDS)
@pytest.mark.parametrize("name", STRANGERS)
def test_a_strangers_folder_is_left_as_it_is(kind, name, tmp_path, capsys, no_work):
    out = tmp_path / "proj"
    for file, content in STRANGERS[name].items():
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        (out / file).write_bytes(content)
    before = tree(tmp_path)
    text = refused(capsys, kind, out)
    words = {
        "another's run.json": "is not depthbench's",
        "a list as run.json": "damaged",
    }
    assert words.get(name, "holds other files") in text
    assert tree(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", COMMANDS)
def test_a_folder_of_another_command_is_left_as_it_is(
    kind, once, tmp_path, capsys, no_work
):
    (other,) = set(COMMANDS) - {kind}
    out = shutil.copytree(made(once, other), tmp_path / "run")
    before = tree(out)
    assert "contains " in refused(capsys, kind, out)
    assert tree(out) == before


@pytest.mark.parametrize("kind", COMMANDS)
def test_committed_rows_are_left_as_they_are(kind, tmp_path, capsys, no_work):
    out = shutil.copytree(published.folders()["gradient_flow"], tmp_path / "rows")
    before = tree(out)
    assert "contains " in refused(capsys, kind, out)
    assert tree(out) == before


@pytest.mark.parametrize("name", [".lock", ".lock-1-of-2", ".run.json.12.tmp"])
def test_what_a_start_leaves_is_in_no_way(name, tmp_path):
    (tmp_path / name).write_bytes(b"4194305")
    before = tree(tmp_path)
    assert folders.look(tmp_path, "train").path == tmp_path
    assert tree(tmp_path) == before


def test_a_link_to_nothing_is_said(tmp_path):
    (tmp_path / "out").symlink_to("nowhere")
    for out in (tmp_path / "out", tmp_path / "out" / "run"):
        with pytest.raises(folders.Refusal, match="a link to nothing"):
            folders.look(out, "train")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("sealed", [True, False])
def test_a_folder_of_another_version_is_no_damage(sealed, tmp_path):
    body = {"schema": 2, "study": "train", "code": {}, "later": 1}
    packed = folders.manifest.sealed.packed(body)
    (tmp_path / "run.json").write_bytes(packed if sealed else json.dumps(body).encode())
    with pytest.raises(folders.Refusal, match=r"run\.json: is of another version"):
        folders.look(tmp_path, "train")


LINKS = (*folders.PARTS, *folders.manifest.NAMES, ".lock", ".lock-run.json")


@pytest.mark.slow
@pytest.mark.parametrize("kind", COMMANDS)
@pytest.mark.parametrize("name", LINKS)
def test_a_link_in_a_folder_of_ours_is_not_followed(
    kind, name, once, tmp_path, capsys, no_work
):
    out = shutil.copytree(made(once, kind), tmp_path / "run")
    outside = tmp_path / "outside"
    if (out / name).exists():
        (out / name).rename(outside)
    elif name in folders.PARTS:
        outside.mkdir()
        (outside / "thesis.tex").write_text("mine")
    else:
        outside.write_text("mine")
    (out / name).symlink_to(outside)
    before = tree(tmp_path)
    assert f"{out / name}: is a link" in refused(capsys, kind, out)
    for command in ("report", "verify"):
        assert main([command, str(out)]) == 2
        assert "is a link" in capsys.readouterr().err
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", [".lock", ".lock-1-of-2", ".lock-run.json"])
def test_a_lock_that_is_a_link_is_not_emptied(name, tmp_path):
    outside, out = tmp_path / "thesis.tex", tmp_path / "run"
    out.mkdir()
    outside.write_text("mine")
    (out / name).symlink_to(outside)
    with (
        pytest.raises(folders.Refusal, match=r"link|is no file"),
        folders.held(out, "gradient_flow", "1/2") as folder,
    ):
        folders.write_manifest(folder, lambda before: None)
    assert outside.read_text() == "mine"
    (out / name).unlink()
    (out / name).hardlink_to(outside)
    with (
        pytest.raises(folders.Refusal, match=r"is no file|holds other files"),
        folders.held(out, "gradient_flow", "1/2") as folder,
    ):
        folders.write_manifest(folder, lambda before: None)
    assert outside.read_text() == "mine"


@pytest.mark.slow
def test_what_does_not_fit_leaves_no_folder(tmp_path, capsys, in_time):
    out = tmp_path / "run"
    more = "--width 1000000 --depth 2".split()
    assert "one run needs" in refused(capsys, "training", out, *more)
    assert "may be used" in refused(capsys, "run", out, *more)
    assert not out.exists()


@pytest.mark.slow
def test_what_a_killed_process_was_writing_goes_with_the_next_run(
    once, tmp_path, capsys
):
    out = shutil.copytree(made(once, "run"), tmp_path / "run")
    before = set(tree(out))
    for place in (out, out / "cells"):
        (place / ".rows.csv.4194305.tmp").write_bytes(b"half")
    (out / "cells" / "mine.tmp").write_bytes(b"no name that is written here")
    assert main([*KINDS["run"].command, "--out", str(out)]) == 0
    assert set(tree(out)) == before | {"cells/mine.tmp"}


@pytest.mark.slow
def test_cells_that_are_gone_are_counted(once, tmp_path, capsys):
    out = shutil.copytree(made(once, "run"), tmp_path / "run")
    next((out / "cells").glob("*.json")).unlink()
    capsys.readouterr()
    assert main(["report", str(out)]) == 0
    assert "3 of 4 cells are here" in capsys.readouterr().err
    assert main(["verify", str(out), "--cells", "1"]) == 1
    assert "3 of 4 cells are here" in capsys.readouterr().err


@pytest.mark.slow
def test_changed_code_is_seen_where_the_manifest_is_gone(once, tmp_path, capsys):
    from tests import forged

    out = shutil.copytree(made(once, "run"), tmp_path / "run")
    code = folders.manifest.of(out).code
    forged.edited(out, code={name: "0" * 16 for name in code})
    (out / "run.json").unlink()
    more = "--depth 2".split()
    assert "has changed" in refused(capsys, "run", out, *more)


@pytest.mark.slow
def test_a_checkpoint_of_another_training_is_not_gone_on_with(once, tmp_path, capsys):
    from tests import forged

    whole = made(once, "training")
    out = shutil.copytree(whole, tmp_path / "run")
    forged.resealed(out / "checkpoints/40/seal.json", metadata={"run": "0" * 16})
    capsys.readouterr()
    assert main([*KINDS["training"].command, "--out", str(out)]) == 0
    assert "checkpoint 40 is damaged: it is of another run" in capsys.readouterr().err
    assert (out / "curves.csv").read_bytes() == (whole / "curves.csv").read_bytes()
