"""A policy and value net that learns from games against itself, as one system.

Silver et al. 2017, Nature 550:354 (AlphaGo Zero), and 2018, Science 362:1140 (AlphaZero):
search makes better moves of the net's, and the net learns to name those, and who won. At
each step whole games are played; the last ones are kept in the system's tree, and the net
takes some steps on positions drawn from them.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from depthbench.research.architectures.contract import apply, unite
from depthbench.research.catalogues.losses import Loss
from depthbench.research.environments import connect4
from depthbench.research.environments.connect4 import Game, Position
from depthbench.research.learning import tree_search
from depthbench.research.learning.fits import Net
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task
from depthbench.research.learning.system import Moment, System


class Playing(NamedTuple):
    """How games are played and learned from.

    games: at a step, side by side. simulations: of a move. kept: steps whose games are
    learned from. updates: of the net at a step. batch: positions of an update.
    """

    game: Game
    games: int = 64
    simulations: int = 16
    kept: int = 8
    updates: int = 16
    batch: int = 128


def _policy_loss(outputs: Any, batch: Any) -> jax.Array:
    """Cross-entropy of the moves that search preferred, among those that are allowed."""
    logits = jnp.where(batch["legal"], outputs[:, :-1], tree_search.NEVER)
    return optax.softmax_cross_entropy(logits, batch["policy"])


def _value_loss(outputs: Any, batch: Any) -> jax.Array:
    return jnp.square(jnp.tanh(outputs[:, -1]) - batch["result"])


LOSS = Loss(
    "policy_and_value",
    lambda outputs, batch: _policy_loss(outputs, batch) + _value_loss(outputs, batch),
    "Silver et al. 2017, Nature 550:354, equation 1, without the penalty on weights",
    others={"policy_loss": _policy_loss, "value_loss": _value_loss},
)


def net_of(recipe: Recipe, game: Game) -> Net:
    """The net of a recipe that reads a board, and gives log odds of moves and a value."""
    return Net(recipe, Task((2 * game.cells,), game.columns + 1, LOSS))


def outputs_of(net: Net, learner: Any) -> Any:
    """A net as a function of its inputs, with what it has learned."""
    variables = unite(learner.params, learner.stats)
    return lambda x: apply(net.parts.net, variables, x, False)[0]


class Games(NamedTuple):
    """Positions of whole games [plies, games, …], as the player to move saw them.

    policy: of the search. result: what the player to move had in the end. played: the
    game was on, and its random moves were over.
    """

    board: jax.Array
    policy: jax.Array
    result: jax.Array
    played: jax.Array


def games_of(playing: Playing, outputs: Any, key: Any) -> Games:
    """Games that a net plays against itself, both sides by search.

    Each begins with some random moves, of which nothing is learned: without them all
    games of a net that is sure of its moves would be one.
    """
    game, count = playing.game, playing.games
    opinion = tree_search.of_net(outputs)
    key_open, key_play = jax.random.split(key)
    most = game.cells // 4  # random moves of a game
    # Drawn as one row, which XLA compiles sooner.
    luck = jax.random.uniform(key_open, ((most + 1) * count,)).reshape(-1, count)
    opening = jnp.floor(luck[most] * (most + 1)).astype(jnp.int32)
    start = jax.tree.map(
        lambda a: jnp.broadcast_to(a, (count, *a.shape)), connect4.begin(game)
    )

    def one(positions, now):
        ply, key = now
        choice = tree_search.searched(
            game, opinion, positions, key, playing.simulations
        )
        free = tree_search.chosen(positions, luck[jnp.minimum(ply, most)])
        moves = jnp.where(ply < opening, free, choice.moves)
        after, won, _ = tree_search.step(game, positions, moves)
        played = ~positions.over & (ply >= opening)
        return after, (positions.board, choice.policy, won, played)

    now = jnp.arange(game.cells), jax.random.split(key_play, game.cells)
    _, (board, policy, won, played) = jax.lax.scan(one, start, now)

    def back(later, won):
        """A game's result is one side's as it is the other's, turned at each ply."""
        result = won - later
        return result, result

    _, result = jax.lax.scan(back, jnp.zeros(count), won, reverse=True)
    return Games(board, policy, result, played)


