"""Connect-4 on a board of any size: stones fall, and so many in a line win.

Hasbro's game has 6 rows, 7 columns and lines of 4; its first player wins (Allis 1988, "A
Knowledge-based Approach of Connect-Four"). A position is seen by the player to move.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Game(NamedTuple):
    """The size of a board, and how many stones in a line win."""

    rows: int = 6
    columns: int = 7
    line: int = 4

    @property
    def cells(self) -> int:
        return self.rows * self.columns


class Position(NamedTuple):
    """board: [rows, columns] int8, from the lowest row up; 1 of the player to move, −1 of
    the other, 0 empty. over: the game has ended."""

    board: jax.Array
    over: jax.Array


@functools.cache
def lines(game: Game) -> np.ndarray:
    """[lines, stones]: the cells of each line, counted row by row.

    >>> len(lines(Game())), len(lines(Game(4, 5, 4)))
    (69, 17)
    """
    found = []
    for row in range(game.rows):
        for column in range(game.columns):
            for up, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
                cells = [(row + up * n, column + right * n) for n in range(game.line)]
                last_row, last_column = cells[-1]
                if last_row < game.rows and 0 <= last_column < game.columns:
                    found.append([r * game.columns + c for r, c in cells])
    return np.array(found, np.int32)


def begin(game: Game) -> Position:
    """The empty board."""
    board = jnp.zeros((game.rows, game.columns), jnp.int8)
    return Position(board, jnp.zeros((), bool))


def legal(position: Position) -> jax.Array:
    """[columns]: whether there is room in each."""
    return position.board[-1] == 0


def step(
    game: Game, position: Position, column: Any
) -> tuple[Position, jax.Array, jax.Array]:
    """(the position as the other player sees it, what the mover won, whether it is over).

    Won is 1 for a line, 0 for any other move, and −1 for one where there is no room,
    which loses the game. Once it is over nothing changes, and nothing is won.
    """
    allowed = legal(position)[column]
    filled = jnp.sum(position.board != 0, axis=0, dtype=jnp.int32)
    row = jnp.minimum(filled[column], game.rows - 1)
    placed = position.board.at[row, column].set(jnp.int8(1))
    board = jnp.where(allowed & ~position.over, placed, position.board)
    line = jnp.any(jnp.all(board.reshape(-1)[lines(game)] == 1, axis=1))
    full = jnp.all(board[-1] != 0)
    won = jnp.where(allowed, line.astype(jnp.float32), -1.0)
    won = jnp.where(position.over, 0.0, won)
    over = position.over | ~allowed | line | full
    return Position(jnp.where(position.over, board, -board), over), won, over


def observe(position: Position) -> jax.Array:
    """[2 × cells]: the stones of the player to move, then the other's, as 0 and 1."""
    own, other = position.board == 1, position.board == -1
    return jnp.stack([own, other]).reshape(-1).astype(jnp.float32)


def winning(game: Game, position: Position, plies: int) -> jax.Array:
    """[columns]: which moves force a win within so many plies, odd, by trying all."""
    columns = jnp.arange(game.columns)
    after, won, over = jax.vmap(lambda move: step(game, position, move))(columns)
    at_once = (won == 1) & legal(position) & ~position.over
    if plies < 3:
        return at_once

    def forced(middle):
        """Whether every reply leaves a win."""
        replied, theirs, ended = jax.vmap(lambda move: step(game, middle, move))(
            columns
        )
        follow = jax.vmap(lambda one: jnp.any(winning(game, one, plies - 2)))(replied)
        return jnp.all(~legal(middle) | ((theirs != 1) & ~ended & follow))

    later = jax.vmap(forced)(after) & ~over & legal(position) & ~position.over
    return at_once | later
