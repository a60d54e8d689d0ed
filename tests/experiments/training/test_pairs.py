"""What the studies that set methods side by side share: the best rate, gaps, data."""

import pytest

from experiments.training import (
    pairs,
)
from research.catalogues.catalogue import Mistake
from research.datasets import DataError
from research.study.claims import Claim, judge


def row(kind, rate, loss, diverged=0.0, seeds=3, se=0.1, steps=100):
    return {
        "net": kind,
        "learning_rate": rate,
        "train_loss": loss,
        "train_loss_se": se,
        "first_loss": 2.3,
        "diverged": diverged,
        "seeds": seeds,
        "steps": steps,
        "status": "ok",
    }


def test_the_best_rate_is_one_at_which_no_run_diverges():
    rows = [row("a", 0.1, 1.0), row("a", 0.2, 0.5, 0.3), row("b", 0.1, None, 1.0)]
    chosen = pairs.best(rows, ("net",), "loss")
    assert [r["learning_rate"] for r in chosen] == [0.1, 0.1]
    # What never trained is no better than it began.
    assert [pairs.loss(r) for r in chosen] == [1.0, 2.3]


def test_a_gap_counts_from_two_standard_errors():
    both = [row("a", 0.1, 1.0), row("b", 0.1, 1.2)]
    (paired,) = pairs.versus(
        both, "net", ("a", "b"), (), pairs.loss, pairs.deviation("train_loss"), "loss"
    )
    # Each error is 0.1, so that of the difference √2 / 10; sums of floats round.
    assert paired["gap"] == pytest.approx(0.2, rel=1e-12)
    assert paired["gap_se"] == pytest.approx(0.1 * 2**0.5, rel=1e-12)
    assert pairs.missing(paired) == pytest.approx(0.2 - 0.2 * 2**0.5, rel=1e-12)
    assert pairs.missing({"gap": 0.3, "gap_se": 0.1}) == 0.0
    assert pairs.missing({"gap": 0.0, "gap_se": 0.0}) < 0.0


def test_claims_are_judged_on_the_rows_they_are_made_of():
    claim = Claim(
        "X",
        "the sum is small",
        "none",
        gap=lambda r: r["sum"],
        error=pairs.exact,
        within=3.0,
        scope=lambda r: True,
        label=("name",),
        of=lambda rows: [
            {
                "name": "both",
                "status": "ok",
                "seeds": 3,
                "sum": sum(r["x"] for r in rows),
            }
        ],
    )
    assert judge(claim, [{"x": 1.0}, {"x": 2.0}]).word == "holds"
    assert judge(claim, [{"x": 1.0}, {"x": 2.5}]).misses == (("both", 3.5),)


def test_data_sets_that_studies_take():
    axis = pairs.dataset()
    assert axis.parse("--dataset", "fashion_mnist") == ("fashion_mnist",)
    for name, why in (("adding", "asks for numbers"), ("digit", "did you mean digits")):
        with pytest.raises(Mistake, match=why):
            axis.parse("--dataset", name)
    with pytest.raises(DataError, match="not prepared"):
        axis.parse("--dataset", "tfds:no_such_set")
