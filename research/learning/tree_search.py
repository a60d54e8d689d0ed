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
import numpy as np

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
    opinion: of the positions, before search."""

    moves: jax.Array
    policy: jax.Array
    opinion: tuple[jax.Array, jax.Array]


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
            invalid_actions=~connect4.legal(positions),
            max_num_considered_actions=game.columns,
            gumbel_scale=noise,
        )
    return Considered(found.action, found.action_weights, (logits, value))


def of_net(outputs: Callable[[jax.Array], jax.Array]) -> Opinion:
    """What a net thinks. outputs: inputs -> [games, columns + 1], the value's last."""

    def opinion(positions, key):
        told = outputs(connect4.observe(positions))
        allowed = connect4.legal(positions)
        logits = jnp.where(allowed, told[:, :-1], NEVER)
        return logits, jnp.tanh(told[:, -1])

    return opinion


def by_playouts(game: Game, playouts: int = 1) -> Opinion:
    """All moves alike, and the mean result of so many games played to the end at random."""

    def opinion(positions, key):
        games = len(positions.over)
        copies = jax.tree.map(
            lambda a: jnp.broadcast_to(a, (playouts, *a.shape)).reshape(
                -1, *a.shape[1:]
            ),
            positions,
        )
        results = _played_out(game, copies, key).reshape(playouts, games)
        allowed = connect4.legal(positions)
        return jnp.where(allowed, 0.0, NEVER), jnp.mean(results, axis=0)

    return opinion


def chosen(positions: Position, luck: Any) -> Any:
    """The column that a number in [0, 1) falls on where those with room share it alike
    [...]. Arrays of jax, or of numpy on the host.

    One number a move: a Gumbel number for each column takes twice as long to compile.
    """
    room = connect4.legal(positions)
    until = np.tri(room.shape[-1], dtype=bool)[(np.newaxis,) * (room.ndim - 1)]
    up_to = (room[..., np.newaxis, :] & until).sum(-1).astype(np.float32)
    return (up_to > luck[..., None] * up_to[..., -1:]).argmax(-1)


def _played_out(game: Game, positions: Position, key: Any) -> jax.Array:
    """What the players to move win in games that go on at random [games]."""
    luck = jax.random.uniform(key, (game.cells * len(positions.over),))
    # Drawn as one row: of more dimensions XLA unrolls the loops around random bits.
    luck = luck.reshape(game.cells, -1)

    def goes_on(carry):
        ply, positions, _, _ = carry
        return jnp.any(~positions.over) & (ply < game.cells)

    def one(carry):
        ply, positions, sign, result = carry
        positions, won, _ = step(game, positions, chosen(positions, luck[ply]))
        return ply + 1, positions, -sign, result + sign * won

    zero = jnp.zeros(positions.over.shape)
    start = (jnp.zeros((), jnp.int32), positions, jnp.ones(()), zero)
    return jax.lax.while_loop(goes_on, one, start)[3]


def searching(game: Game, opinion: Opinion, simulations: int) -> Mover:
    """The player that plays the best move that so many simulations find."""

    def move(positions, key):
        return searched(game, opinion, positions, key, simulations, 0.0).moves

    return move


# --------------------------------------------------------- matches, led by the host

# (positions [runs, games, …], random) -> columns [runs, games], on the host: a mover is
# then compiled once, for all plies of all matches, where a scan compiles it for each match.
Player = Callable[[Position, np.random.RandomState], np.ndarray]


def drawing(positions: Position, random: np.random.RandomState) -> np.ndarray:
    """The player whose moves are drawn from those that are allowed."""
    return chosen(positions, random.uniform(size=positions.over.shape))


def mixed(first: Player, count: int, rest: Player) -> Player:
    """The player `first` in so many games of each run, `rest` in those after them."""

    def play(positions, random):
        some = jax.tree.map(lambda a: a[:, :count], positions)
        others = jax.tree.map(lambda a: a[:, count:], positions)
        return np.concatenate([first(some, random), rest(others, random)], axis=1)

    return play


def in_blocks(mover: Mover, size: int) -> Player:
    """The player that asks a mover, which is jitted, about so many games at a time, of
    those that are not over; the last block repeats some."""

    @jax.jit
    def block(positions, seed):
        return mover(positions, jax.random.key(seed))

    def play(positions, random):
        over = positions.over.reshape(-1)
        flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), positions)
        on = np.flatnonzero(~over)
        parts = [on[start : start + size] for start in range(0, len(on), size)]
        told = []
        for part in parts:
            some = jax.tree.map(lambda a, p=part: a[np.resize(p, size)], flat)
            told.append(block(some, seed_of(random)))
        moves = np.zeros(over.size, np.int32)
        for part, columns in zip(parts, jax.device_get(told), strict=True):
            moves[part] = columns[: len(part)]
        return moves.reshape(positions.over.shape)

    return play


def seed_of(random: np.random.RandomState) -> np.uint32:
    """A seed of the next random numbers."""
    return random.randint(2**32, dtype=np.uint32)


class Match(NamedTuple):
    """points: of the first player in each game [runs, 2 × openings], 1, ½ or 0; each
    opening is played by both sides, and the second half has the first player answer.
    moves: of each run's first game [runs, cells], −1 after its end."""

    points: np.ndarray
    moves: np.ndarray


def match(
    game: Game,
    one: Player,
    other: Player,
    seed: int,
    openings: np.ndarray,
    runs: int = 1,
) -> Match:
    """Games of two players from the same openings in each run, sides swapped.

    openings: columns of the first moves [openings, plies].
    """
    random = np.random.RandomState(seed)
    count, plies = openings.shape
    positions = jax.tree.map(
        lambda a: np.broadcast_to(a, (2, runs, count, *a.shape)),
        connect4.begin(game),
    )
    results, shown = np.zeros((2, runs, count)), np.full((runs, game.cells), -1)
    for ply in range(game.cells):
        mine = (ply - plies) % 2  # the half whose games wait for `one`
        if ply < plies:
            moves = np.broadcast_to(openings[:, ply], results.shape)
        else:
            halves = [jax.tree.map(lambda a, n=n: a[n], positions) for n in (0, 1)]
            by_one, by_other = (
                one(halves[mine], random),
                other(halves[1 - mine], random),
            )
            moves = np.stack([by_other, by_one] if mine else [by_one, by_other])
        shown[:, ply] = np.where(positions.over[0, :, 0], -1, moves[0, :, 0])
        positions, won, _ = jax.device_get(_stepped(game)(positions, moves))
        results[mine] += won[mine]
        results[1 - mine] -= won[1 - mine]
        if positions.over.all():
            break
    return Match((1 + np.concatenate(list(results), axis=1)) / 2, shown)


@functools.cache
def _stepped(game: Game) -> Callable:
    """`step` of games [2, runs, openings], jitted."""
    one = functools.partial(step, game)
    return jax.jit(jax.vmap(jax.vmap(one)))


def step(game: Game, positions: Position, moves: Any) -> Any:
    """`connect4.step` of games side by side: (after, won [games], over [games])."""
    return jax.vmap(functools.partial(connect4.step, game))(positions, moves)
