"""The loop of training: one compiled program for any number of steps of any system.

A run is a State and nothing else, and a batch is a function of its key and step: a run
that is stopped and resumed gives the same bits.
"""

from typing import Any

import jax
import jax.numpy as jnp

from depthbench.research.learning import system as systems
from depthbench.research.learning.feed import Feeds
from depthbench.research.learning.system import Batch, Hyper, State, System
from depthbench.research.signal import probes

Log = dict[str, Any]  # each step's measures [capacity]; nan beyond the last step
Measures = dict[str, Any]  # means over examples


def run(
    system: System,
    feeds: Feeds,
    state: State,
    hyper: Hyper,
    data: Any,
    steps: Any,
    capacity: int,
) -> tuple[State, Log]:
    """The state `steps` later, and their log. A run of which no
    number is left stops.

    state, hyper: of one run, or of several [runs, …], which are taken side by side
    until the last of them stops. data: what `feeds` makes batches from.
    steps: at most `capacity`; may be traced, so that one program serves any number, and
    a run's bits do not depend on how it is cut up.
    """

    def one(state, hyper, data, first):
        key, _ = systems.keys(state)
        batch = feeds(data, first)(key, state.step)
        return systems.step(system, state, hyper, batch)

    several = state.step.ndim == 1
    # Traced once, for the log's names and for the loop, and no call of its own there.
    every = jax.jit(
        jax.vmap(one, in_axes=(0, 0, None, 0)) if several else one, inline=True
    )
    first = state.step
    _, measures = jax.eval_shape(every, state, hyper, data, first)
    empty = {
        name: jnp.full((capacity, *state.step.shape), jnp.nan) for name in measures
    }

    def goes_on(carry):
        done, state, _ = carry
        return (done < steps) & jnp.any(state.diverged < 0)

    def more(carry):
        done, state, log = carry
        state, measures = every(state, hyper, data, first)
        log = {name: log[name].at[done].set(measures[name]) for name in log}
        return done + 1, state, log

    start = (jnp.zeros((), jnp.int32), state, empty)
    _, state, log = jax.lax.while_loop(goes_on, more, start)
    return state, jax.tree.map(jnp.transpose, log)


def evaluate(
    system: System, state: State, data: Batch, at_a_time: int = 512
) -> Measures:
    """Means over all examples of a data set, [examples, …]."""
    count = jax.tree.leaves(data)[0].shape[0]
    size = min(at_a_time, count)
    parts = -(-count // size)

    def part(number):
        # The last part begins early enough to be whole; what it repeats does not count.
        start = jnp.minimum(number * size, count - size)
        batch = jax.tree.map(
            lambda a: jax.lax.dynamic_slice_in_dim(a, start, size), data
        )
        each = system.measure(state.tree, batch)
        new = jnp.arange(size) + start >= number * size
        return jax.tree.map(lambda a: jnp.sum(jnp.where(new, a, 0.0)), each)

    totals = jax.lax.map(part, jnp.arange(parts))
    return jax.tree.map(lambda a: jnp.sum(a) / count, totals)


def log_gradients(
    system: System, state: State, batch: Batch
) -> dict[str, tuple[jax.Array, jax.Array]]:
    """Of each net, by name: log10 ‖∂loss/∂h‖ [states] and log10 ‖∂loss/∂θ‖ [layers]."""
    nets = system.nets(state.tree, batch)
    return {name: probes.log_gradients(*net) for name, net in nets.items()}
