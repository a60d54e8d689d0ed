"""`ensemble_speed` makes the rows it promises; how fast things are is not tested."""

import pytest

from depthbench.benchmarks import ensemble_speed
from depthbench.benchmarks.peers import torch_loop
from tests.benchmarks.smoke import assert_readable, run

# Rounding: a sum of a few hundred float32 terms differs by some 1e-6; the sums of eight
# layers with batch norm over 75 pixels, and logarithms of such sums, by ten times that.
CLOSE = 1e-4


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


def test_a_missing_torch_is_a_row_with_the_reason(monkeypatch):
    monkeypatch.setattr(torch_loop, "is_installed", lambda: False)
    assert ensemble_speed.WAYS["torch"].absent("mlp") == torch_loop.ABSENT


def test_torch_runs_plain_nets_only():
    pytest.importorskip("torch", reason="the [peers] extra is not installed")
    assert "plain nets" in ensemble_speed.WAYS["torch"].absent("highway_mlp")
