"""`depthbench train`: what it writes, what it refuses, and that no stop loses a run."""

import csv
import json
import shutil

import numpy as np
import pytest

from depthbench.research.cli.main import main
from depthbench.research.report import figures
from tests import forged

SMALL = (
    "--architecture mlp --depth 2 --width 16 --dataset digits --steps 24 --batch 8 "
    "--report-every 8"
).split()


def train(out, *more):
    return main(["train", *SMALL, "--out", str(out), *more])


@pytest.fixture
def finished(once, tmp_path):
    """A small ensemble, one of whose learning rates diverges; made once and copied."""
    more = ["--learning-rate", "1e-3,1e6", "--seeds", "2", "--optimizer", "sgd"]

    def make(out):
        assert train(out, *more, "--activation", "relu") == 0

    return shutil.copytree(once("trained", make), tmp_path / "finished")


@pytest.fixture
def no_pictures(monkeypatch):
    """Pictures take longer than so small a run; the shared one has them."""
    monkeypatch.setattr(figures, "lay_out", lambda drawn: None)
    monkeypatch.setattr(figures, "as_png", lambda drawn: b"")
    monkeypatch.setattr(figures, "as_svg", lambda drawn: b"")


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_run_without_a_finite_loss_ends_quietly(tmp_path, no_pictures):
    """Every step overflows: none is taken, the scale stays, nothing is warned of."""
    more = ("--activation", "relu", "--sigma-w2", "1e6", "--dtype", "float16_scaled")
    assert train(tmp_path / "out", *more) == 0
    rows = read(tmp_path / "out" / "curves.csv")
    assert {row["status"] for row in rows} == {"diverged"}


@pytest.mark.slow
def test_curves_have_a_row_for_each_report_and_run(finished):
    rows = read(finished / "curves.csv")
    assert [(r["run"], r["step"]) for r in rows] == [
        (run, step) for step in ("8", "16", "24") for run in "0123"
    ]
    wanted = "step train_loss train_accuracy test_loss test_accuracy seed learning_rate"
    assert set(wanted.split()) <= set(rows[0])
    good = [r for r in rows if r["learning_rate"] == "0.001"]
    assert all(0 <= float(r["test_accuracy"]) <= 1 for r in good)
    bad = [r for r in rows if r["learning_rate"] == "1000000.0"]
    assert {r["status"] for r in bad} == {"diverged"}
    assert all(r["test_accuracy"] == "" and int(r["diverged_at"]) < 8 for r in bad)
    assert "nan" not in (finished / "curves.csv").read_text()
    for name in ("results.csv", "report.md", "report.html", "figure.svg", "figure.png"):
        assert (finished / name).stat().st_size > 100


