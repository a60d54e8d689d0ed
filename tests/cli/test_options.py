"""Paths as a shell has them, and numbers as they are written."""

import os
from pathlib import Path

import pytest

from depthbench.research.catalogues import axes
from depthbench.research.cli import words
from depthbench.research.cli.options import existing_folder, path, path_of_folder
from depthbench.research.study.errors import Refusal


def test_a_tilde_at_the_beginning_is_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert path("--out", "~/x") == tmp_path / "x" and path("--out", "~") == tmp_path
    assert path("--out", "./~/x") == Path("~/x") and path("--out", "a~") == Path("a~")


def test_links_are_what_they_lead_to(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for name in ("folder", "file", "nothing"):
        os.symlink(tmp_path / name, tmp_path / f"to {name}")
    os.symlink(tmp_path / "self", tmp_path / "self")
    assert path_of_folder("--out", str(tmp_path / "to folder")).is_dir()
    for name, why in (("to file", "is a file"), ("self", "links")):
        with pytest.raises(Refusal, match=why):
            path_of_folder("--out", str(tmp_path / name))
    with pytest.raises(Refusal, match="no such folder"):
        existing_folder("--data-dir", str(tmp_path / "to nothing"))


# What each text is as a whole number and as a number; None where it is refused.
WRITTEN = {
    "5": (5, 5.0),
    "+5": (5, 5.0),
    "-5": (-5, -5.0),
    "007": (7, 7.0),
    "-0": (0, 0.0),
    "5.0": (None, 5.0),
    "5.": (None, 5.0),
    ".5": (None, 0.5),
    "1e3": (None, 1000.0),
    "1E-3": (None, 0.001),
    "1e400": (None, float("inf")),  # which no axis allows
    "1e-400": (None, None),
    "0e-400": (None, 0.0),
    **dict.fromkeys(("nan", "inf", "-Infinity", "0x10", "1_000", "1,0"), (None, None)),
    **dict.fromkeys(("١٢", "１２", "²", "½", "", " ", "5 ", "--5"), (None, None)),
    "1" + "0" * 5000: (None, None),
}


@pytest.mark.parametrize("text", WRITTEN, ids=lambda text: ascii(text[:9]))
def test_numbers_are_read_as_they_are_written(text):
    assert (axes.integer(text), axes.number(text)) == WRITTEN[text]
    assert str(axes.number(text)) != "-0.0"


def test_words_of_other_alphabets_are_words():
    words.check(["--out", "données", "数据", "نمونه", "👩\u200d🔬", "two words"])


def test_a_long_entry_of_a_list_is_shortened_wherever_it_stands():
    long = "y" * 500
    message = f"--activation: unknown activation '{long}': allowed: relu"
    line = words.shortened(message, ["run", "--activation", f"relu, {long}"])
    assert len(line) < 200 and "500 characters" in line and "allowed: relu" in line
