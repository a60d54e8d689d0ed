"""No study chooses its best setting by test data: runs whose test and training disagree.

Training itself is made up here: at one learning rate everything is best in training, at
another in testing. What each study then shows as its best is the former.
"""

import math

import numpy as np
import pytest

from depthbench.research.learning import sweeps
from depthbench.research.learning.sweeps import Trained
from depthbench.research.report.rendering import text_of
from depthbench.research.study import plan
from depthbench.research.study.declaration import chosen_values, grid
from depthbench.research.study.studies import studies
from depthbench.research.study.tables import number

OWN_TRAINING = ("max_trainable_depth", "deep_linear")  # which see no test data at all
# Shows every rate by itself, and its claims are of the smallest: none is its best.
NONE_CHOSEN = ("trainable_depth",)


def several(study):
    """Whether it trains each net at several learning rates."""
    rate = study.axes.get("learning_rate")
    return "rates" in study.axes or (rate and not rate.single and len(rate.values) > 1)


# Systems train by `fits`, and are held to it in tests/experiments/test_systems.py.
TRAINED = [s.name for s in studies().values() if several(s) and not s.summary]
TRAINED = [name for name in TRAINED if name not in OWN_TRAINING]
every = pytest.mark.parametrize("name", TRAINED)
each = pytest.mark.parametrize("name", [n for n in TRAINED if n not in NONE_CHOSEN])


class Planted:
    """Stands for `sweeps.train`. Of the grid that it sees first, the middle rate is best
    in training and the lowest in testing."""

    def __init__(self):
        self.rates = []

    def __call__(self, problem, runs, steps, at_a_time=64):
        rates = sorted({run.hyper.rule.learning_rate for run in runs})
        self.rates = self.rates or rates
        return [self.outcome(run.hyper.rule.learning_rate, steps) for run in runs]

    @property
    def best(self):
        return self.rates[len(self.rates) // 2]

    def outcome(self, rate, steps):
        train, test = (
            math.exp(-abs(math.log(rate / peak))) for peak in (self.best, self.rates[0])
        )
        there = np.arange(steps) >= (1 - train) * steps / 2
        right = np.where(there, 0.5 + 0.49 * train, 0.1).astype(np.float32)
        log = {"loss": np.linspace(2.3, 2 - 1.9 * train, steps), "accuracy": right}
        ends = [
            {
                "loss": np.float32(2 - 1.9 * good),
                "accuracy": np.float32(0.5 + good * 0.49),
            }
            for good in (train, test)
        ]
        return Trained(log, *ends, None)


@pytest.fixture(scope="module")
def planted():
    """A study's smoke rows of several rates, and what was planted; made once each."""
    kept = {}

    def rows_of(name):
        if name not in kept:
            kept[name] = made(name)
        return kept[name]

    return rows_of


def made(name):
    study, trainer = studies()[name], Planted()
    chosen = chosen_values(study, "smoke", {})
    several = {"rates": (3,), "learning_rate": study.axes.get("learning_rate")}
    for axis, values in several.items():
        if axis in study.axes and len(chosen[axis]) < 3:  # none between others
            chosen[axis] = values.values if axis == "learning_rate" else values
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweeps, "train", trainer)
        cells, _ = study.fit(grid(study, chosen), set())
        rows = []
        for unit in plan.units(study, cells):
            results = plan.measure(unit, 2**30)
            for cell, result in zip(unit.cells, results, strict=True):
                rows.append(
                    {**cell, "status": result.status, "reason": "", **result.values}
                )
    assert len(trainer.rates) > 1  # it was asked, and had a choice
    return study, trainer, sorted(rows, key=study.order)


def unseen(entries):
    """A table's or a row's entries without those of test data."""
    return {name: value for name, value in entries.items() if "test" not in name}


@each
def test_the_best_rate_is_the_one_that_trains_best(name, planted):
    study, trainer, rows = planted(name)
    shown = {
        row[column]
        for row in rows
        for column in row
        if column == "best_rate" or column.endswith("learning_rate")
        if column not in study.axes
    }
    tables = study.tables(rows)
    texts = {
        text_of(line[table.headers.index("best rate")])
        for table in tables
        if "best rate" in table.headers and "learning_rate" in study.axes
        for line in table.rows
    }
    marked = {
        table.headers[place]
        for table in tables
        if name == "mup"
        for line in table.rows
        for place, entry in enumerate(line)
        if getattr(entry, "tone", "") == "good"
    }
    assert shown | texts | marked  # it is shown somewhere
    assert shown <= {trainer.best}
    assert texts <= {number(trainer.best)}
    assert not marked or number(trainer.best, 2) in marked


def with_others(rows, turned=lambda row: True):
    """The rows, of which those that are turned have the test data of the next one."""
    columns = [column for column in rows[0] if "test" in column]
    values = [{column: row[column] for column in columns} for row in rows]
    return [
        {**row, **value} if turned(row) else row
        for row, value in zip(rows, [*values[1:], values[0]], strict=True)
    ]


def seen(rows):
    """What rows say without test data; nan is like nan."""
    return [repr(unseen(row)) for row in rows]


@every
def test_nothing_but_test_columns_depends_on_test_data(name, planted):
    study, trainer, rows = planted(name)
    others = with_others(rows)
    # What a paper says of test errors is judged by those of the rate that trains best.
    apart = with_others(rows, lambda row: row.get("learning_rate") != trainer.best)
    assert apart != rows or "learning_rate" not in study.axes
    for one, other in zip(study.tables(rows), study.tables(others), strict=True):
        for line, same in zip(one.rows, other.rows, strict=True):
            named = zip(one.headers, line, strict=True)
            named_same = zip(one.headers, same, strict=True)
            if name not in ("trainability",):  # which has both accuracies in one entry
                assert unseen(dict(named)) == unseen(dict(named_same))
    for claim in study.claims:
        if claim.of is not None:
            same = apart if "test error" in claim.says else others
            assert seen(claim.of(rows)) == seen(claim.of(same)), claim.key
