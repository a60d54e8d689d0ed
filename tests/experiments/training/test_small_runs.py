"""Studies that train nets, run whole at a small size: rows, tables, verdicts, pictures."""

import csv

import pytest

from depthbench.research.cli.main import main

SMALL = {
    "activation_fix": "--remedy sigmoid --depth 2 --rates 1",
    "trainable_depth": "--sigma-w2 1,4 --depth 30",
    "he_against_xavier": "--depth 30 --rates 1",
    "deep_linear": "--depth 4 --steps 20",
    "residual_paths": "--depth 6 --paths 2",
    "understanding_difficulty": "--activation tanh --depth 3 --rates 1",
}


@pytest.mark.parametrize("name", SMALL)
def test_a_small_run(name, tmp_path, capsys):
    extra = "" if name == "deep_linear" else "--steps 2"
    arguments = f"{SMALL[name]} {extra} --width 8 --seeds 3 --size smoke".split()
    assert main(["run", name, *arguments, "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "Claims" in shown and "nan" not in shown
    with (tmp_path / "out" / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows and {row["status"] for row in rows} == {"ok"}
    assert "nan" not in (tmp_path / "out" / "rows.csv").read_text()
    assert (tmp_path / "out" / "figure.png").stat().st_size > 10_000
