"""`depthbench export`: rows as Parquet and as event files, as they were measured."""

import shutil
import sys

import numpy as np
import pytest

import depthbench as db
from depthbench.research.cli.main import main
from depthbench.research.report.history import TAG
from depthbench.research.store import folder as folders
from depthbench.research.store.folder import Folder
from depthbench.research.study.studies import studies
from tests.engine.test_tracking import events

pandas = pytest.importorskip("pandas")
TRAIN = (
    "train --architecture mlp --depth 2 --width 16 --dataset digits --steps 24 --batch 8 "
    "--report-every 8 --learning-rate 1e-3,1e6 --optimizer sgd"
).split()
RUN = "run edge_of_chaos --size smoke".split()


@pytest.fixture(scope="module")
def made(once):
    """Folders of a run and of a training, which nobody writes to."""

    def make(command):
        return lambda out: main([*command, "--out", str(out)])

    return {
        "run": once("to-export", make(RUN)),
        "train": once("trained-2", make(TRAIN)),
    }


def parquet(place, file):
    pytest.importorskip("pyarrow")
    assert main(["export", str(place), "--parquet", str(file)]) == 0
    return pandas.read_parquet(file)


def test_a_runs_rows_are_exact_with_its_axes_first(made, tmp_path):
    frame = parquet(made["run"], tmp_path / "rows.parquet")
    rows = db.load(made["run"]).rows
    records = {r.id: r for r in folders.records(Folder(made["run"]))[0]}
    assert len(frame) == len(rows) == len(records)
    axes = list(studies()["edge_of_chaos"].axes)
    assert list(frame)[: len(axes) + 2] == [*axes, "status", "reason"]
    for _, row in frame.iterrows():
        for name, value in records[row["id"]].row.items():
            if value is None:
                assert pandas.isna(row[name])
            elif value in ("inf", "-inf"):
                assert row[name] == float(value)
            else:
                assert row[name] == value


def test_to_pandas_is_the_same_table(made, tmp_path):
    frame = parquet(made["run"], tmp_path / "rows.parquet")
    loaded = db.load(made["run"]).to_pandas()
    assert list(loaded) == list(frame) and len(loaded) == len(frame)
    for name in loaded:
        assert list(loaded[name].isna()) == list(frame[name].isna())
        assert list(loaded[name].dropna()) == list(frame[name].dropna())


def test_a_trainings_reports_are_exact(made, tmp_path):
    frame = parquet(made["train"], tmp_path / "curves.parquet")
    keys = ["run", "seed", "step", "learning_rate"]
    assert list(frame)[:4] == keys and len(frame) == 6
    assert [frame[name].dtype for name in keys] == ["int64"] * 3 + ["float64"]
    records = folders.reports(Folder(made["train"]))[0]
    for record in records:
        with np.load(made["train"] / "reports" / f"{record.id}.npz") as arrays:
            rows = frame[frame["step"] == int(record.id)]
            assert rows["test_loss"].iloc[0] == float(arrays["test_loss"][0])
    lost = frame[frame["status"] == "diverged"]
    assert len(lost) == 3 and lost["test_accuracy"].isna().all()


def test_event_files_have_rows_and_reports(made, tmp_path):
    pytest.importorskip("tensorboardX")
    for name, place in made.items():
        assert main(["export", str(place), "--tensorboard", str(tmp_path / name)]) == 0
    rows = db.load(made["run"]).rows
    column = next(n for n, v in rows[0].items() if isinstance(v, float))
    found = {s: v for s, n, _, v in events(tmp_path / "run") if n == column}
    # an event's number is a float32
    wanted = {
        i: np.float32(r[column]) for i, r in enumerate(rows) if r[column] is not None
    }
    assert found == wanted
    found = events(tmp_path / "train")
    assert [s for s, n, _, _ in found if n == "test_loss/run_0"] == [8, 16, 24]
    assert [s for s, n, kind, _ in found if (n, kind) == (TAG, "image")] == [24]


def test_mistakes_are_one_line_and_write_nothing(made, tmp_path, monkeypatch, capsys):
    pytest.importorskip("pyarrow")
    run = str(made["run"])
    full = tmp_path / "full"
    shutil.copytree(made["run"] / "cells", full)
    for words, said in (
        ([run], "--parquet FILE or --tensorboard DIR"),
        ([run, "--parquet", str(tmp_path)], "no Parquet file"),
        ([run, "--parquet", str(made["run"] / "rows.csv")], "no Parquet file"),
        ([run, "--parquet", str(tmp_path / "no" / "x")], "no such folder"),
        ([run, "--tensorboard", str(full)], "is not empty"),
        ([run, "--parquett", "x"], "did you mean --parquet?"),
        ([str(tmp_path / "none"), "--parquet", str(tmp_path / "x")], "none"),
    ):
        capsys.readouterr()
        assert main(["export", *words]) == 2, words
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
    for module, extra in (("pyarrow", "parquet"), ("tensorboardX", "tensorboard")):
        monkeypatch.setitem(sys.modules, module, None)
        assert main(["export", run, f"--{extra}", str(tmp_path / "x")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"'.[{extra}]'" in line
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
