"""`training_speed` makes the rows it promises; how fast things are is not tested."""

import pytest

from depthbench.benchmarks.training_speed import study as training_speed
from depthbench.research.catalogues.packages import missing
from tests.benchmarks.smoke import assert_readable, run


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
        if way == "torch" and missing("torch"):
            assert (row["status"], row["reason"]) == ("absent", missing("torch"))
            continue
        assert row["status"] == "ok" and row["ratio"] > 0
        if row["question"] == "grid":
            assert row["agrees"] is True  # the same losses, batch by batch
    for base in {"sweep", "bare_step", "unprobed", "unsaved"} & set(rows):
        assert rows[base]["ratio"] == 1.0
    assert_readable(training_speed.STUDY.tables(list(rows.values())))
