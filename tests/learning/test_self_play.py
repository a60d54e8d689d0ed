"""Search by the true rules, games against itself and what is kept of them, resumed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.environments import connect4
from depthbench.research.environments.connect4 import Game, Position
from depthbench.research.learning import feed, fits, positions, sweeps
from depthbench.research.learning.recipe import Recipe
from tests.learning import resumption

pytest.importorskip("mctx", reason="whose tree search it is")
from depthbench.research.learning import self_play, tree_search

GAME = Game(4, 4, 3)
PLAYING = self_play.Playing(GAME, games=4, simulations=4, kept=2, updates=2, batch=8)
NET = self_play.net_of(Recipe(depth=1, width=8, batch=8), GAME)
HYPER = fits.numbers(NET, 1e-2, 8)


def uniform(x):
    return jnp.zeros((len(x), GAME.columns + 1))


@pytest.fixture(scope="module")
def games():
    play = jax.jit(lambda key: self_play.games_of(PLAYING, uniform, key))
    return jax.device_get(play(jax.random.key(0)))


def test_results_are_those_of_the_moves_played(games):
    """The board of each ply follows from the one before by one stone of the mover; who
    placed the last stone of a line has 1, the other −1, at all plies of the game."""
    for number in range(PLAYING.games):
        on = np.flatnonzero(games.played[:, number])
        first, plies = on[0], on[-1] + 1  # after the random moves it begins with
        assert len(on) == plies - first and first <= GAME.cells // 4
        for ply in range(plies - 1):
            before, after = games.board[ply, number], games.board[ply + 1, number]
            changed = before != -after
            assert changed.sum() == 1 and (after[changed] == -1).all()
        results = games.result[:plies, number]
        np.testing.assert_array_equal(results[1:], -results[:-1])
        assert results[-1] in (1.0, 0.0)  # nobody plays where there is no room
        wins = connect4.winning(GAME, _position(games.board[plies - 1, number]), 1)
        assert bool(wins.any()) or results[-1] == 0.0


def _position(board):
    return Position(jnp.asarray(board), jnp.zeros((), bool))


def test_policies_are_shares_of_moves_with_room(games):
    np.testing.assert_allclose(games.policy.sum(-1), 1.0, rtol=1e-5)
    full = games.board[:, :, -1] != 0
    assert games.policy[full & games.played[..., None]].max(initial=0.0) < 1e-6


def test_what_is_drawn_was_played_and_mirrored_as_a_whole(games):
    """Columns that hold their own number tell a mirrored board; so does its policy."""
    kept = jax.tree.map(lambda a: jnp.stack([a, jnp.zeros_like(a)]), games)
    marked = jnp.broadcast_to(jnp.arange(4.0), kept.policy.shape)
    boards = jnp.zeros_like(kept.board).at[..., 0, 0].set(1)
    some = kept._replace(
        policy=marked, board=boards, result=jnp.where(kept.played, 1.0, -1.0)
    )
    batch = self_play.drawn(PLAYING._replace(batch=400), some, jax.random.key(0))
    assert float(batch["result"].min()) == 1.0
    turned = np.asarray(batch["policy"][:, 0] == 3.0)
    own = np.asarray(batch["inputs"]).reshape(400, 2, 4, 4)[:, 0]
    np.testing.assert_array_equal(own[:, 0, 3] == 1, turned)
    np.testing.assert_array_equal(own[:, 0, 0] == 1, ~turned)
    assert 0.35 < turned.mean() < 0.65  # five standard errors of 400 fair coins


def test_it_resumes_in_the_midst_of_its_kept_games(tmp_path):
    system = self_play.system(NET, PLAYING)
    resumption.assert_resumes(system, feed.nothing, (), HYPER, tmp_path)


def test_search_finds_wins_that_the_rules_force():
    """With random games for values: far more of the wins in three plies than by chance."""
    asked = positions.forced_wins(GAME, jax.random.key(3))
    assert asked.real.sum() > 20
    opinion = tree_search.by_playouts(GAME, 4)
    search = jax.jit(tree_search.searching(GAME, opinion, 32))
    found = np.mean(positions.solved(asked, search(asked.positions, jax.random.key(0))))
    assert found > positions.chance(asked) + 0.25


def opened(count, plies=2):
    """Openings of random moves."""
    return np.random.RandomState(0).randint(GAME.columns, size=(count, plies))


def test_a_match_is_fair_and_counted_for_the_first_player():
    """Random against random has half of the points; search has most of them, and as few
    where it is the second player named."""
    pure = tree_search.in_blocks(
        tree_search.searching(GAME, tree_search.by_playouts(GAME, 2), 8), 64
    )
    random = tree_search.drawing
    for runs in (1, 2):
        one = tree_search.mixed(random, 200, pure)
        found = tree_search.match(GAME, one, random, 0, opened(250), runs)
        points = found.points.reshape(runs, 2, 250)
        # 400 games: a standard error of 0.025 at most.
        for each in points[:, :, :200]:
            assert each.mean() == pytest.approx(0.5, abs=0.1)
        assert points[:, :, 200:].mean() > 0.75
        assert set(np.unique(points)) <= {0.0, 0.5, 1.0}
        for moves in found.moves:
            seen = positions.of_moves(GAME, moves)
            assert bool(seen.over[-1]) and not seen.over[:-1].any()
    second = tree_search.match(GAME, random, pure, 0, opened(50))
    assert second.points.mean() < 0.25


def test_each_run_plays_the_same_openings_on_both_sides():
    """Told by what players are asked: after the opening, and by nobody before."""
    asked = []

    def noting(positions, random):
        asked.append(positions)
        return tree_search.drawing(positions, random)

    tree_search.match(GAME, noting, noting, 1, opened(20), runs=3)
    one, other = (first.board for first in asked[:2])
    assert one.shape == (3, 20, 4, 4) and (np.abs(one).sum((2, 3)) == 2).all()
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(one, np.broadcast_to(one[:1], one.shape))
    assert len(np.unique(one[0], axis=0)) > 5
    # They take turns: at the next ply each has the half that was the other's.
    assert (np.abs(asked[2].board).sum((2, 3))[~asked[2].over] == 3).all()


def test_blocks_ask_of_the_games_that_go_on_alone():
    """Seven games of ten, four at a time; each has the answer to its own board."""
    boards = np.zeros((2, 5, 4, 4), np.int8)
    for number, (run, game) in enumerate(np.ndindex(2, 5)):
        boards[run, game].reshape(-1)[:number] = 1
    over = np.arange(10).reshape(2, 5) % 4 == 1
    sizes = []

    def mover(positions, key):
        sizes.append(positions.over.shape)
        return positions.board.astype(np.int32).sum((1, 2))

    player = tree_search.in_blocks(mover, 4)
    moves = player(Position(boards, over), np.random.RandomState(0))
    wanted = np.where(over, 0, np.arange(10).reshape(2, 5))
    np.testing.assert_array_equal(moves, wanted)
    assert sizes == [(4,)]  # traced once


def test_random_moves_are_as_likely_among_columns_with_room():
    board = np.zeros((4, 4), np.int8)
    board[:, 0] = 1  # no room
    many = Position(np.broadcast_to(board, (30_000, 4, 4)), np.zeros(30_000, bool))
    moves = tree_search.drawing(many, np.random.RandomState(0))
    shares = np.bincount(moves, minlength=4) / 30_000
    # A standard error of 0.0027.
    np.testing.assert_allclose(shares, [0, 1 / 3, 1 / 3, 1 / 3], atol=0.014)
    # At the ends of what is drawn, too.
    ends = jax.tree.map(lambda a: a[:2], many)
    luck = np.array([0.0, 1 - 2**-24], np.float32)
    for choose in (tree_search.chosen, jax.jit(tree_search.chosen)):
        assert list(choose(ends, luck)) == [1, 3]


def test_playouts_are_worth_what_random_games_are():
    """As of games that the host plays, from the empty board and after a first move."""
    first, _, _ = connect4.step(GAME, connect4.begin(GAME), 1)
    some = jax.tree.map(lambda *a: jnp.stack(a), connect4.begin(GAME), first)
    _, values = jax.jit(tree_search.by_playouts(GAME, 2000))(some, jax.random.key(0))
    random, at_once = tree_search.drawing, opened(4000, plies=0)
    found = tree_search.match(GAME, random, random, 0, at_once)
    mover = 2 * found.points[0, :4000].mean() - 1  # who begins
    # Standard errors of 0.022 and 0.016 at most.
    assert values[0] == pytest.approx(mover, abs=0.1)
    assert mover > 0.05 and values[1] < 0.1  # it is better to begin


def test_fresh_games_fill_the_room_that_is_kept():
    programs = sweeps.programs(self_play.system(NET, PLAYING), feed.nothing, 4)
    seeds, hyper = sweeps.arguments([sweeps.Run(0, HYPER)])
    state, log = programs.advance(programs.init(seeds, hyper), hyper, (), np.int32(1))
    kept = state.tree["kept"]
    assert bool(kept.played[0].any()) and not bool(kept.played[1].any())
    state, log = programs.advance(state, hyper, (), np.int32(3))
    assert int(state.tree["steps"]) == 4 and bool(state.tree["kept"].played[1].any())
    assert np.isfinite(log["loss"][:3]).all()


def test_runs_are_taken_side_by_side():
    """As on an accelerator: each plays games of its own, and moves are its own search's."""
    programs = sweeps.programs(self_play.system(NET, PLAYING), feed.nothing, 2, True)
    seeds, hyper = sweeps.arguments([sweeps.Run(seed, HYPER) for seed in (0, 1)])
    state, log = programs.advance(programs.init(seeds, hyper), hyper, (), np.int32(2))
    assert log["loss"].shape == (2, 2) and np.isfinite(log["loss"]).all()
    boards = np.asarray(state.tree["kept"].board)
    assert not np.array_equal(boards[0], boards[1])
