"""`ensemble_speed` makes the rows it promises; how fast things are is not tested."""

import pytest

from depthbench.benchmarks import ensemble_speed
from depthbench.benchmarks import ensemble_ways as ways
from depthbench.benchmarks.peers import torch_loop
from depthbench.research.catalogues.packages import missing
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
        if "torch" in way and missing("torch"):
            assert (row["status"], row["reason"]) == ("absent", missing("torch"))
            continue
        assert row["status"] == "ok"
        assert row["agrees"] is True
        assert row["largest_difference"] < CLOSE
        assert not [c for c in ensemble_speed.STUDY.columns if row[c] is None]
    assert rows[ensemble_speed.BASE]["ratio"] == 1.0
    assert_readable(ensemble_speed.STUDY.tables(list(rows.values())))


def test_a_missing_torch_is_a_row_with_the_reason(monkeypatch):
    monkeypatch.setattr(torch_loop, "missing", lambda name: f"no {name}")
    assert ensemble_speed.WAYS["torch"].absent("mlp") == "no torch"


def test_torch_runs_plain_nets_only():
    pytest.importorskip("torch", reason="the [peers] extra is not installed")
    assert "plain nets" in ensemble_speed.WAYS["torch"].absent("highway_mlp")


def test_of_a_large_grid_some_nets_stand_for_all(monkeypatch, tmp_path, capsys):
    """Each way has a row of its own as soon as it is timed; the fast ones come first."""
    order, measure = [], ensemble_speed.measure
    monkeypatch.setattr(
        ensemble_speed,
        "measure",
        lambda cells, *_: order.append([c["way"] for c in cells]) or measure(cells, *_),
    )
    flags = ("--seeds", "32", "--way", "one_by_one,ensemble", "--out", f"{tmp_path}")
    rows = {row["way"]: row for row in run(capsys, "ensemble_speed", *flags)}
    assert order == [["one_by_one"], ["ensemble"]]
    assert min(row["compile_s"] for row in rows.values()) > 0
    whole, alone = rows["ensemble"], rows["one_by_one"]
    assert (whole["timed"], alone["timed"], alone["cells"]) == (384, 36, 384)
    assert alone["agrees"] and alone["largest_difference"] < CLOSE
    (table, _) = ensemble_speed.STUDY.tables(list(rows.values()))
    assert [line[3] for line in table.rows] == ["384", "36 of 384"]
    assert (
        "36 of 384 nets were timed"
        in ensemble_speed.STUDY.headline([*rows.values()])[0]
    )


@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_the_nets_that_stand_for_all_are_of_every_setting(seeds):
    grid = ways.Grid("mlp", 8, 2, 3, range(seeds), None, None, None, None)
    nets = list(grid.nets())
    alone = [nets[number] for number in grid.alone()]
    settings = {net[:2] for net in nets}
    assert {net[:2] for net in alone} == settings
    assert len(alone) == len(settings) * min(seeds, ways.ALONE)


def test_ways_of_a_cpu_are_absent_elsewhere(monkeypatch):
    monkeypatch.setattr("jax.default_backend", lambda: "gpu")
    for way in ("by_variance", "torch_threads"):
        assert ways.WAYS[way].absent("mlp")
    assert not ways.WAYS["ensemble"].absent("mlp")
    monkeypatch.undo()
    assert not ways.WAYS["by_variance"].absent("mlp")
