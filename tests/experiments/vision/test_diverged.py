"""A net that diverges has a row and a report in every study of vision."""

import re

import jax
import numpy as np
import pytest

from depthbench.research.cli.main import main
from depthbench.research.learning import fits, outcomes
from depthbench.research.report import published
from depthbench.research.study import headlines
from depthbench.research.study.studies import studies

NAMES = (
    *("detection", "faces", "feature_hierarchy", "handmade", "permuted_pixels"),
    *("relations", "segmentation"),
)
SAMPLE = "feature_hierarchy"  # whose probes cannot read what is no number
sampled = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == SAMPLE else [pytest.mark.exhaustive])
        for name in NAMES
    ],
)


def reported(name, out, *more):
    """The rows and the report of a run at smoke size."""
    assert main(["run", name, "--size", "smoke", "--out", str(out), *more]) == 0
    rows = published.read_csv(out / "rows.csv")
    fields = re.split(r"[,\r\n]", (out / "rows.csv").read_text())
    assert rows and not {"nan", "inf", "-inf"} & set(fields)
    assert {row["status"] for row in rows} == {"ok"}
    assert all(headlines.of(studies()[name], rows))
    report = (out / "report.md").read_text()
    assert "nan" not in re.findall(r"\w+", report)
    return rows


@sampled
def test_a_huge_rate_has_a_row_and_a_report(name, tmp_path):
    rates = ("--lowest-rate", "1e6", "--highest-rate", "1e6")
    nets = [
        row
        for row in reported(name, tmp_path / "out", *rates)
        if row["learning_rate"] is not None
    ]
    assert nets and all(row["score"] <= row["strong"] for row in nets)


@sampled
def test_weights_that_are_no_numbers_have_a_row_and_a_report(
    name, tmp_path, monkeypatch
):
    def train(net, data, steps, rates, seeds, *starts, **more):
        numbered = range(seeds) if isinstance(seeds, int) else seeds
        return [diverged(net, seed, rate) for rate in rates for seed in numbered]

    def diverged(net, seed, rate):
        fit = fits.fresh(net, seed)
        lost = jax.tree.map(lambda a: np.full_like(a, np.nan), fit.variables)
        log = {"loss": np.full(outcomes.LAST, np.nan, np.float32)}
        return fit._replace(variables=lost, log=log, diverged=1, seed=seed, rate=rate)

    monkeypatch.setattr(fits, "train", train)
    reported(name, tmp_path / "out")
