"""Rows, tables, figures and verdicts of studies that set methods side by side.

Training itself is tested elsewhere: here the studies get made-up outcomes of runs, so
that every plan, table, figure and claim is gone through without compiling anything.
"""

import math
import zlib
from types import SimpleNamespace as Namespace

import numpy as np
import pytest

from depthbench.experiments.training import (
    degradation,
    depth_transfer,
    digits,
    highway,
    mup,
    relu_against_tanh,
    residual_remedies,
    rezero,
)
from depthbench.research.catalogues.optimizers import OPTIMIZERS
from depthbench.research.learning import supervised, sweeps, training
from depthbench.research.report.rendering import as_markdown
from depthbench.research.study import plan
from depthbench.research.study.claims import judge
from depthbench.research.study.declaration import chosen_values, grid

STUDIES = [
    module.STUDY
    for module in (
        degradation,
        depth_transfer,
        highway,
        mup,
        relu_against_tanh,
        residual_remedies,
        rezero,
    )
]


def made_up(recipe, runs, steps, at_a_time=64):
    """Outcomes of runs whose loss falls at a rate of the recipe's own; some diverge."""
    outcomes = []
    for run in runs:
        share = zlib.crc32(repr((recipe, run.seed)).encode()) % 100 / 100
        rate = float(run.hyper.rule.learning_rate) * (1 + share)
        loss = math.log(10) * np.exp(-rate * np.arange(steps, dtype=np.float32))
        right = (1 - loss / math.log(10)).astype(np.float32)
        stops = run.hyper.rule.learning_rate > 0.2
        if stops:
            loss[5:], right[5:] = np.nan, np.nan
        end = {"loss": np.float32(np.nan if stops else loss[-1])}
        end["accuracy"] = np.float32(0.5 + share / 2)
        log = {"loss": loss, "accuracy": right}
        outcomes.append(sweeps.Trained(log, end, end, 4 if stops else None))
    return outcomes


def rows_of(study, monkeypatch, settings=None):
    """(rows, profiles) of a study at its smoke size, from made-up outcomes."""
    monkeypatch.setattr(sweeps, "train", made_up)
    examples = {"train": np.zeros(1437), "test": np.zeros(360)}
    monkeypatch.setattr(
        sweeps, "problem", lambda recipe: Namespace(of=recipe.program, **examples)
    )
    rows, profiles = [], {}
    cells = grid(study, chosen_values(study, "smoke", settings or {}))
    cells, _ = study.fit(cells, set())
    for unit in plan.units(study, cells):
        for cell, measured in zip(unit.cells, plan.measure(unit, 2**32), strict=True):
            row = {**cell, "status": measured.status, "reason": measured.reason}
            row |= {
                name: None if isinstance(value, float) and math.isnan(value) else value
                for name, value in measured.values.items()
            }
            profiles[str(cell)] = measured.profiles
            rows.append({**row, "id": str(cell)})
    return rows, lambda row: profiles[row["id"]]


@pytest.fixture
def made_up_sizes(monkeypatch):
    """Sizes that grow as width to the power 0, 1, … at state 0, 1, …"""

    def sizes(cell):
        powers = np.arange(cell["depth"] + 2)
        return np.broadcast_to(
            float(cell["width"]) ** powers, (2, cell["seeds"], len(powers))
        )

    monkeypatch.setattr(mup, "early_sizes", sizes)


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_rows_tables_verdicts_and_figures(study, monkeypatch, made_up_sizes):
    settings = {"learning_rate": (0.01, 0.05, 0.3)}  # at the last one all runs diverge
    rows, profiles = rows_of(study, monkeypatch, settings)
    assert {row["status"] for row in rows} == {"ok", "diverged"}
    for row in rows:
        assert row["learning_rate"] < 0.2 or row["diverged_at"] == 4
        assert set(study.columns) <= set(row) | {"hidden_size", "output_size"} | {
            "hidden_size_se",
            "output_size_se",
        }
        for name in (n for n in row if n.endswith("accuracy_low")):
            mean, high = (row[name.replace("_low", end)] for end in ("", "_high"))
            assert 0 <= row[name] < mean < high <= 1
    for claim in study.claims:
        assert judge(claim, rows).points, claim.says
    for table in study.tables(rows):
        text = as_markdown(table)
        assert all(len(line) <= 110 for line in text.splitlines())
    for figure in study.figures(rows, profiles):
        assert any(axes.lines for axes in figure.draw().axes)


@pytest.mark.parametrize("study", [*STUDIES, digits.STUDY], ids=lambda s: s.name)
def test_every_value_can_be_typed(study):
    for name, axis in study.axes.items():
        typed = ",".join(str(value) for value in axis.values)
        assert axis.parse(f"--{name}", typed) == axis.values


def test_runs_that_do_not_arrive_count_as_late_as_they_ran():
    runs = made_up(None, [_run(0.001), _run(0.05)], 40)
    result = training.result(runs, 0.75, {"train": 1437, "test": 360})
    at = result.profiles["steps_to_target"]
    assert math.isinf(at[0]) and at[1] < 40
    cell = {"steps": 40}
    values = relu_against_tanh.finish(cell, result).values
    expected = (math.log(40) + math.log(at[1])) / 2
    assert values["log_steps"] == pytest.approx(expected, rel=1e-12)


def _run(rate):
    hyper = OPTIMIZERS["sgd"].hyper(learning_rate=rate)
    return sweeps.Run(0, supervised.Numbers(supervised.UNIT, hyper))
