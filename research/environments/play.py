"""Episodes side by side: whole ones to be judged by, and segments to learn from."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from depthbench.research.environments.contract import Environment

# (observations [worlds, observed], key) -> actions [worlds]
Policy = Callable[[Any, Any], Any]


class Worlds(NamedTuple):
    """Episodes under way. state: [worlds, …]. taken: steps [worlds]. total: rewards so
    far [worlds]."""

    state: Any
    taken: jax.Array
    total: jax.Array


class Experience(NamedTuple):
    """What happened in a number of steps [steps, worlds, …].

    before, after: what was observed before and after each step, the latter before a new
    episode begins. ended: the episode is over by its own rules; cut: or by its length.
    total: of an episode that is over, its return, else 0.
    """

    before: jax.Array
    actions: jax.Array
    rewards: jax.Array
    after: jax.Array
    ended: jax.Array
    cut: jax.Array
    total: jax.Array


def begun(environment: Environment, key: Any, count: int) -> Worlds:
    """So many worlds, each at the start of an episode."""
    state = jax.vmap(environment.begin)(jax.random.split(key, count))
    return Worlds(state, jnp.zeros(count, jnp.int32), jnp.zeros(count))


def segment(
    environment: Environment, policy: Policy, worlds: Worlds, key: Any, steps: int
) -> tuple[Worlds, Experience]:
    """(the worlds so many steps later, what happened); where one ends, one begins."""
    count = worlds.taken.shape[0]

    def one(worlds, key):
        key_act, key_begin = jax.random.split(key)
        before = jax.vmap(environment.observe)(worlds.state)
        actions = policy(before, key_act)
        state, rewards, ended = jax.vmap(environment.step)(worlds.state, actions)
        taken, total = worlds.taken + 1, worlds.total + rewards
        over = ended | (taken >= environment.length)
        seen = jax.vmap(environment.observe)(state)
        cut = over & ~ended
        happened = Experience(
            *(before, actions, rewards, seen, ended, cut, jnp.where(over, total, 0.0))
        )
        new = begun(environment, key_begin, count)
        following = jax.tree.map(
            lambda a, b: jnp.where(over.reshape(-1, *[1] * (a.ndim - 1)), a, b),
            new,
            Worlds(state, taken, total),
        )
        return following, happened

    return jax.lax.scan(one, worlds, jax.random.split(key, steps))


class Episodes(NamedTuple):
    """Whole episodes. returns, taken: sums of rewards and steps [count]. first: the states
    of the first one [length, …], which goes on after its end."""

    returns: jax.Array
    taken: jax.Array
    first: Any


def episodes(
    environment: Environment, policy: Policy, key: Any, count: int
) -> Episodes:
    """So many whole episodes, the longest as it may be."""
    key_begin, key_play = jax.random.split(key)
    worlds = begun(environment, key_begin, count)
    alone = jax.tree.map(lambda a: a[0], worlds.state)
    room = lambda a: jnp.zeros((environment.length, *a.shape), a.dtype)

    def goes_on(carry):
        step, _, alive, _ = carry
        return (step < environment.length) & jnp.any(alive)

    def one(carry):
        step, worlds, alive, first = carry
        seen = jax.vmap(environment.observe)(worlds.state)
        actions = policy(seen, jax.random.fold_in(key_play, step))
        state, rewards, ended = jax.vmap(environment.step)(worlds.state, actions)
        first = jax.tree.map(lambda all, a: all.at[step].set(a[0]), first, worlds.state)
        total = worlds.total + jnp.where(alive, rewards, 0.0)
        after = Worlds(state, worlds.taken + alive.astype(jnp.int32), total)
        return step + 1, after, alive & ~ended, first

    start = (jnp.zeros((), jnp.int32), worlds, jnp.ones(count, bool))
    end = jax.lax.while_loop(goes_on, one, (*start, jax.tree.map(room, alone)))
    _, worlds, _, first = end
    return Episodes(worlds.total, worlds.taken, first)
