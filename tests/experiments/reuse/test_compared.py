"""Differences of two rows: their errors, and rows of one seed."""

import pytest

from depthbench.experiments.reuse import compared

ROW = {"status": "ok", "reason": "", "seeds": 3, "rate_at_edge": False}


def row(score, error):
    return {**ROW, "unfinished": False, "score": score, "score_se": error}


def test_a_difference_has_both_errors_and_none_without_one():
    known = compared.difference(row(0.5, 0.03), row(0.2, 0.04))
    assert (known["gap"], known["gap_se"]) == pytest.approx((0.3, 0.05))
    assert compared.difference(row(0.5, None), row(0.2, 0.04))["gap_se"] is None
