"""Names of a user's files: what they may be, and what is said where they lead nowhere."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from depthbench.research.catalogues.catalogue import UnknownName
from depthbench.research.cli.main import main
from depthbench.research.datasets import DataError, find, user_csv, user_files
from depthbench.research.files import regular
from tests.datasets.refusals import (
    ROWS,
    X,
    Y,
    changed,
    line_of,
    refusal,
    table,
    with_row,
)

NAMES = {
    "npz:": r"must be one of npz:FILE, csv:FILE:LABEL or images:DIR",
    "images: ": r"must be one of",
    "csv:a.csv": r"name the label's column too",
    "csv:a.csv:": r"name the label's column too",
    "csv::kind": r"must be one of",
    "npz:none.npz": r"no such file in /",
    "npz:/none/none.npz": r"no such file$",
    "npz:.": r"is a folder, not a file; images:DIR",
    "npz:a.csv/b": r"no such file|Not a directory",
    "csv:.:kind": r"is a folder, not a file",
    "csv:C:\\none.csv:kind": r"no such file",
    "images:a.csv": r"is a file, not a folder",
    "images:none": r"no such folder",
    "npz:~nobody-here/a.npz": r"no such user's home; .*: \./~nobody",
    "npz:/dev/zero": r"is a device",
    "npz:pipe": r"is a pipe",
    "csv:pipe:kind": r"is a pipe",
    "npz:socket\x1b[31m.npz": r"has a character that cannot be shown",
    "npz:a\nb.npz": r"cannot be shown",
    "npz:\udcff.npz": r"cannot be shown",
    "npz:loop": r"Too many levels of symbolic links|no such file|is a link",
    "npz:" + "a" * 300: r"File name too long|no such file",
}


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_wrong_names(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text(table(*ROWS))
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    assert re.search(NAMES[name], refusal(name))


@pytest.mark.parametrize("path", ["a.npz", "b/a.NPZ", "a.csv", "./"])
def test_a_path_alone_is_told_its_name(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wanted = {"z": "npz:{}", "v": "csv:{}:LABEL", "/": "images:{}"}[path[-1].lower()]
    with pytest.raises(UnknownName) as error:
        find(path)
    assert str(error.value).endswith(f"here {wanted.format(path)}")


def test_files_that_may_not_be_read(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", x=X, y=Y)

    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(regular, "opened", denied)
    assert re.search(r"Permission denied$", refusal(f"npz:{tmp_path / 'a.npz'}"))


def test_they_lie_in_no_other_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    for name in ("npz:a.npz", "csv:a.csv:kind", "images:a"):
        assert re.search(r"leave --data-dir \. out", refusal(name, data_dir="."))
        for command in (["train"], ["run", "trainability"]):
            words = [*command, "--dataset", name, "--data-dir", ".", "--out", "out"]
            assert main(words) == 2
            assert "leave --data-dir" in line_of(capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text(table(*ROWS))
    read = user_csv.contents

    def meanwhile(*arguments):
        made = read(*arguments)
        with path.open("a") as file:
            file.write(ROWS[0])
        return made

    with monkeypatch.context() as patch:
        patch.setattr(user_csv, "contents", meanwhile)
        assert re.search(
            r"was written to while it was read", refusal(f"csv:{path}:kind")
        )
    dataset = find(f"csv:{path}:kind")
    path.write_text(table(*ROWS[:9]))
    assert dataset.split().train.length == dataset.sizes[0] == 16  # as it was declared
    assert find(f"csv:{path}:kind").split().train.length == 7
    with pytest.raises(DataError, match="was written to"):
        user_files._read.__wrapped__(*read_from(dataset))


def read_from(dataset):
    place, stamp = dataset.arguments
    return place, place.path, stamp


WORDS = "--depth 1 --width 4 --batch 4".split()


@pytest.mark.parametrize("command", ["train --steps 1", "run trainability --seeds 1"])
def test_a_command_ends_with_one_line(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "a.npz", x=changed(X, 7, np.nan), y=Y)
    (tmp_path / "a.csv").write_text(with_row(7, "1,x,a"))
    for kind in ("cat", "dog"):
        (tmp_path / "pics" / kind).mkdir(parents=True)
        (tmp_path / "pics" / kind / "1.png").write_bytes(b"no image")
    for name in ("npz:a.npz", "csv:a.csv:kind", "images:pics"):
        words = [*command.split(), *WORDS, "--dataset", name, "--out", "out"]
        assert main(words) == 2
        assert name in line_of(capsys.readouterr().err)
    written = [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not written


def test_a_process_ends_with_one_line(tmp_path, clean_environment, root):
    (tmp_path / "a.csv").write_text(with_row(7, "1,x,a"))
    command = [sys.executable, "-m", "depthbench", "train", "--dataset"]
    done = subprocess.run(
        [*command, f"csv:{tmp_path / 'a.csv'}:kind", "--out", str(tmp_path / "out")],
        cwd=root,
        env=clean_environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "line 7: column v is 'x', no number (1 of 20" in line_of(done.stderr)
