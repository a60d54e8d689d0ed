"""Random search of linear policies: the action whose product with what is seen is largest.

Mania, Guy & Recht 2018, arXiv:1803.07055, found by search, without any gradient, static
linear policies that are as good as what policy gradients find; here policies are drawn
and not walked to.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.environments.contract import Environment
from depthbench.research.environments.play import Episodes, episodes

FINALISTS = 10  # of those that did best in one episode; further episodes choose


def policies(environment: Environment, key: Any, count: int) -> jax.Array:
    """[count, observed, actions], standard normal; the first of more are the same."""
    shape = (environment.observed, environment.actions)
    one = lambda number: jax.random.normal(jax.random.fold_in(key, number), shape)
    return jax.vmap(one)(jnp.arange(count))


def linear(weights: jax.Array) -> Any:
    """The policy of weights [observed, actions], as `play.returns` takes it."""
    return lambda seen, key: jnp.argmax(seen @ weights, axis=-1)


@functools.partial(jax.jit, static_argnums=(0, 3))
def _played(environment, weights, key, count):
    """Each policy's Episodes [policies, …]; all play the same ones."""

    def one(weights):
        return episodes(environment, linear(weights), key, count)

    return jax.vmap(one)(weights)


@functools.partial(jax.jit, static_argnums=0)
def _tried(environment, weights, keys):
    """(each policy's return in an episode of its own, its steps) [policies]."""

    def one(weights, key):
        played = episodes(environment, linear(weights), key, 1)
        return played.returns[0], played.taken[0]

    return jax.vmap(one)(weights, keys)


@functools.lru_cache(maxsize=64)
def _search(environment: Environment, seed: int, count: int) -> tuple[Any, Any, Any]:
    """(the first policies drawn from a seed, what each reached in its one episode, the
    steps of it)."""
    key_draw, key_play = jax.random.split(jax.random.key(seed))
    drawn = policies(environment, key_draw, count)
    keys = jax.vmap(lambda n: jax.random.fold_in(key_play, n))(jnp.arange(count))
    return (drawn, *map(np.asarray, _tried(environment, drawn, keys)))


def best(
    environment: Environment,
    seed: int,
    steps: int,
    valid: Any,
    count: int,
    most: int,
) -> tuple[Any, int]:
    """(the best weights of those drawn, how many were drawn).

    steps: that they may play, an episode each; the first is drawn in any case. valid: the
    key of `count` further episodes, which choose among FINALISTS. most: policies that are
    drawn at all, whatever the steps; one program serves any number up to it.
    """
    weights, reached, taken = _search(environment, seed, most)
    drawn = max(1, int(np.searchsorted(np.cumsum(taken), steps, side="right")))
    first = np.argsort(-reached[:drawn], kind="stable")[:FINALISTS]
    found = _played(environment, weights[first], valid, count).returns
    mean = np.asarray(found).mean(axis=1)
    return weights[first[mean.argmax()]], drawn


def played(environment: Environment, weights: Any, key: Any, count: int) -> Episodes:
    """So many episodes by a policy, on the host."""
    alike = jnp.tile(jnp.asarray(weights)[None], (FINALISTS, 1, 1))  # one program
    found = jax.device_get(_played(environment, alike, key, count))
    return jax.tree.map(lambda a: a[0], found)