@pytest.mark.slow
def test_a_finished_run_is_shown_again_and_not_run_again(finished, capsys):
    before = {p: p.stat().st_mtime_ns for p in (finished / "reports").iterdir()}
    capsys.readouterr()
    more = ["--learning-rate", "1e-3,1e6", "--seeds", "2", "--optimizer", "sgd"]
    assert train(finished, *more, "--activation", "relu", "--format", "json") == 0
    ended = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in ended] == ["ok", "diverged"]
    assert {p: p.stat().st_mtime_ns for p in (finished / "reports").iterdir()} == before
    assert main(["report", str(finished), "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("learning_rate,")


@pytest.mark.slow
def test_a_folder_of_an_earlier_version_is_not_resumed(finished, tmp_path, capsys):
    out = shutil.copytree(finished, tmp_path / "old")
    forged.edited(out, layout=1)
    more = ["--learning-rate", "1e-3,1e6", "--seeds", "2", "--optimizer", "sgd"]
    more += ["--activation", "relu", "--accept-changes"]
    capsys.readouterr()
    assert train(out, *more) == 2
    stderr = capsys.readouterr().err
    assert "laid out otherwise" in stderr and "choose another --out" in stderr


@pytest.mark.slow
def test_another_run_is_refused_with_what_differs(finished, capsys):
    assert train(finished, "--learning-rate", "1e-3,1e6", "--seeds", "3") == 2
    stderr = capsys.readouterr().err
    assert "another run" in stderr and "choose another --out" in stderr
    assert len(stderr.splitlines()) == 1


MISTAKES = [
    (["--learning-rate", "-1"], ["--learning-rate -1", "from 0 to"]),
    (["--learning-rate", "nan"], ["--learning-rate 'nan'"]),
    (["--learning-rate", "1e-3,x"], ["'x'", "a number"]),
    (["--optimizer", "adan"], ["'adan'", "adam"]),
    (["--schedule", "cosin"], ["cosine"]),
    (["--dataset", "digit"], ["'digit'", "digits"]),
    (["--batch", "5000"], ["--batch 5000", "1437"]),
    (["--accumulate", "3"], ["--accumulate 3", "divide the batch size 8"]),
    (["--steps", "0"], ["--steps 0", "from 1 to"]),
    (["--architecture", "resnet", "--depth", "7"], ["6n + 2, not 7", "nearest: 8"]),
    (["--architecture", "cnn", "--dataset", "mnist1d"], ["reads images"]),
    (["--architecture", "mlp", "--dataset", "copy_memory"], ["copy_memory", "allowed"]),
    (
        ["--architecture", "transformer_pre_ln", "--dataset", "grammar"],
        ["the next token", "transformer_decoder"],
    ),
    (["--augment", "flop"], ["flop", "flip"]),
    (["--augment", "flip", "--dataset", "two_spirals"], ["needs images"]),
    (["--dtype", "float8"], ["float8", "float16"]),
    (["--report-every", "25"], ["25", "from 1 to 24"]),
    (["--checkpoint-seconds", "0"], ["--checkpoint-seconds 0"]),
    (["--initializer", "critical", "--activation", "softplus"], ["critical"]),
    (["--sedes", "2"], ["--sedes", "--seeds"]),
]


@pytest.mark.parametrize(("more", "words"), MISTAKES, ids=lambda v: " ".join(v))
def test_a_mistake_is_one_line_and_writes_nothing(more, words, tmp_path, capsys):
    out = tmp_path / "run"
    assert train(out, *more) == 2
    stderr = capsys.readouterr().err
    assert stderr.startswith("depthbench: ") and len(stderr.splitlines()) == 1
    for word in words:
        assert word in stderr
    assert not (out / "reports").exists() or not list((out / "reports").iterdir())


def test_what_is_not_given_is_as_published():
    from depthbench.research.architectures import ARCHITECTURES
    from depthbench.research.cli.train import published
    from depthbench.research.datasets import DATASETS
    from depthbench.research.learning.recipe import FIELDS

    def of(name, dataset):
        family = ARCHITECTURES[name]
        return published(family, DATASETS[dataset], dict.fromkeys(FIELDS))

    lstm = of("lstm", "adding_200")  # whose depth is time
    assert (lstm["depth"], lstm["activation"]) == (200, "tanh")
    resnet = of("resnet", "digits")
    assert resnet == {
        "depth": 8,
        "width": 16,
        "activation": "relu",
        "normalizer": "batch",
    }
    assert of("mlp", "digits")["normalizer"] == "none"


@pytest.mark.slow
def test_a_damaged_checkpoint_is_said_and_the_one_before_is_used(
    tmp_path, capsys, no_pictures
):
    """And the run ends as if nothing had happened; also where steps take layers apart,
    whose checkpoints are those of a scan."""
    out, more = tmp_path / "run", ["--checkpoint-seconds", "0.1", "--loop", "unrolled"]
    assert train(out, *more) == 0
    record = json.loads((out / "run.json").read_text())
    assert record["environment"]["loop"] == "unrolled"
    wanted = (out / "curves.csv").read_bytes()
    newest = out / "checkpoints" / "24"
    damaged = max(
        (p for p in newest.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size
    )
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 16
    damaged.write_bytes(bytes(content))
    capsys.readouterr()
    assert train(out, *more) == 0
    assert "checkpoint 24 is damaged" in capsys.readouterr().err
    assert (out / "curves.csv").read_bytes() == wanted


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        "--architecture stacked_lstm --depth 1 --dataset grammar",
        pytest.param(
            "--architecture autoencoder --depth 2", marks=pytest.mark.exhaustive
        ),
        pytest.param("--dataset teacher_student", marks=pytest.mark.exhaustive),
        "--architecture cnn_same --depth 1 --width 4 --augment flip,crop --dtype bfloat16",
    ],
)
def test_each_kind_of_task_is_trained_and_reported(more, tmp_path, no_pictures):
    out = tmp_path / "run"
    steps = [
        "--steps",
        "6",
        "--report-every",
        "3",
        "--width",
        "8",
        "--activation",
        "tanh",
    ]
    assert main(["train", *steps, *more.split(), "--out", str(out)]) == 0
    losses = [float(row["test_loss"]) for row in read(out / "curves.csv")]
    assert len(losses) == 2 and np.all(np.isfinite(losses))


@pytest.fixture
def from_disk(monkeypatch):
    """A function after which the digits are read step by step, not kept in memory."""
    from depthbench.research.datasets import DATASETS, Splits, Stream
    from depthbench.research.learning import examples

    splits = DATASETS["digits"].split()

    def streamed(part):
        read = lambda numbers: (part.x[numbers], part.y[numbers])
        return Stream(len(part.y), read, part.classes, part.scale)

    def begin():
        read = Splits(*map(streamed, splits))
        monkeypatch.setattr(examples, "_splits", lambda *names: read)
        examples._on_device.cache_clear()

    return begin


@pytest.mark.slow
def test_data_that_are_read_from_disk_give_the_same_bits(
    tmp_path, from_disk, no_pictures
):
    assert train(tmp_path / "memory", "--seeds", "2") == 0
    from_disk()
    assert train(tmp_path / "disk", "--seeds", "2") == 0
    one, other = (tmp_path / name / "curves.csv" for name in ("memory", "disk"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.exhaustive
@pytest.mark.parametrize("mesh", ("data=2", "parameters=2"))
def test_two_devices_share_what_is_read_from_disk(
    mesh, tmp_path, from_disk, no_pictures
):
    more = ("--batch", "8", "--accumulate", "2")
    assert train(tmp_path / "one", *more) == 0
    from_disk()
    assert train(tmp_path / "two", *more, "--mesh", mesh) == 0
    one, two = (read(tmp_path / name / "curves.csv") for name in ("one", "two"))
    losses = [[float(row["test_loss"]) for row in rows] for rows in (one, two)]
    # Sums over a batch in another order, after a few steps.
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_runs_are_not_split_where_each_reads_its_own(tmp_path, from_disk, capsys):
    from_disk()
    assert train(tmp_path / "run", "--seeds", "2", "--mesh", "cells=2") == 2
    stderr = capsys.readouterr().err
    assert (
        "--mesh cells=2: digits is streamed from disk" in stderr
        and stderr.count("\n") == 1
    )
