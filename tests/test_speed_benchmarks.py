"""The speed studies make the rows they promise; how fast things are is not tested."""

import json

import jax
import numpy as np
import pytest

from benchmarks import compile_time, ensemble_speed
from benchmarks.peers import torch_loop
from research.study.command import main
from research.study.tables import as_markdown


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
def test_ensemble_speed_at_smoke_size(tmp_path, capsys):
    rows = {r["way"]: r for r in run(capsys, "ensemble_speed", "--out", f"{tmp_path}")}
    assert list(rows) == list(ensemble_speed.WAYS)
    for way, row in rows.items():
        if "torch" in way and not torch_loop.present():
            assert (row["status"], row["reason"]) == ("absent", torch_loop.ABSENT)
            continue
        assert row["status"] == "ok"
        assert row["agrees"] is True
        assert not [c for c in ensemble_speed.STUDY.columns if row[c] is None]
    assert rows[ensemble_speed.BASE]["ratio"] == 1.0
    assert_readable(ensemble_speed.STUDY.tables(list(rows.values())))


def assert_readable(shown) -> None:
    for table in shown:
        lines = as_markdown(table).splitlines()
        assert all(len(line) <= 110 for line in lines)  # bars and spaces included


def test_a_missing_torch_is_a_row_with_the_reason(monkeypatch):
    monkeypatch.setattr(torch_loop, "present", lambda: False)
    assert ensemble_speed.WAYS["torch"].absent("mlp") == torch_loop.ABSENT


def test_torch_runs_plain_nets_only():
    pytest.importorskip("torch", reason="the [peers] extra is not installed")
    assert "plain nets" in ensemble_speed.WAYS["torch"].absent("highway_mlp")


def test_torch_finds_the_same_gradients():
    pytest.importorskip("torch", reason="the [peers] extra is not installed")
    cell = {"way": "torch", "architecture": "mlp", "depth": 8, "width": 16, "batch": 4}
    task = ensemble_speed.prepare({**cell, "seeds": 2, "rounds": 1})
    found = {}
    for name in ("one_by_one", "torch"):
        way = ensemble_speed.WAYS[name].ready(task)
        found[name] = way.read(way.call())
        assert found[name].shape == (task.count, task.depth + 1)
    # Float32 rounding, twice a layer; see ensemble_speed.TOLERANCE.
    assert np.allclose(found["torch"], found["one_by_one"], rtol=0, atol=1e-4)


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