def _none(playing: Playing) -> Games:
    """Room for the games of so many steps, none of them played."""
    game = playing.game
    shape = (playing.kept, game.cells, playing.games)

    def none(dtype: Any, *more: int) -> Any:
        # Of the host, and broadcast: it is no program of its own, nor a large constant.
        return np.broadcast_to(np.zeros((), dtype), (*shape, *more))

    return Games(
        none(np.int8, game.rows, game.columns),
        none(np.float32, game.columns),
        none(np.float32),
        none(bool),
    )


def drawn(playing: Playing, kept: Games, key: Any) -> dict[str, jax.Array]:
    """A batch of positions that were played, each as likely, every other one mirrored."""
    # At once, and as one row: XLA takes long to compile each draw of more.
    place, side = jax.random.bits(key, (2 * playing.batch,)).reshape(2, -1)
    flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[3:]), kept)
    up_to = jnp.cumsum(flat.played.astype(jnp.int32))
    wanted = (place % up_to[-1].astype(jnp.uint32)).astype(jnp.int32)
    chosen = jnp.searchsorted(up_to, wanted, side="right")
    some = jax.tree.map(lambda a: a[chosen], flat)
    mirrored = side % 2 == 1
    board = jnp.where(mirrored[:, None, None], some.board[:, :, ::-1], some.board)
    policy = jnp.where(mirrored[:, None], some.policy[:, ::-1], some.policy)
    return batch_of(board, policy, some.result)


def batch_of(board: Any, policy: Any, result: Any) -> dict[str, jax.Array]:
    """What the net learns from, of positions [batch, …] on which no game has ended."""
    positions = Position(board, jnp.zeros(len(board), bool))
    return {
        "inputs": connect4.observe(positions),
        "legal": connect4.legal(positions),
        "policy": policy,
        "result": result,
    }


def begun(playing: Playing, learner: Any) -> dict[str, Any]:
    """A system's tree before the first step, of a fresh learner."""
    return {"net": learner, "kept": _none(playing), "steps": np.int32(0)}


@functools.lru_cache(maxsize=64)
def system(net: Net, playing: Playing) -> System:
    """The system; its hyper is the net's `supervised.Numbers`, and its batches are empty.

    Its tree is {"net": the learner, "kept": the last games, "steps": how often games were
    played}. A step's measures have, beside the loss's, `plies`: those of a game that are
    learned from.
    """
    inner = net.system

    def init(key, hyper):
        return begun(playing, inner.init(key, hyper))

    def step(tree, hyper, batch, moment):
        key_games, key_draw, key_net = jax.random.split(moment.key, 3)
        new = games_of(playing, outputs_of(net, tree["net"]), key_games)
        place = tree["steps"] % playing.kept
        kept = jax.tree.map(lambda all, a: all.at[place].set(a), tree["kept"], new)

        def update(learner, number):
            batch = drawn(playing, kept, jax.random.fold_in(key_draw, number))
            key = jax.random.fold_in(key_net, number)
            # Schedules count the net's own steps.
            now = Moment(moment.step * playing.updates + number, key)
            return inner.step(learner, hyper, batch, now)

        numbers = jnp.arange(playing.updates, dtype=jnp.int32)
        learner, each = jax.lax.scan(update, tree["net"], numbers)
        measures = jax.tree.map(jnp.mean, each)
        measures["plies"] = jnp.sum(new.played) / playing.games
        return {"net": learner, "kept": kept, "steps": tree["steps"] + 1}, measures

    def measure(tree, batch):
        return inner.measure(tree["net"], batch)

    return System(
        init, step, measure, lambda tree, batch: inner.nets(tree["net"], batch)
    )
