"""Data are part of a run: it goes on with what it was begun with, or says what differs."""

import json
import shutil

import pytest

from depthbench.research.cli.main import main
from depthbench.research.datasets import contract
from depthbench.research.datasets.record import differs
from depthbench.research.engine import trainer
from depthbench.research.learning import examples
from depthbench.research.report import figures
from depthbench.research.signal import ensembles
from tests.datasets import prepared

pytest.importorskip("tensorflow_datasets")

TRAIN = "train --dataset tfds:toy --depth 1 --width 4 --steps 6 --batch 4".split()
TRAIN += "--report-every 2".split()
STUDY = (
    "run gradient_flow --dataset tfds:toy --architecture mlp --activation tanh".split()
)
STUDY += "--initializer he_normal --depth 2 --width 4 --batch 4 --seeds 1".split()


def of(shift=0.0):
    return {"train": prepared.rows(16, shift), "test": prepared.rows(8, shift)}


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr(figures, "lay_out", lambda drawn: None)
    monkeypatch.setattr(figures, "as_png", lambda drawn: b"")
    monkeypatch.setattr(figures, "as_svg", lambda drawn: b"")


def command(*words):
    """The exit status of a command, as of a process that has read nothing before."""
    for cache in (examples._splits, examples._on_device, ensembles._data):
        cache.cache_clear()
    return main([str(word) for word in words])


@pytest.fixture
def begun(once, tmp_path, monkeypatch):
    """(data, out, curves): a training on a set that is read from disk, stopped after its
    first report of three, and the curves of one that was not stopped."""
    monkeypatch.setattr(contract, "IN_MEMORY", 0)
    report = trainer.report

    def stopping(session, *rest):
        report(session, *rest)
        session.stop.set()

    def make(folder):
        prepared.write(folder / "data", **of())
        there = ("--data-dir", folder / "data", "--out")
        assert command(*TRAIN, *there, folder / "whole") == 0
        with monkeypatch.context() as patch:
            patch.setattr(trainer, "report", stopping)
            assert command(*TRAIN, *there, folder / "out") == 143

    made = shutil.copytree(once("half-a-training", make), tmp_path / "made")
    (report,) = (made / "out/reports").glob("*.json")
    assert report.stem == "000000002"
    return made / "data", made / "out", (made / "whole/curves.csv").read_bytes()


def files(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def refused(capsys, out, *words):
    """The line of a refusal, which leaves the folder as it was."""
    before = files(out)
    capsys.readouterr()
    assert command(*words, "--out", out) == 2
    line = capsys.readouterr().err
    assert line.startswith("depthbench: ") and line.count("\n") == 1
    assert files(out) == before
    return line


@pytest.mark.slow
def test_other_contents_are_refused(begun, capsys):
    """Even those of the same folder, name, version, shapes and sizes."""
    data, out, _ = begun
    shutil.rmtree(data)
    prepared.write(data, **of(shift=0.5))
    line = refused(capsys, out, *TRAIN, "--data-dir", data)
    assert "tfds:toy:1.0.0 has other contents" in line and "--accept-changes" in line
    assert command(*TRAIN, "--data-dir", data, "--out", out, "--accept-changes") == 0
    manifest = json.loads((out / "run.json").read_text())
    accepted = [
        entry["accepted"] for entry in manifest["history"] if "accepted" in entry
    ]
    assert accepted == [["tfds:toy:1.0.0 has other contents"]]
    assert command(*TRAIN, "--data-dir", data, "--out", out) == 0  # as accepted


@pytest.mark.slow
def test_the_same_data_may_lie_anywhere(begun, tmp_path, monkeypatch):
    data, out, whole = begun
    (tmp_path / "link").symlink_to(data)
    shutil.copytree(data, tmp_path / "copy")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "copy"))
    for number, place in enumerate(["made/data", "link", None]):
        resumed = shutil.copytree(out, tmp_path / f"out-{number}")
        named = ["--data-dir", place] if place else []
        assert command(*TRAIN, *named, "--out", resumed) == 0
        assert (resumed / "curves.csv").read_bytes() == whole


@pytest.mark.slow
def test_a_newer_version_is_not_taken_half_way(begun, tmp_path, capsys):
    data, out, whole = begun
    prepared.write(data, "toy/2.0.0", **of(shift=0.5))
    typed = [word.replace("tfds:toy", "tfds:toy:2.0.0") for word in TRAIN]
    line = refused(capsys, out, *typed, "--data-dir", data)
    assert "tfds:toy:1.0.0, here it is tfds:toy:2.0.0" in line
    other = [word.replace("tfds:toy", "tfds:toy#train") for word in TRAIN]
    assert "#train" in refused(capsys, out, *other, "--data-dir", data)
    shutil.copytree(out, tmp_path / "copy")
    assert command(*TRAIN, "--data-dir", data, "--out", out) == 0
    assert (out / "curves.csv").read_bytes() == whole
    shutil.rmtree(data / "toy" / "1.0.0")
    line = refused(capsys, tmp_path / "copy", *TRAIN, "--data-dir", data)
    assert "is 2.0.0, not 1.0.0" in line


@pytest.mark.slow
def test_a_study_goes_on_with_its_data(tmp_path, capsys):
    data, out = tmp_path / "data", tmp_path / "out"
    prepared.write(data, **of())
    study = (*STUDY, "--format", "csv")
    assert command(*study, "--data-dir", data, "--out", out) == 0
    rows = capsys.readouterr().out
    assert "tfds:toy:1.0.0" in rows
    cells = files(out / "cells")
    assert str(data) not in str(cells)
    prepared.write(data, "toy/2.0.0", **of(shift=0.5))
    data.rename(tmp_path / "moved")
    data = tmp_path / "moved"
    assert command(*study, "--data-dir", data, "--out", out) == 0
    assert files(out / "cells") == cells and capsys.readouterr().out == rows
    assert command("verify", out, "--cells", 1) == 0
    assert "1 of 1 cells are identical" in capsys.readouterr().out
    shutil.rmtree(data / "toy" / "1.0.0")
    prepared.write(data, **of(shift=0.5))
    line = refused(capsys, out, *study, "--data-dir", data)
    assert "tfds:toy:1.0.0 has other contents; go on with the data" in line


def test_what_differs_is_in_words():
    one, other = {"tfds:toy:1.0.0": "a"}, {"tfds:toy:2.0.0": "a"}
    assert differs(one, one) == differs({}, one) == differs({}, {}) == ""
    assert differs(one, other) == "data were tfds:toy:1.0.0, are tfds:toy:2.0.0"
    assert differs(one, {"tfds:toy:1.0.0": "b"}) == "tfds:toy:1.0.0 has other contents"
