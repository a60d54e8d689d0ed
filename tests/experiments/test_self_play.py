"""Self-play: how points are counted, ratings, and what is said without mctx."""

import importlib.util

import jax
import numpy as np
import pytest

from depthbench.experiments import comparisons
from depthbench.experiments.acting import (
    self_play,
    self_play_claims,
    self_play_games,
    self_play_shown,
)
from depthbench.experiments.acting import self_play_rivals as rivals
from depthbench.research.catalogues.mistakes import Mistake
from depthbench.research.environments import connect4
from depthbench.research.learning import fits


def test_points_are_of_both_sides_and_each_rival():
    """The first openings are against pure search, the rest against random moves."""
    pure, random = (rivals.AGAINST[name] for name in ("pure", "random"))
    won = np.zeros((2, pure + random))
    won[0, :pure], won[:, pure:] = 1.0, 0.5
    won[1, 0] = 1.0
    found = self_play_games.by_opening(won.reshape(-1), [3, 1])
    assert found.pure.tolist() == [1.0, *[0.5] * (pure - 1)]
    assert found.random.tolist() == [0.5] * random and found.moves == [3, 1]


def played(pure):
    return self_play_games.Games(np.asarray(pure), np.full(16, 0.9), [])


def test_openings_are_an_error_that_no_seed_lessens():
    """All runs win from the same half of the openings: of how many seeds says nothing."""
    game, count = connect4.Game(4, 5, 4), rivals.AGAINST["pure"]
    won = np.random.RandomState(0).permutation(count) < count // 2
    few, many = (self_play_games.of_openings(game, n * [played(won)]) for n in (2, 50))
    assert few["gap_test_se"] == pytest.approx(many["gap_test_se"])  # as of rounding
    assert few["gap_test_groups"] == comparisons.GROUPS
    # As of so many independent openings, half of them won; 20 groups know it to a quarter.
    assert few["gap_test_se"] == pytest.approx(0.5 / count**0.5, rel=0.4)


def test_an_opening_that_is_played_again_is_no_other_one():
    """Of 4 × 4 cells 41 openings are played 64 times: 23 of them twice."""
    game = connect4.Game(4, 4, 3)
    opened = rivals.opened(game, "test", rivals.AGAINST["pure"])
    names = {tuple(moves): n for n, moves in enumerate(np.unique(opened, axis=0))}
    which = np.array([names[tuple(moves)] for moves in opened])
    first = which % comparisons.GROUPS == 0
    found = self_play_games.of_openings(game, [played(first), played(first)])
    left_out = np.array(found["score_left_out"].split(), float)
    assert left_out[0] == 0 and all(left_out[1:] > 0)


def test_no_opening_that_chose_rates_judges():
    """Of 4 × 4 cells each part has 41 openings, which are gone through again."""
    game = connect4.Game(4, 4, 3)
    chosen, judged = (
        {tuple(moves) for moves in rivals.opened(game, part, rivals.GAMES)}
        for part in rivals.SEEDS
    )
    assert len(chosen) == len(judged) == 41 and not chosen & judged


def test_a_net_that_is_pure_searchs_equal_has_its_rating():
    # The drawn game of the prior weighs more among 32 games than among 256.
    rated = lambda pure, random: self_play_games.rating(
        self_play_games.Games(np.full(64, pure), np.full(16, random), []), 0.9
    )
    assert rated(0.5, 0.9) == pytest.approx(0.0, abs=10.0)
    better, best = (rated(share, 0.95) for share in (0.7, 1.0))
    assert 0 < better < best


def test_few_positions_are_an_error_that_no_seed_lessens():
    row = {"more_named": -0.3, "wins_named_se": 0.03, "seeds": 3}
    found = self_play_claims.named_more({**row, "more_named_test_se": 0.04})
    assert found.value == -0.3 and found.spread == pytest.approx(0.05)
    assert found.freedom == pytest.approx(2 / 0.6**4)  # of three seeds, and no more


def test_without_mctx_it_is_refused_in_one_line(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "mctx" else find(name)
    )
    with pytest.raises(Mistake, match=r"needs mctx.*pip install"):
        self_play.fit([], set())


def test_each_net_answers_of_each_position_itself():
    """More positions than a block has, by two nets: as of each net without search."""
    pytest.importorskip("mctx", reason="whose tree search it is")
    from depthbench.research.learning import positions

    cell = dict.fromkeys(("games", "updates", "batch", "steps"), 1)
    cell |= {"board": "4x4", "architecture": "mlp", "activation": "relu"}
    cell |= {"depth": 1, "width": 8, "simulations": 2}
    net, game = self_play.net_of(cell), self_play.game_of(cell)
    drawn, _ = jax.device_get(positions.drawn(game, jax.random.key(0)))
    asked = jax.tree.map(lambda a: a[: rivals.GAMES + 20], drawn)
    fits_of = [fits.fresh(net, seed) for seed in (0, 1)]
    learners = [fit.learner(fits.numbers(net, 0.0, 1)) for fit in fits_of]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *learners)
    named, found, policy, value = self_play.answers(cell, stacked, asked)
    legal = connect4.legal(asked)
    for run, fit in enumerate(fits_of):
        told = fit.outputs(np.asarray(connect4.observe(asked)))
        shares = np.where(legal, np.exp(told[:, :-1]), 0.0)
        room = legal.any(1)
        shares = shares[room] / shares[room].sum(1, keepdims=True)
        # Of float32, by another program.
        np.testing.assert_allclose(policy[run][room], shares, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(value[run], np.tanh(told[:, -1]), atol=1e-5)
        np.testing.assert_array_equal(named[run][room], shares.argmax(1))
        on = ~asked.over
        assert np.take_along_axis(legal, found[run][:, None], 1)[on].all()


def test_a_game_says_who_won_it():
    """Rows from the ground up; the last stone need not end the line."""
    board = np.array([[1, 1, 1, -1], [-1, 1, -1, -1], [0, -1, 1, -1], [0, 0, 0, 0]])
    assert self_play_shown.ended(board, 3, 3) == "yellow wins"
    assert self_play_shown.ended(board, 2, 3) == "red wins"  # down to the left
    assert self_play_shown.ended(board, 2, 4) == "a draw"
    assert self_play_shown.ended(board, 0, 3) == "a draw"
    middle = np.array([[1, 1, 1, 0]] + 3 * [[0] * 4])
    assert self_play_shown.ended(middle, 1, 3) == "red wins"
