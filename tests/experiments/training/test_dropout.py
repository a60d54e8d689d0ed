"""ξ_c of a ReLU net with dropout, and what methods add, from rows."""

import math

import pytest

from depthbench.experiments.training import dropout, nets
from depthbench.experiments.training import dropout_shown as shown
from depthbench.research.learning import fits, held_out


def row(method, train, depth, score, valid=0.9, keep=1.0, error=0.01):
    return {
        **dict(unfinished=True, learned=1.0, rate_at_edge=False),
        **dict(method=method, train=train, depth=depth, keep=keep, seeds=3),
        **dict(status="ok", reason="", score=score, score_se=error, valid=valid),
    }


def test_the_reach_is_that_of_relus_correlation_map():
    """c′ = keep J(c), J the arc-cosine kernel of Cho & Saul 2009, and its slope."""
    assert shown.reach(1.0) is None
    for keep in (0.5, 0.9):
        c = 0.5
        for _ in range(500):  # a contraction by the slope, .65 at most
            angle = math.acos(c)
            c = keep * (math.sin(angle) + c * (math.pi - angle)) / math.pi
        slope = keep * (math.pi - math.acos(c)) / math.pi
        # Quadratures agree to 1e-9 and more.
        assert shown.reach(keep) == pytest.approx(-1 / math.log(slope), rel=1e-6)


def test_gains_are_of_the_keep_that_validation_chose():
    rows = [
        row("none", 125, 2, 0.80),
        row("dropout", 125, 2, 0.99, valid=0.70, keep=0.5),
        row("dropout", 125, 2, 0.81, valid=0.95, keep=0.8),
        row("none", 500, 2, 0.90),
        row("dropout", 500, 2, 0.94, keep=0.5),
    ]
    gains = shown.against(rows, "dropout", "none")
    assert [(one["train"], one["keep"]) for one in gains] == [(125, 0.8), (500, 0.5)]
    assert [one["gap"] for one in gains] == pytest.approx([0.01, 0.04])
    (grown,) = shown.grown(rows)
    assert grown["gap"] == pytest.approx(0.03)
    assert grown["gap_se"] == pytest.approx(0.02)  # of four scores of .01 each


def test_a_net_is_judged_finished_with_all_of_its_units():
    """By the house's rule: all right of what was trained on, whatever its loss does."""
    assert not dropout.wanting([1.0, 1.0], falls=True)
    assert dropout.wanting([1.0, 0.99], falls=True)
    assert not dropout.wanting([1.0, 0.99], falls=False)


def test_a_decay_at_the_edge_of_its_grid_is_a_doubt(monkeypatch):
    """Whether a larger one would be better still is not known."""

    def tuned(by_rate, grid, by, outcome, most):
        found = fits.Tuned(grid[-1], [], grid == nets.DECAYS, False, {})
        by_rate(grid)
        return found

    monkeypatch.setattr(fits, "tuned", tuned)
    monkeypatch.setattr(fits, "by_rate", lambda *_: lambda rates: [])
    rates = {"lowest_rate": 1e-3, "highest_rate": 3e-3, "rates": 2, "further_rates": 2}
    cell = {"method": "l2", "depth": 1, "width": 8, "keep": 1.0, "steps": 1, "seeds": 1}
    parts = held_out.parts("digits", 125)
    found, decay = dropout.trained({**cell, **rates}, parts)
    assert decay == nets.DECAYS[-1] and found.at_edge


def test_a_headline_says_where_dropout_is_better_than_weight_decay():
    base = {"strong": 0.99, "gap": -0.1, "gap_se": 0.01, "trivial": 0.1}
    rows = [
        {**row("none", 125, 2, 0.80), **base},
        {**row("l2", 125, 2, 0.80), **base},
        {**row("dropout", 125, 2, 0.99, keep=0.8), **base},
        {**row("none", 500, 2, 0.90), **base},
        {**row("l2", 500, 2, 0.90), **base},
        {**row("dropout", 500, 2, 0.91, keep=0.8), **base},
    ]
    said = shown.headline(rows).answer
    assert "surely better than weight decay at 1 of 2" in said


def test_what_is_kept_is_all_where_nothing_is_dropped():
    data = {"dataset": "digits", "train": 125}
    pairs = [(m, k) for m in ("none", "dropout") for k in (0.8, 0.5)]
    cells = [{"method": method, "keep": keep, **data} for method, keep in pairs]
    kept, _ = dropout.fit(cells, set())
    assert kept == [{"method": "none", "keep": 1.0, **data}, *cells[2:]]
