"""The speed studies make the rows they promise; how fast things are is not tested."""

import json

import jax
import numpy as np
import pytest

from benchmarks import compile_time, ensemble_speed
from benchmarks.peers import torch_loop
from benchmarks.training_speed import study as training_speed
from research.cli.main import main
from research.report.rendering import as_markdown

# Rounding: a sum of a few hundred float32 terms differs by some 1e-6; the sums of eight
# layers with batch norm over 75 pixels, and logarithms of such sums, by ten times that.
CLOSE = 1e-4


def run(capsys, *arguments: str) -> list[dict]:
    """The rows that a smoke run prints."""
    assert main(["run", *arguments, "--size", "smoke", "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_compile_time_at_smoke_size(tmp_path, capsys):
    flags = ("--architecture", "rezero_mlp", "--out", f"{tmp_path}")
    rows = run(capsys, "compile_time", *flags)
    assert [row["depth"] for row in rows] == [10, 100]
    for row in rows:
        assert row["status"] == "ok"
        missing = [c for c in compile_time.STUDY.columns if row[c] is None]
        assert not missing
        assert row["step_ms_low"] <= row["step_ms"] <= row["step_ms_high"]
    assert rows[0]["compile_ratio"] == 1.0
    assert_readable(compile_time.STUDY.tables(rows))


@pytest.mark.slow
@pytest.mark.parametrize(
    "ways",
    [
        "ensemble,one_by_one,torch",
        pytest.param(",".join(ensemble_speed.WAYS), marks=pytest.mark.exhaustive),
    ],
    ids=["three ways", "all ways"],
)
def test_ensemble_speed_at_smoke_size(ways, tmp_path, capsys):
    flags = ("--way", ways, "--out", f"{tmp_path}")
    rows = {row["way"]: row for row in run(capsys, "ensemble_speed", *flags)}
    assert list(rows) == ways.split(",")
    for way, row in rows.items():
        if "torch" in way and not torch_loop.is_installed():
            assert (row["status"], row["reason"]) == ("absent", torch_loop.ABSENT)
            continue
        assert row["status"] == "ok"
        assert row["agrees"] is True
        assert row["largest_difference"] < CLOSE
        assert not [c for c in ensemble_speed.STUDY.columns if row[c] is None]
    assert rows[ensemble_speed.BASE]["ratio"] == 1.0
    assert_readable(ensemble_speed.STUDY.tables(list(rows.values())))


def assert_readable(shown) -> None:
    for table in shown:
        lines = as_markdown(table).splitlines()
        assert all(len(line) <= 110 for line in lines)  # bars and spaces included


def test_a_missing_torch_is_a_row_with_the_reason(monkeypatch):
    monkeypatch.setattr(torch_loop, "is_installed", lambda: False)
    assert ensemble_speed.WAYS["torch"].absent("mlp") == torch_loop.ABSENT


def test_torch_runs_plain_nets_only():
    pytest.importorskip("torch", reason="the [peers] extra is not installed")
    assert "plain nets" in ensemble_speed.WAYS["torch"].absent("highway_mlp")


def test_the_profile_equals_autodiff():
    cell = {"architecture": "rezero_mlp", "activation": "relu", "depth": 5}
    ready = compile_time.prepare({**cell, "width": 8, "batch": 4})
    value, gradients = jax.jit(ready.gradient)(*ready.arguments)
    run_profile = jax.jit(ready.profile)
    profiled, (states, parameters) = run_profile(*ready.arguments)
    assert states.shape == (6,)
    assert float(profiled) == pytest.approx(float(value), rel=1e-5)
    (stage,) = gradients.stages
    squares = [
        np.sum(np.square(a), axis=tuple(range(1, a.ndim))) for a in leaves(stage)
    ]
    assert np.allclose(parameters, 0.5 * np.log10(sum(squares)), atol=1e-5)


def leaves(tree) -> list[np.ndarray]:
    return [np.asarray(a, np.float64) for a in jax.tree.leaves(tree)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "ways",
    [
        "sweep,torch,bare_step,run",
        pytest.param(
            "sweep,vmap,unprobed,probed,unsaved,saved", marks=pytest.mark.exhaustive
        ),
    ],
)
def test_training_speed_at_smoke_size(ways, tmp_path, capsys):
    flags = ("--way", ways, "--seeds", "1", "--out", f"{tmp_path}")
    rows = {row["way"]: row for row in run(capsys, "training_speed", *flags)}
    assert list(rows) == ways.split(",")
    for way, row in rows.items():
        if way == "torch" and not torch_loop.is_installed():
            assert (row["status"], row["reason"]) == ("absent", torch_loop.ABSENT)
            continue
        assert row["status"] == "ok" and row["ratio"] > 0
        if row["question"] == "grid":
            assert row["agrees"] is True  # the same losses, batch by batch
    for base in {"sweep", "bare_step", "unprobed", "unsaved"} & set(rows):
        assert rows[base]["ratio"] == 1.0
    assert_readable(training_speed.STUDY.tables(list(rows.values())))
