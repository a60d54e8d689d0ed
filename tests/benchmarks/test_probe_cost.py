"""`probe_cost` makes the rows it promises; how fast things are is not tested."""

import pytest

from depthbench.benchmarks import probe_cost
from depthbench.research.study import headlines
from tests.benchmarks.smoke import assert_readable, run


@pytest.mark.slow
def test_probe_cost_at_smoke_size(tmp_path, capsys):
    (row,) = run(capsys, "probe_cost", "--out", f"{tmp_path}")
    assert row["status"] == "ok"
    assert not [c for c in probe_cost.STUDY.columns if row[c] is None]
    assert row["states"] == 1 + row["depth"]
    assert row["programs"] == 2
    assert row["measured_ratio_low"] <= row["measured_ratio"]
    assert row["n"] >= probe_cost.ROUNDS
    assert_readable(probe_cost.STUDY.tables([row]))
    answer, worst = headlines.of(probe_cost.STUDY, [row])
    assert "every state" in answer and "residual of width 16" in worst
