"""What the studies that set methods side by side share: the best rate, gaps, data."""

import pytest

from depthbench.experiments.training import (
    pairs,
)
from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.study import doubts


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


def test_a_gap_and_its_standard_error():
    both = [row("a", 0.1, 1.0), row("b", 0.1, 1.2)]
    (paired,) = pairs.versus(
        both, "net", ("a", "b"), (), pairs.loss, pairs.deviation("train_loss"), "loss"
    )
    # Each error is 0.1, so that of the difference √2 / 10; sums of floats round.
    assert paired["gap"] == pytest.approx(0.2, rel=1e-12)
    assert paired["gap_se"] == pytest.approx(0.1 * 2**0.5, rel=1e-12)
    assert pairs.gap(paired)[:5] == (paired["gap"], paired["gap_se"], 3, "mean", 0.0)


def test_a_gap_of_losses_is_of_the_runs_that_ended():
    """Of five seeds three diverged: the mean of two has one degree of freedom."""
    both = [row("a", 0.1, 1.0, seeds=5), row("b", 0.1, 1.2, diverged=0.6, seeds=5)]
    spread = pairs.deviation("train_loss")
    for of, seeds in (("train_loss", 2), ("train_accuracy", 5)):
        (paired,) = pairs.versus(
            both, "net", ("a", "b"), (), pairs.loss, spread, "loss", of=of
        )
        assert pairs.gap(paired).seeds == seeds


def line(kind, loss, best, **more):
    """Rows of a net at three rates; the loss is least at the best of them."""
    rates = (0.03, 0.1, 0.3)
    return [row(kind, r, loss if r == best else 2 * loss) | more for r in rates]


def versus(one, other):
    rows = line("a", **{"loss": 1.0, "best": 0.1, **one})
    rows += line("b", **{"loss": 1.2, "best": 0.1, **other})
    spread = pairs.deviation("train_loss")
    (paired,) = pairs.versus(rows, "net", ("a", "b"), (), pairs.loss, spread, "loss")
    return paired


def test_what_is_doubtful_of_one_side_is_so_of_the_pair():
    assert not versus({}, {})["rate_at_edge"] and not versus({}, {})["unfinished"]
    for rate in (0.03, 0.3):
        for sides in (({"best": rate}, {}), ({}, {"best": rate})):
            assert versus(*sides)["rate_at_edge"]
    assert versus({}, {"unfinished": True})["unfinished"]
    assert versus({"unfinished": True}, {})["unfinished"]


def test_a_side_that_gets_better_moves_the_gap_its_way():
    """The gap is how much larger the second's loss is: the first's fall would raise it."""
    late = {"unfinished": True}
    assert doubts.of_sides(versus({}, {})) == (False, False)
    assert doubts.of_sides(versus(late, {})) == (True, False)
    assert doubts.of_sides(versus({}, late)) == (False, True)
    assert doubts.of_sides(versus({"best": 0.3}, late)) == (True, True)


@pytest.mark.parametrize("side", [0, 1])
def test_what_was_not_measured_of_one_side_is_not_of_the_pair(side):
    lost = {"status": "oom", "reason": "too large", "first_loss": None}
    paired = versus(*[lost if place == side else {} for place in range(2)])
    assert (paired["status"], paired["reason"]) == ("oom", "too large")
    assert paired["gap"] is None


def test_an_axis_of_whole_numbers_has_its_low_end_and_takes_one_value():
    one, several = pairs.whole("runs", (3,)), pairs.whole("cuts", (0,), 0, single=False)
    assert not one.wrong(1) and one.wrong(0) and not several.wrong(0)
    assert several.parse("--cut", "0,2") == (0, 2)
    with pytest.raises(Mistake, match="takes one value"):
        one.parse("--seeds", "2,3")
