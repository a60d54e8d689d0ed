"""Monte Carlo tree search in a game whose rules are known, by a net or by random playouts.

The search is mctx's Gumbel MuZero (Danihelka, Guez, Schrittwieser & Silver 2022, "Policy
improvement by planning with Gumbel", ICLR) with the true game for its model, which makes
it Gumbel AlphaZero. Pure search differs from a net's in what it thinks of a position
alone: all moves alike, and the mean result of games that are played to their end at random.
"""

# mctx's dataclasses tell pyright nothing of their arguments.
# pyright: reportCallIssue=false, reportArgumentType=false

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from depthbench.research.environments import connect4
from depthbench.research.environments.connect4 import Game, Position
from depthbench.research.lazy import lazily

with lazily():
    import mctx

NEVER = -1e9  # the log odds of a move that is against the rules

# (positions [games, …], key) -> (log odds of moves [games, columns], values [games] in
# [−1, 1] for the player to move)
Opinion = Callable[[Position, Any], tuple[jax.Array, jax.Array]]
# (positions [games, …], key) -> columns [games]
Mover = Callable[[Position, Any], jax.Array]


class Considered(NamedTuple):
    """moves: columns [games]. policy: what search makes of the log odds [games, columns].
    value: of the position, after search [games]."""

    moves: jax.Array
    policy: jax.Array
    value: jax.Array


def searched(
    game: Game,
    opinion: Opinion,
    positions: Position,
    key: Any,
    simulations: int,
    noise: float = 1.0,
) -> Considered:
    """What so many simulations from each position choose.

    noise: of the Gumbel numbers that moves are drawn by; 0 plays the best that was found.
    """
    key_root, key_search = jax.random.split(key)
    logits, value = opinion(positions, key_root)
    root = mctx.RootFnOutput(prior_logits=logits, value=value, embedding=positions)

    def follow(parameters, key, moves, positions):
        after, won, over = step(game, positions, moves)
        logits, value = opinion(after, key)
        told = mctx.RecurrentFnOutput(
            reward=won,
            discount=jnp.where(over, 0.0, -1.0),
            prior_logits=logits,
            value=jnp.where(over, 0.0, value),
        )
        return told, after

    # mctx adds integers to floats, which jax can be told to refuse.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        found = mctx.gumbel_muzero_policy(
            *((), key_search, root, follow, simulations),
            invalid_actions=~jax.vmap(connect4.legal)(positions),
            max_num_considered_actions=game.columns,
            gumbel_scale=noise,
        )
    value = found.search_tree.summary().value
    return Considered(found.action, found.action_weights, value)


def of_net(outputs: Callable[[jax.Array], jax.Array]) -> Opinion:
    """What a net thinks. outputs: inputs -> [games, columns + 1], the value's last."""

    def opinion(positions, key):
        told = outputs(jax.vmap(connect4.observe)(positions))
        allowed = jax.vmap(connect4.legal)(positions)
        logits = jnp.where(allowed, told[:, :-1], NEVER)
        return logits, jnp.tanh(told[:, -1])

    return opinion


def by_playouts(game: Game, playouts: int = 1) -> Opinion:
    """All moves alike, and the mean result of so many games played to the end at random."""

    def opinion(positions, key):
        allowed = jax.vmap(connect4.legal)(positions)
        results = jax.vmap(lambda one: _played_out(game, positions, one))(
            jax.random.split(key, playouts)
        )
        return jnp.where(allowed, 0.0, NEVER), jnp.mean(results, axis=0)

    return opinion


def at_random(positions: Position, key: Any) -> jax.Array:
    """Moves drawn from those that are allowed [games]."""
    allowed = jax.vmap(connect4.legal)(positions)
    return jax.random.categorical(key, jnp.where(allowed, 0.0, NEVER))


def mixed(first: Mover, count: int, rest: Mover) -> Mover:
    """The player `first` in so many of the games, `rest` in those after them."""

    def move(positions, key):
        key_first, key_rest = jax.random.split(key)
        some = jax.tree.map(lambda a: a[:count], positions)
        others = jax.tree.map(lambda a: a[count:], positions)
        return jnp.concatenate([first(some, key_first), rest(others, key_rest)])

    return move


def _played_out(game: Game, positions: Position, key: Any) -> jax.Array:
    """What the players to move win in games that go on at random [games]."""

    def goes_on(carry):
        ply, positions, _, _ = carry
        return jnp.any(~positions.over) & (ply < game.cells)

    def one(carry):
        ply, positions, sign, result = carry
        moves = at_random(positions, jax.random.fold_in(key, ply))
        positions, won, _ = step(game, positions, moves)
        return ply + 1, positions, -sign, result + sign * won

    zero = jnp.zeros(positions.over.shape)
    start = (jnp.zeros((), jnp.int32), positions, jnp.ones(()), zero)
    return jax.lax.while_loop(goes_on, one, start)[3]


def searching(game: Game, opinion: Opinion, simulations: int) -> Mover:
    """The player that plays the best move that so many simulations find."""

    def move(positions, key):
        return searched(game, opinion, positions, key, simulations, 0.0).moves

    return move


class Match(NamedTuple):
    """points: of the first player in each game [2 × openings], 1, ½ or 0; each opening is
    played by both sides, and the second half has the first player answer. moves: of the
    first game [cells], −1 after its end."""

    points: jax.Array
    moves: jax.Array


def match(
    game: Game, one: Mover, other: Mover, key: Any, openings: int, plies: int = 2
) -> Match:
    """Games of two players from openings of so many random plies, even, sides swapped."""
    key_open, key_play = jax.random.split(key)
    opened, begun = _opened(game, key_open, openings, plies)
    # Boards that wait for `one`, and that wait for `other`: they are exchanged each ply.
    waiting = ((opened, jnp.zeros(openings)),) * 2

    def ply(waiting, now):
        number, key = now
        key_one, key_other = jax.random.split(key)
        (mine, won), (theirs, lost) = waiting
        by_one, by_other = one(mine, key_one), other(theirs, key_other)
        after_one, gained, _ = step(game, mine, by_one)
        after_other, missed, _ = step(game, theirs, by_other)
        first, moves = jax.tree.map(
            lambda a, b: jnp.where(number % 2 == 0, a[0], b[0]),
            *((mine.over, by_one), (theirs.over, by_other)),
        )
        exchanged = (after_other, lost - missed), (after_one, won + gained)
        return exchanged, jnp.where(first, -1, moves)

    count = game.cells - plies
    count += count % 2  # after which each half is in its place again
    now = jnp.arange(count), jax.random.split(key_play, count)
    waiting, moves = jax.lax.scan(ply, waiting, now)
    results = jnp.concatenate([result for _, result in waiting])
    shown = jnp.concatenate([begun, moves[: game.cells - plies]])
    return Match((1 + results) / 2, shown)


def _opened(game: Game, key: Any, count: int, plies: int) -> tuple[Position, jax.Array]:
    """(positions after so many random plies [count], the moves of the first [plies])."""
    start = jax.tree.map(
        lambda a: jnp.broadcast_to(a, (count, *a.shape)), connect4.begin(game)
    )

    def one(positions, key):
        moves = at_random(positions, key)
        return step(game, positions, moves)[0], moves[0]

    return jax.lax.scan(one, start, jax.random.split(key, plies))


def step(game: Game, positions: Position, moves: Any) -> Any:
    """`connect4.step` of games side by side: (after, won [games], over [games])."""
    return jax.vmap(functools.partial(connect4.step, game))(positions, moves)
