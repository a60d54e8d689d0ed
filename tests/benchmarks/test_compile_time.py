"""`compile_time` makes the rows it promises; how fast things are is not tested."""

import jax
import numpy as np
import pytest

from depthbench.benchmarks import compile_time
from depthbench.research.study import headlines
from tests.benchmarks.smoke import assert_readable, run


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
    answer, worst = headlines.of(compile_time.STUDY, rows)
    assert answer.startswith("A net of 100 layers takes ") and "rezero_mlp" in worst


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
