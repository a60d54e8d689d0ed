"""Connect-4's rules by brute force: every line, full boards, moves without room."""

import functools
import itertools

import jax
import numpy as np
import pytest

from depthbench.research.environments import connect4
from depthbench.research.environments.connect4 import Game, Position

REAL, SMALL = Game(), Game(4, 5, 4)
STEP = jax.jit(connect4.step, static_argnums=0)
each = pytest.mark.parametrize("game", [REAL, SMALL, Game(3, 3, 3)])


def has_line(board, game):
    """Whether the stones of 1 have a line, looked for from each cell in each direction."""
    for row, column in itertools.product(range(game.rows), range(game.columns)):
        for up, right in itertools.product((-1, 0, 1), repeat=2):
            if (up, right) == (0, 0):
                continue
            cells = [(row + up * n, column + right * n) for n in range(game.line)]
            inside = all(0 <= r < game.rows and 0 <= c < game.columns for r, c in cells)
            if inside and all(board[cell] == 1 for cell in cells):
                return True
    return False


def lines(game):
    """The cells of each line, as (rows, columns)."""
    for row, column in itertools.product(range(game.rows), range(game.columns)):
        for up, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
            cells = [(row + up * n, column + right * n) for n in range(game.line)]
            if all(0 <= r < game.rows and 0 <= c < game.columns for r, c in cells):
                yield tuple(np.transpose(cells))


@each
def test_every_line_wins_and_nothing_shorter(game):
    """By the last stone of each line, which only then is there."""
    found = jax.jit(functools.partial(connect4.has_line, game))
    for line in lines(game):
        board = np.zeros((game.rows, game.columns), bool)
        board[line] = True
        assert found(board) and has_line(board, game)
        for row, column in zip(*line, strict=True):
            board[row, column] = False
            assert not found(board) and not has_line(board, game)
            board[row, column] = True
    # rows, columns and both diagonals
    wide, high = game.columns - game.line + 1, game.rows - game.line + 1
    count = game.rows * wide + game.columns * high + 2 * wide * high
    assert len(list(lines(game))) == count


@each
def test_no_stones_but_in_a_line_win(game):
    random = np.random.RandomState(0)
    boards = random.uniform(size=(300, game.rows, game.columns)) < 0.4
    found = jax.jit(jax.vmap(functools.partial(connect4.has_line, game)))(boards)
    wanted = [has_line(board, game) for board in boards]
    np.testing.assert_array_equal(found, wanted)
    assert 0 < sum(wanted) < 300


def played(game, seed):
    """A random game, each step held to the same rules in plain Python."""
    random, position = np.random.RandomState(seed), connect4.begin(game)
    board = np.zeros((game.rows, game.columns), int)  # from the mover's side
    for ply in range(game.cells):
        legal = board[-1] == 0
        np.testing.assert_array_equal(connect4.legal(position), legal)
        move = int(random.choice(np.flatnonzero(legal)))
        board[np.flatnonzero(board[:, move] == 0)[0], move] = 1
        line = has_line(board, game)
        position, won, over = STEP(game, position, move)
        assert float(won) == line
        assert bool(over) == (line or ply == game.cells - 1)
        if bool(over):
            return line, ply + 1
        board = -board
        np.testing.assert_array_equal(position.board, board)
    raise AssertionError("a full board must end a game")


@each
def test_random_games_follow_the_rules(game):
    ends = [played(game, seed) for seed in range(25)]
    assert any(line for line, _ in ends)


def test_a_full_board_without_a_line_is_a_draw():
    """As some of 60 random games on 3 × 3 end: nothing is won, and it is over."""
    ends = [played(Game(3, 3, 3), seed) for seed in range(60)]
    drawn = [plies for line, plies in ends if not line]
    assert drawn and set(drawn) == {9}


def test_a_move_without_room_loses_and_changes_nothing():
    position = connect4.begin(SMALL)
    for _ in range(SMALL.rows):
        position, _, over = STEP(SMALL, position, 2)
        assert not over
    assert not connect4.legal(position)[2] and connect4.legal(position)[1]
    after, won, over = STEP(SMALL, position, 2)
    assert (float(won), bool(over)) == (-1.0, True)
    np.testing.assert_array_equal(after.board, -position.board)
    again, won, over = STEP(SMALL, after, 1)  # and nothing follows
    assert (float(won), bool(over)) == (0.0, True)
    np.testing.assert_array_equal(again.board, after.board)


def forces(game, board, plies):
    """Which moves force a win within so many plies, in plain Python."""
    found = np.zeros(game.columns, bool)
    for move in np.flatnonzero(board[-1] == 0):
        after = board.copy()
        after[np.flatnonzero(after[:, move] == 0)[0], move] = 1
        if has_line(after, game):
            found[move] = True
        elif plies > 1 and not (after != 0).all():
            found[move] = all(
                answered(game, -after, reply, plies) for reply in room(after)
            )
    return found


def room(board):
    return np.flatnonzero(board[-1] == 0)


def answered(game, board, reply, plies):
    after = board.copy()
    after[np.flatnonzero(after[:, reply] == 0)[0], reply] = 1
    full = (after != 0).all()
    return (
        not has_line(after, game) and not full and forces(game, -after, plies - 2).any()
    )


def test_forced_wins_are_found_by_trying_everything():
    """Of 80 positions of random games, against the same in plain Python."""
    random, boards = np.random.RandomState(1), []
    while len(boards) < 80:
        position = connect4.begin(SMALL)
        for _ in range(random.randint(3, 14)):
            legal = np.flatnonzero(np.asarray(connect4.legal(position)))
            position, _, over = STEP(SMALL, position, int(random.choice(legal)))
            if bool(over):
                break
        else:
            boards.append(np.asarray(position.board))
    stacked = Position(np.stack(boards), np.zeros(80, bool))
    for plies in (1, 3):
        find = jax.jit(jax.vmap(lambda one, n=plies: connect4.winning(SMALL, one, n)))
        ours, theirs = (
            find(stacked),
            [forces(SMALL, b.astype(int), plies) for b in boards],
        )
        np.testing.assert_array_equal(ours, theirs)
    assert np.any(theirs) and not np.all(theirs)
