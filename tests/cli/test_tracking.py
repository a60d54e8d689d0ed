"""`--track`: what a run and a training give a tracker, and what is refused."""

import sys

import numpy as np
import pytest

from depthbench.research.cli.main import main
from depthbench.research.engine import tracking
from depthbench.research.report import figures
from depthbench.research.report.history import TAG
from depthbench.research.store import folder as folders
from depthbench.research.store.folder import Folder

TRAIN = (
    "train --architecture mlp --depth 2 --width 16 --dataset digits --steps 24 --batch 8 "
    "--report-every 8 --learning-rate 1e-3,1e-2 --schedule linear --track tensorboard"
).split()
RUN = "run edge_of_chaos --size smoke --track tensorboard".split()


class Kept:
    """A tracker that keeps what it is given."""

    def __init__(self):
        self.rows, self.pictures, self.closed = [], [], 0

    def scalars(self, step, values):
        self.rows.append((step, dict(values)))

    def picture(self, step, name, pixels):
        self.pictures.append((step, name, pixels))

    def close(self):
        self.closed += 1


class Broken:
    """A tracker that raises at each call."""

    def scalars(self, step, values):
        raise OSError(28, "No space left on device")

    def picture(self, step, name, pixels):
        raise OSError(28, "No space left on device")

    def close(self):
        raise OSError(28, "No space left on device")


@pytest.fixture
def kept(monkeypatch):
    sink = Kept()
    monkeypatch.setattr(tracking, "opened", lambda name, out: sink)
    return sink


@pytest.fixture
def broken(monkeypatch):
    monkeypatch.setattr(tracking, "opened", lambda name, out: Broken())


@pytest.fixture
def no_pictures(monkeypatch):
    """Of the report; pictures for a tracker are looked at apart."""
    monkeypatch.setattr(figures, "lay_out", lambda drawn: None)
    monkeypatch.setattr(figures, "as_png", lambda drawn: b"")
    monkeypatch.setattr(figures, "as_svg", lambda drawn: b"")


def records(out):
    return folders.records(Folder(out))[0]


def test_a_training_is_tracked_step_by_step(kept, tmp_path, no_pictures):
    assert main([*TRAIN, "--out", str(tmp_path / "out")]) == 0
    steps = [(step, v) for step, v in kept.rows if "train_loss/run_0" in v]
    assert [step for step, _ in steps] == list(range(1, 25))
    # The linear schedule's rate of step t (from 0) of 24: 1 − t / 24 of the first.
    rates = [values["learning_rate/run_1"] for _, values in steps]
    np.testing.assert_allclose(rates, 1e-2 * (1 - np.arange(24) / 24), rtol=1e-5)
    tests = [step for step, values in kept.rows if "test_accuracy/run_1" in values]
    assert tests == [8, 16, 24]
    ((step, name, pixels),) = kept.pictures
    assert (step, name) == (24, TAG) and pixels.dtype == np.uint8 and pixels.std() > 0
    assert kept.closed == 1
    # The mean of a report's steps is what the report itself has: the same numbers.
    reports, _ = folders.reports(Folder(tmp_path / "out"))
    arrays = np.load((tmp_path / "out" / "reports" / reports[0].id).with_suffix(".npz"))
    mean = np.mean([values["train_loss/run_0"] for _, values in steps[:8]])
    # float32 sums of 8 numbers, in another order
    np.testing.assert_allclose(mean, arrays["train_loss"][0], rtol=1e-6)


def test_a_training_that_is_resumed_has_one_picture_of_all(kept, tmp_path, no_pictures):
    """What was reported before is in it: here all, as nothing is left to train."""
    command = [*TRAIN, "--out", str(tmp_path / "out")]
    assert main(command) == 0
    kept.rows.clear()
    assert main(command) == 0
    assert kept.rows == [] and [step for step, *_ in kept.pictures] == [24, 24]
    np.testing.assert_array_equal(kept.pictures[0][2], kept.pictures[1][2])


def test_a_run_is_tracked_row_by_row(kept, tmp_path, no_pictures):
    out = tmp_path / "out"
    assert main([*RUN, "--out", str(out)]) == 0
    rows = records(out)
    assert [step for step, _ in kept.rows] == list(range(len(rows)))
    given = [values for _, values in kept.rows]
    for record in rows:
        # A cell without a number, as one that is infinite, has none in the tracker.
        absent = (None, "", "inf", "-inf")
        wanted = {n: v for n, v in record.row.items() if v not in absent and n != "id"}
        assert wanted in given
    assert kept.closed == 1


@pytest.mark.parametrize("command", [TRAIN, RUN], ids=["train", "run"])
def test_a_broken_tracker_loses_nothing(command, broken, tmp_path, no_pictures, capsys):
    out = tmp_path / "out"
    assert main([*command, "--out", str(out)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert sum("No space left" in line for line in lines) == 1
    if command is TRAIN:
        assert len(folders.reports(Folder(out))[0]) == 3
    else:
        assert records(out) and all(record.status for record in records(out))


@pytest.mark.parametrize("command", [TRAIN, RUN], ids=["train", "run"])
@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio", "mlflow"])
def test_what_is_not_installed_is_one_line(
    command, name, tmp_path, monkeypatch, capsys
):
    module = "tensorboardX" if name == "tensorboard" else name
    monkeypatch.setitem(sys.modules, module, None)
    out = tmp_path / "out"
    assert main([*command[:-1], name, "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"--track {name}" in line and f"'.[{name}]'" in line
    assert not out.exists()


def test_mistakes_are_one_line(tmp_path, capsys):
    out = tmp_path / "out"
    for command in (TRAIN, RUN):
        assert main([*command[:-1], "tensorbord", "--out", str(out)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "did you mean tensorboard?" in line and "mlflow" in line
    assert main([*TRAIN, "--seeds", "51", "--out", str(out)]) == 2
    assert "102 runs: at most 100" in capsys.readouterr().err
    assert not out.exists()
