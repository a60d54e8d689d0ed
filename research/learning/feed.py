"""What a step is fed: examples in the device's memory or on disk, or whatever is drawn.

A feed is a function of a key and the step, so there is no iterator to keep: a run that
is stopped and resumed is fed the same.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.datasets import Splits, Stream
from depthbench.research.datasets.record import record
from depthbench.research.learning import examples, sharding, system
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.system import Batch, Key, State

PROBED = 64  # examples that a gradient's profile is taken on
READ = 4096  # examples, at most, that are read from disk at once

Feed = Callable[[Key, Any], Batch]  # (key, step) -> the step's batch
# From arrays, which are an argument of the compiled loop and no part of it, and the step
# that a call of it begins at.
Feeds = Callable[[Any, Any], Feed]


def numbers_drawn(key: Key, batch: int, count: int) -> jax.Array:
    """The numbers [batch] of a step's examples: drawn from `count`, with replacement."""
    return jax.random.randint(key, (batch,), 0, count)


@functools.cache
def drawn(batch: int) -> Feeds:
    """Batches drawn from all examples, a dictionary of arrays [examples, …]."""

    def feeds(data: Batch, first: Any) -> Feed:
        count = jax.tree.leaves(data)[0].shape[0]

        def feed(key: Key, step: Any) -> Batch:
            chosen = numbers_drawn(key, batch, count)
            return jax.tree.map(lambda a: a[chosen], data)

        return feed

    return feeds


def whole(data: Any, first: Any) -> Feed:
    """All data at every step: the full batch.

    >>> whole({"inputs": 3}, 0)(None, 7)
    {'inputs': 3}
    """
    return lambda key, step: data


def given(data: Batch, first: Any) -> Feed:
    """The batches of a call's steps [steps, batch, …], in order."""
    return lambda key, step: jax.tree.map(lambda a: a[step - first], data)


def nothing(data: Any, first: Any) -> Feed:
    """Empty batches: of a system that makes itself what it learns from."""
    return lambda key, step: {}


class Source(NamedTuple):
    """What several calls of a compiled loop are fed, and what is measured on.

    feeds: of the loop. capacity: the most steps of one call.
    following: from a state and a number of steps to the arrays that `feeds` is given.
    test: [examples, …]. probe: what nets are probed on. Both are on the device.
    count: of the examples to train on, where there are so many.
    streamed: each run has to read its own.
    data: what a run's folder records of them, as `differs` compares it on a resume.
    notes: lines on what one would not expect of them.
    """

    feeds: Feeds
    capacity: int
    following: Callable[[State, int], Any]
    test: Batch
    probe: Batch
    count: int | None = None
    streamed: bool = False
    data: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()


def source(recipe: Recipe, report_every: int, mesh: Any = None) -> Source:
    """The data of a recipe. Raises DataError where they are not to be had.

    mesh: each of its devices has all of the data that are in memory.
    """
    parts, dataset = examples.splits(recipe), examples.dataset(recipe)
    made = _source(recipe, parts, report_every, mesh)
    data = record(dataset, parts)
    return made._replace(data=data, notes=tuple(examples.notes(dataset, parts, data)))


def _source(recipe: Recipe, parts: Splits, report_every: int, mesh: Any) -> Source:
    train, test = parts
    if isinstance(train, Stream):
        return _streamed(recipe, train, examples.judged(test), report_every, mesh)
    if mesh is None:
        data, tested = examples.batches(recipe)
        probe = jax.tree.map(lambda a: a[:PROBED], data)
    else:
        data = examples.first(train)
        some = {name: array[:PROBED] for name, array in data.items()}
        placed = data, examples.judged(test), some
        data, tested, probe = sharding.put(placed, sharding.place(mesh))
    feeds, following = drawn(recipe.batch), lambda state, count: data
    return Source(feeds, report_every, following, tested, probe, len(train.y))


def _streamed(
    recipe: Recipe, train: Stream, test: Batch, report_every: int, mesh: Any
) -> Source:
    """Batches that are read from disk before each call: those of its steps alone."""
    capacity = max(1, min(report_every, READ // recipe.batch))

    def numbers(state: State) -> jax.Array:
        """Examples [capacity, batch] of a run's next steps."""

        def of(step):
            key, _ = system.keys(state._replace(step=step))
            return numbers_drawn(key, recipe.batch, train.length)

        return jax.vmap(of)(state.step + jnp.arange(capacity, dtype=jnp.int32))

    parts = test, examples.first(train, PROBED)
    if mesh is None:
        tested, probe = jax.device_put(parts)
        drawn = jax.jit(numbers)
    else:
        everywhere = sharding.place(mesh)
        tested, probe = sharding.put(parts, everywhere)
        drawn = jax.jit(numbers, out_shardings=everywhere)

    def following(state: State, count: int) -> Batch:
        chosen = np.asarray(drawn(state))
        wanted = np.unique(chosen[:count])  # read once, in the order they lie on disk
        read = examples.batch_of(*train.read(wanted))
        # Places beyond the steps that are taken are never looked at.
        at = np.minimum(np.searchsorted(wanted, chosen), len(wanted) - 1)
        batch = {name: array[at] for name, array in read.items()}
        if mesh is None:
            return batch
        return sharding.put(batch, sharding.place(mesh, None, sharding.BATCH))

    return Source(given, capacity, following, tested, probe, train.length, True)
