"""`digits`: folds, and who beats the largest class."""

import jax
import numpy as np
import pytest

from depthbench.experiments.training import (
    digits,
)
from depthbench.research.study.claims import judge


@pytest.fixture
def optax_as_it_is():
    """optax itself mixes dtypes, which a strict session refuses."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def test_folds_hold_every_digit_out_once():
    folds = digits.folds(23, seed=1)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(23))
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(23))


def test_digits_beat_the_largest_class(optax_as_it_is):
    cell = {"depth": 1, "width": 16, "learning_rate": 0.01, "steps": 60, "seeds": 1}
    rows = []
    for name in ("largest class", "nearest neighbours", "multilayer perceptron"):
        settings = {**cell, "method": name}
        measured = digits.accuracies(settings)
        rows.append({**settings, "status": "ok", **measured.values, "id": name})
        profiles = measured.profiles
    trivial, near, net = (row["accuracy"] for row in rows)
    # The commonest digit is 10.2 % of them; on a test fold it is a little rarer.
    assert trivial < 0.11 < net and near > 0.9
    assert profiles["confusion"].sum() == 1797
    assert judge(digits.STUDY.claims[0], [{**row, "seeds": 3} for row in rows]).points
    (table,) = digits.STUDY.tables(rows)
    assert [line[0] for line in table.rows][-1] == "largest class"
    (figure,) = digits.STUDY.figures(rows, lambda row: profiles)
    assert figure.draw().axes[0].lines
