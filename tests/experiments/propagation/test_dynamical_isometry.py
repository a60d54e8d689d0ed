"""`dynamical_isometry`: rows of dense nets, and how far slopes spread.

Whether a paper's claim holds is no test.
"""

import json
import math

import numpy as np
import pytest

from depthbench.experiments.propagation import dynamical_isometry, ten_thousand_layers
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.cli.main import main
from depthbench.research.report.rendering import as_markdown

STUDIES = {m.STUDY.name: m.STUDY for m in (dynamical_isometry, ten_thousand_layers)}


def rows_of(name, folder, capsys, *flags):
    """The command's rows at smoke size, after what holds for those of any study."""
    out = ["--size", "smoke", "--format", "json", "--out", f"{folder}"]
    assert main(["run", name, *out, *flags]) == 0
    rows = json.loads(capsys.readouterr().out)  # strict: the file itself has no nan
    study = STUDIES[name]
    for row in rows:
        assert (row["status"] == "ok") == (row["reason"] == "")
        assert not [c for c, v in row.items() if isinstance(v, float) and math.isnan(v)]
    for table in study.tables(rows):
        assert all(len(line) <= 110 for line in as_markdown(table).splitlines())
    assert (folder / "figure.png").stat().st_size > 10_000
    return rows


@pytest.mark.slow
def test_the_command_on_dense_nets(tmp_path, capsys):
    flags = ["--width", "8", "--activation", "linear,softplus", "--depth", "1,3"]
    rows = rows_of("dynamical_isometry", tmp_path, capsys, *flags)
    by_cell = {(r["activation"], r["weights"], r["depth"]): r for r in rows}
    assert len([row for row in rows if row["activation"] == "linear"]) == 4  # one q*
    assert by_cell["softplus", "gaussian", 1]["status"] == "no_fixed_point"
    # Products of orthogonal matrices are orthogonal, to float32's rounding.
    isometry = by_cell["linear", "orthogonal", 3]
    assert abs(isometry["log10_mean"]) + isometry["variance"] < 1e-5
    # One Gaussian square of width n, in all its draws: E[tr A²] n / E[tr A]² − 1 is
    # (n + 1)/n; three draws scatter by a third of it, and 0 is far away.
    assert by_cell["linear", "gaussian", 1]["variance"] == pytest.approx(9 / 8, rel=0.7)


@pytest.mark.parametrize(("name", "q"), [("relu", 3.0), ("tanh", 0.5), ("relu6", 4.0)])
def test_the_spread_of_slopes_against_sampling(name, q):
    phi = ACTIVATIONS[name].phi
    z = np.random.default_rng(0).standard_normal(10**6) * math.sqrt(q)
    step = 1e-4  # central differences, good to 1e-8 away from kinks
    squared = ((np.asarray(phi(z + step)) - np.asarray(phi(z - step))) / step / 2) ** 2
    sampled = np.mean(squared**2) / np.mean(squared) ** 2 - 1
    # A million draws scatter by 0.2 %; float32 differences add 0.1 %.
    spread = dynamical_isometry.slopes_spread(ACTIVATIONS[name], q)
    assert spread == pytest.approx(sampled, rel=0.01)
