"""Where a training run's batches come from: the device's memory, or the disk."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from research.datasets import Stream
from research.learning import jobs, sharding, training
from research.learning.jobs import Setup
from research.learning.training import Batch, State

PROBED = 64  # examples that a gradient's profile is taken on
READ = 4096  # examples, at most, that are read from disk at once


class Source(NamedTuple):
    """A run's data.

    count: examples to train on. test, probe: what is measured on, on the device.
    data: all examples, on the device; None where they are read from `stream`.
    capacity: the most steps of one call.
    numbers: from a state to the examples [capacity, batch] of its next steps.
    mesh: that all of it is for, if any.
    """

    count: int
    test: Batch
    probe: Batch
    capacity: int
    data: Batch | None = None
    stream: Stream | None = None
    numbers: Callable[[State], Any] | None = None
    mesh: Any = None


def source(setup: Setup, report_every: int, mesh: Any = None) -> Source:
    """The data of a setup. Raises DataError where they are not to be had.

    mesh: each of its devices has all of the data that are in memory.
    """
    train, test = jobs.splits(setup)
    if not isinstance(train, Stream):
        if mesh is None:
            data, test = jobs.batches(setup)
            probe = jax.tree.map(lambda a: a[:PROBED], data)
        else:
            data = Batch(train.x, train.y)
            parts = data, jobs.first(test), Batch(*(a[:PROBED] for a in data))
            data, test, probe = sharding.put(parts, sharding.place(mesh))
        return Source(len(train.y), test, probe, report_every, data, mesh=mesh)
    capacity = max(1, min(report_every, READ // setup.batch))
    job = jobs.job(setup)

    def numbers(state: State) -> jax.Array:
        steps = state.step + jnp.arange(capacity, dtype=jnp.int32)
        own = lambda step: training.places(job, state._replace(step=step), train.length)
        return jax.vmap(own)(steps)

    read = {"stream": train, "mesh": mesh, "numbers": jax.jit(numbers)}
    parts = jobs.first(test), jobs.first(train, PROBED)
    if mesh is None:
        tested, probe = jax.device_put(parts)
    else:
        everywhere = sharding.place(mesh)
        read["numbers"] = jax.jit(numbers, out_shardings=everywhere)
        tested, probe = sharding.put(parts, everywhere)
    return Source(train.length, tested, probe, capacity, **read)


def batches(source: Source, state: State, count: int) -> Batch:
    """What the next `count` steps of a run are fed: all examples, or just theirs."""
    if source.data is not None:
        return source.data
    assert source.stream is not None and source.numbers is not None
    chosen = np.asarray(source.numbers(state))
    wanted = np.unique(chosen[:count])  # read once, in the order they lie on disk
    x, y = source.stream.read(wanted)
    # Places beyond the steps that are taken are never looked at.
    places = np.minimum(np.searchsorted(wanted, chosen), len(wanted) - 1)
    batch = Batch(x[places], y[places])
    if source.mesh is None:
        return batch
    return sharding.put(batch, sharding.place(source.mesh, None, sharding.BATCH))
