"""What can be trained: a pytree of arrays, and pure functions that begin and step it.

A system is a net with its loss and optimizer, two nets that play against each other, a
sampler: the loop, sweeps, checkpoints and probes see the functions below and no more.
`docs/systems.md` has one with two nets.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from depthbench.research.architectures.contract import Architecture, Tree, Variables

Key = jax.Array  # [] typed
Hyper = Any  # a pytree of numbers, which may be traced
Batch = Mapping[str, Any]  # arrays [batch, …]: inputs, targets, mask, lengths, …

ONGOING = -1  # `diverged_at` of a run whose watched measure is below LARGEST
LARGEST = 1e6  # a saturated net's loss is finite however far its weights have gone


class Probed(NamedTuple):
    """A net as `probes` takes it. loss: from its outputs to a number."""

    net: Architecture
    variables: Variables
    x: Tree
    loss: Callable[[Any], jax.Array]


class Moment(NamedTuple):
    """When a step is taken. step: [] those before it, for schedules and turns. key: [] for
    what is random in it."""

    step: jax.Array
    key: Key


def _same(tree: Tree) -> Tree:
    return tree


class Arrangement(NamedTuple):
    """How a tree lies while steps are taken, where that is not how it is drawn and kept.

    name: what it is called. opened: the same numbers as steps take them. closed: back.
    """

    name: str = ""
    opened: Callable[[Tree], Tree] = _same
    closed: Callable[[Tree], Tree] = _same


class System(NamedTuple):
    """Pure functions on a tree of arrays; equal functions share compiled programs.

    init: (key, hyper) -> a fresh tree.
    step: (tree, hyper, batch, moment) -> (the tree after a step, measures of it: numbers
      by name).
    measure: (tree, batch) -> measures of each example [batch], by name, without noise.
    nets: (tree, batch) -> what can be probed, by name.
    watch: the measure of a step that says whether a run has diverged.
    form: that of the tree which `step` takes and returns; the others see it closed.
    """

    init: Callable[[Key, Hyper], Tree]
    step: Callable[[Tree, Hyper, Batch, Moment], tuple[Tree, dict[str, jax.Array]]]
    measure: Callable[[Tree, Batch], dict[str, jax.Array]]
    nets: Callable[[Tree, Batch], dict[str, Probed]] = lambda tree, batch: {}
    watch: str = "loss"
    form: Arrangement = Arrangement()


class State(NamedTuple):
    """A training run: all that is needed to resume it.

    step: [] steps taken. tree: the system's.
    key: [] batch t, and what is random in step t, come from fold_in(key, t).
    diverged: [] ONGOING as long as the watched measure is below LARGEST; −2 − t where it
      has been above since step t, from where it may come back; t where it is then
      infinite or no number, from where nothing does. See `diverged_at`.
    """

    step: jax.Array
    tree: Tree
    key: jax.Array
    diverged: jax.Array


def init(key: Key, system: System, hyper: Hyper) -> State:
    """A run's first state."""
    key_tree, key_run = jax.random.split(key)
    return start(system.init(key_tree, hyper), key_run)


def start(tree: Tree, key: Key) -> State:
    """A run's first state from a given tree: of another run, say. key: the run's."""
    zero = jnp.zeros((), jnp.int32)
    return State(zero, tree, key, zero + ONGOING)


def keys(state: State) -> jax.Array:
    """The two keys of the state's step: for its batch, and for what is random in it."""
    return jax.random.split(jax.random.fold_in(state.key, state.step))


def step(
    system: System, state: State, hyper: Hyper, batch: Batch
) -> tuple[State, dict[str, jax.Array]]:
    """The state after one step on a batch, and the step's measures."""
    _, key = keys(state)
    tree, measures = system.step(state.tree, hyper, batch, Moment(state.step, key))
    diverged = _course(state, measures[system.watch])
    return State(state.step + 1, tree, state.key, diverged), measures


def _course(state: State, watched: jax.Array) -> jax.Array:
    """State.diverged after a step with this watched measure."""
    since = jnp.where(
        state.diverged == ONGOING, state.step, diverged_at(state.diverged)
    )
    astray = jnp.where(watched < LARGEST, ONGOING, -2 - since)  # nan is not below
    return jnp.where(
        state.diverged >= 0,
        state.diverged,
        jnp.where(jnp.isfinite(watched), astray, since),
    )


def diverged_at(diverged: jax.Array) -> jax.Array:
    """The step since which a run has diverged, or ONGOING. diverged: that of a State."""
    return jnp.where(diverged < ONGOING, -2 - diverged, diverged)
