"""Rows beside each other, as the claims of these studies take them."""

import pytest

from depthbench.experiments import comparisons
from depthbench.experiments.training import pairs


def row(start, depth, score, error):
    return {
        "status": "ok", "start": start, "depth": depth, "seeds": 3,
        "score": score, "score_se": error,
    }  # fmt: skip


ROWS = [row("rbm", 1, 0.9, 0.03), row("glorot", 1, 0.8, 0.04), row("rbm", 8, 0.7, 0.1)]


def test_a_pair_is_of_equal_depth_and_its_errors_add_up():
    compared = comparisons.against({"start": "rbm"}, {"start": "glorot"}, ("depth",))
    (pair,) = compared(ROWS)
    assert (pair["start"], pair["depth"]) == ("rbm", 1)
    assert pairs.gap(pair) == (
        *(pytest.approx(0.1), pytest.approx(0.05), 3, "mean", 0.0),
    )


def test_of_errors_less_is_better():
    assert comparisons.apart(*ROWS[:2], higher=False)["gap"] == pytest.approx(-0.1)


def test_a_row_without_a_number_or_an_error_decides_nothing():
    lost = {**ROWS[1], "score": None, "score_se": None}
    assert comparisons.apart(ROWS[0], lost) == {"gap": None, "gap_se": None}
    one = {**ROWS[1], "score_se": None}
    assert comparisons.apart(ROWS[0], one)["gap_se"] is None


def test_seeds_are_paired_where_rows_say_what_each_gave():
    """Both differ by what their seeds share: no error is left."""
    one, other = (
        {
            **row("rbm", 1, m, 0.1),
            "score_by_seed": comparisons.by_seed([m - 0.1, m + 0.1]),
        }
        for m in (0.8, 0.7)
    )
    assert comparisons.apart(one, other) == {"gap": pytest.approx(0.1), "gap_se": 0.0}
    turned = comparisons.apart(one, other, higher=False)
    assert turned["gap"] == pytest.approx(-0.1)
    fewer = {**other, "score_by_seed": "0.6"}
    assert comparisons.apart(one, fewer)["gap_se"] == pytest.approx(0.1 * 2**0.5)
    assert comparisons.by_seed([0.5, float("nan")]) is None
