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
    the other, 0 empty. over: the game has ended. Of jax, or of numpy on the host."""

    board: Any
    over: Any


def begin(game: Game) -> Position:
    """The empty board, on the host."""
    return Position(np.zeros((game.rows, game.columns), np.int8), np.zeros((), bool))


def legal(position: Position) -> Any:
    """[columns]: whether there is room in each; also of positions [..., columns]."""
    return position.board[..., -1, :] == 0


def step(
    game: Game, position: Position, column: Any
) -> tuple[Position, jax.Array, jax.Array]:
    """(the position as the other player sees it, what the mover won, whether it is over).

    Won is 1 for a line, 0 for any other move, and −1 for one where there is no room,
    which loses the game. Once it is over nothing changes, and nothing is won.
    """
    rows, columns = np.indices((game.rows, game.columns))
    filled = jnp.sum(position.board != 0, axis=0, keepdims=True, dtype=jnp.int32)
    stone = (columns == column) & (rows == filled)  # none, where there is no room
    allowed = jnp.any(stone)
    placed = jnp.where(stone & ~position.over, jnp.int8(1), position.board)
    line = has_line(game, placed == 1)
    full = jnp.all(placed[-1] != 0)
    won = jnp.where(allowed, line.astype(jnp.float32), -1.0)
    won = jnp.where(position.over, 0.0, won)
    over = position.over | ~allowed | line | full
    return Position(jnp.where(position.over, placed, -placed), over), won, over


def has_line(game: Game, own: jax.Array) -> jax.Array:
    """Whether stones [rows, columns] have a line.

    By slices of the board, one for each stone of a line: a CPU takes twice as long to
    gather the cells of all lines.
    """
    found = [jnp.zeros((), bool)]
    for up, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        board = own if right >= 0 else own[:, ::-1]
        high = game.rows - up * (game.line - 1)
        wide = game.columns - abs(right) * (game.line - 1)
        if high > 0 and wide > 0:
            places = [(up * n, abs(right) * n) for n in range(game.line)]
            stones = [board[r : r + high, c : c + wide] for r, c in places]
            found.append(jnp.any(functools.reduce(jnp.logical_and, stones)))
    return functools.reduce(jnp.logical_or, found)


def observe(position: Position) -> jax.Array:
    """[2 × cells]: the stones of the player to move, then the other's, as 0 and 1; also of
    positions [..., 2 × cells]."""
    cells = position.board.reshape(*position.board.shape[:-2], -1)
    return jnp.concatenate([cells == 1, cells == -1], axis=-1).astype(jnp.float32)


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
