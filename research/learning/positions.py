"""Positions of Connect-4 to ask a player about: of random games, with known forced wins."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.environments import connect4
from depthbench.research.environments.connect4 import Game, Position
from depthbench.research.learning import self_play, tree_search

DRAWN = 8192  # random games that puzzles are looked for in
ASKED = 256  # puzzles at most
BLOCK = 512  # positions that are looked through at once: often the first ones do


class Puzzles(NamedTuple):
    """positions: the player to move can force a win in three plies, in one it cannot.
    moves: [positions, columns], which do. real: [positions], the others fill up."""

    positions: Position
    moves: np.ndarray
    real: np.ndarray


@functools.partial(jax.jit, static_argnums=0)
def drawn(game: Game, key: Any) -> tuple[Position, jax.Array]:
    """(a position of each of DRAWN random games, at a random ply, what its player to move
    has in the end where the game goes on at random [DRAWN])."""
    key_ply, key_play = jax.random.split(key)
    start = jax.tree.map(
        lambda a: jnp.broadcast_to(a, (DRAWN, *a.shape)), connect4.begin(game)
    )
    wanted = jax.random.randint(key_ply, (DRAWN,), 0, game.cells - 3)

    def one(carry, now):
        positions, kept, result = carry
        ply, key = now
        take = ply == wanted
        kept = jax.tree.map(
            lambda a, b: jnp.where(take.reshape(-1, *[1] * (a.ndim - 1)), a, b),
            *(positions, kept),
        )
        # As one row, which XLA compiles sooner; puzzles are those of `categorical`.
        luck = jax.random.gumbel(key, (DRAWN * game.columns,)).reshape(DRAWN, -1)
        moves = jnp.argmax(jnp.where(connect4.legal(positions), luck, -jnp.inf), axis=1)
        after, won, _ = tree_search.step(game, positions, moves)
        sign = jnp.where((ply - wanted) % 2 == 0, 1.0, -1.0)
        result = result + jnp.where(ply >= wanted, sign * won, 0.0)
        return (after, kept, result), None

    now = jnp.arange(game.cells), jax.random.split(key_play, game.cells)
    (_, kept, result), _ = jax.lax.scan(one, (start, start, jnp.zeros(DRAWN)), now)
    return kept, result


def forced_wins(game: Game, key: Any) -> Puzzles:
    """Up to ASKED puzzles, of random games; what is missing repeats the first."""

    def wins(plies):
        return jax.jit(jax.vmap(lambda one: connect4.winning(game, one, plies)))

    some, _ = jax.device_get(drawn(game, key))
    unsolved = np.flatnonzero(~np.asarray(wins(1)(some)).any(1) & ~some.over)
    later, in_three = np.zeros((DRAWN, game.columns), bool), wins(3)
    # Where every move wins there is nothing to find.
    asks = lambda: later.any(1) & (later != connect4.legal(some)).any(1)
    for first in range(0, len(unsolved), BLOCK):
        here = unsolved[first : first + BLOCK]
        block = padded(jax.tree.map(lambda a, h=here: a[h], some), BLOCK)
        later[here] = np.asarray(in_three(block))[: len(here)]
        if np.sum(asks()) >= ASKED:
            break
    places = np.flatnonzero(asks())[:ASKED]
    real = np.arange(ASKED) < len(places)
    places = np.resize(places if len(places) else np.zeros(1, int), ASKED)
    chosen = jax.tree.map(lambda a: a[places], some)
    return Puzzles(chosen, later[places], real)


def solved(puzzles: Puzzles, moves: Any) -> np.ndarray:
    """Of each real puzzle, whether its move of [positions] forces the win."""
    right = puzzles.moves[np.arange(len(puzzles.moves)), np.asarray(moves)]
    return right[puzzles.real].astype(bool)


def chance(puzzles: Puzzles) -> float:
    """The share that a random move among those allowed solves."""
    legal = connect4.legal(puzzles.positions)
    return float(np.mean((puzzles.moves.sum(1) / legal.sum(1))[puzzles.real]))


def examples(game: Game, key: Any, count: int = 64) -> dict[str, Any]:
    """A batch as of a first step: positions of random games, any allowed move as good, and
    how they ended."""
    some, result = jax.tree.map(lambda a: a[:count], jax.device_get(drawn(game, key)))
    legal = connect4.legal(some).astype(np.float32)
    policy = legal / legal.sum(axis=1, keepdims=True)
    return jax.device_get(self_play.batch_of(some.board, policy, result))


_step = jax.jit(connect4.step, static_argnums=0)


def of_moves(game: Game, moves: Any) -> Position:
    """The positions before each move of a game and after the last [moves + 1, …]."""
    position, seen = connect4.begin(game), []
    for move in [int(move) for move in moves if move >= 0]:
        seen.append(position)
        position, _, _ = jax.device_get(_step(game, position, move))
    return jax.tree.map(lambda *a: np.stack(a), *seen, position)


def padded(positions: Position, count: int) -> Position:
    """So many positions: the last is repeated."""

    def more(a):
        return np.concatenate([a, np.repeat(a[-1:], count - len(a), axis=0)])

    return jax.tree.map(more, positions)
