"""Self-play: how points are counted, ratings, and what is said without mctx."""

import importlib.util

import numpy as np
import pytest

from depthbench.experiments.acting import self_play, self_play_claims
from depthbench.research.study.errors import Refusal


def test_points_are_of_both_sides_and_each_rival():
    """The first openings are against pure search, the rest against random moves."""
    pure, random = (self_play.AGAINST[name] for name in ("pure", "random"))
    won = np.zeros((2, pure + random))
    won[0, :pure], won[:, pure:] = 1.0, 0.5
    assert self_play.shares(won.reshape(-1)) == (0.5, 0.5)
    won[1, :pure] = 1.0
    assert self_play.shares(won.reshape(-1)) == (1.0, 0.5)


def test_a_net_that_is_pure_searchs_equal_has_its_rating():
    # The drawn game of the prior weighs more among 32 games than among 256.
    assert self_play.rating((0.5, 0.9), 0.9) == pytest.approx(0.0, abs=10.0)
    better, best = (self_play.rating((share, 0.95), 0.9) for share in (0.7, 1.0))
    assert 0 < better < best


def test_what_pure_search_finds_has_the_error_of_as_few_positions():
    row = {"wins_named": 0.5, "wins_named_se": 0.03, "wins_pure": 0.8, "seeds": 3}
    alone = self_play_claims.named_more(row)
    both = self_play_claims.named_more({**row, "wins_pure_se": 0.04})
    assert alone.error == pytest.approx(0.03) and both.error == pytest.approx(0.05)
    assert alone.value == both.value == pytest.approx(-0.3)


def test_without_mctx_it_is_refused_in_one_line(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "mctx" else find(name)
    )
    with pytest.raises(Refusal, match=r"needs mctx.*pip install"):
        self_play.fit([], set())
