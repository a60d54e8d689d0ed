"""Training is a value: arrays in, arrays out, one program for any number of steps.

A run is a State and nothing else. Batch t is a function of the state's key and t, so
there is no iterator to keep, and a run that is stopped and goes on gives the same bits.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from research.architectures.contract import (
    Architecture,
    Tree,
    apply,
    divide,
    unite,
)
from research.architectures.contract import (
    init as draw,
)
from research.catalogues.losses import Task
from research.catalogues.optimizers import Hyper, Optimizer, rate, transformation
from research.catalogues.schedules import Schedule

ONGOING = -1  # State.diverged of a run whose losses are numbers below LARGEST
LARGEST = 1e6  # a saturated net's loss is finite however far its weights have gone


class State(NamedTuple):
    """A training run: all that is needed to go on with it.

    step: [] steps taken. stats: the normalisers' running statistics.
    key: [] batch t, and what is random in step t, come from fold_in(key, t).
    diverged: [] the first step whose loss was not below LARGEST, or ONGOING.
    """

    step: jax.Array
    params: Tree
    opt: Tree
    stats: Tree
    key: jax.Array
    diverged: jax.Array


class Batch(NamedTuple):
    """Examples as the data set keeps them. x: [batch, …]; y: targets [batch, …]."""

    x: Any
    y: Any


class Job(NamedTuple):
    """The static settings of a run: what a change of compiles a new program.

    read: from a batch's x as it is kept to what the net reads: float32 [batch, …].
    augment: (key, x as read) -> x, in training alone.
    dtype: what products are computed in; the state is float32 whatever it is.
    accumulate: parts that a batch is taken in, one after the other, to save memory.
    """

    net: Architecture
    task: Task
    optimizer: Optimizer
    schedule: Schedule
    batch: int
    read: Callable[[jax.Array], jax.Array] = lambda x: x
    augment: Callable[[jax.Array, jax.Array], jax.Array] | None = None
    dtype: Any = jnp.float32
    accumulate: int = 1


class Measures(NamedTuple):
    """Means over a batch. right: the share that is; 0 where there is no right."""

    loss: Any
    right: Any


class Log(NamedTuple):
    """Each step's measures on its own batch, [capacity]; nan beyond the last step."""

    loss: Any
    right: Any


def tied(net: Architecture) -> tuple[bool, ...]:
    """Of each stage, whether its layers share one set of parameters."""
    return tuple(stage.tied for stage in net.stages)


def init(key: jax.Array, job: Job, hyper: Hyper, x: jax.Array) -> State:
    """A run's first state. x: any batch as the data set keeps it."""
    key_net, key_run = jax.random.split(key)
    params, stats = divide(draw(key_net, job.net, job.read(x)))
    opt = transformation(job.optimizer, hyper, tied(job.net)).init(params)
    zero = jnp.zeros((), jnp.int32)
    return State(zero, params, opt, stats, key_run, zero + ONGOING)


def losses(
    job: Job, params: Tree, stats: Tree, batch: Batch, train: bool, key: Any = None
):
    """(Measures of each example [batch], new statistics) of a batch.

    key: for augmentation and dropout, which there is none of without.
    """
    x = job.read(batch.x)
    target = x if job.task.name == "reconstruction" else batch.y
    if key is not None:
        key, key_augment = jax.random.split(key)
        if job.augment is not None:
            x = job.augment(key_augment, x)
    variables = unite(_cast(params, job.dtype), stats)
    outputs, kept = apply(job.net, variables, _cast(x, job.dtype), train, key)
    outputs = _cast(outputs, jnp.float32)
    each = job.task.losses(outputs, target)
    right = jnp.zeros_like(each)
    if job.task.right is not None:
        right = job.task.right(outputs, target)
    return Measures(each, right), _cast(divide(kept)[1], jnp.float32)


def _cast(tree: Tree, dtype: Any) -> Tree:
    """The tree with its floating-point arrays in `dtype`."""

    def cast(a):
        return a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a

    return jax.tree.map(cast, tree)


def gradients(job: Job, params: Tree, stats: Tree, batch: Batch, key: jax.Array):
    """(gradient of the mean loss, (Measures, new statistics)) of a batch."""

    def mean(params, stats, batch, key):
        each, stats = losses(job, params, stats, batch, True, key)
        means = jax.tree.map(jnp.mean, each)
        return means.loss, (means, stats)

    if job.accumulate == 1:
        return jax.grad(mean, has_aux=True)(params, stats, batch, key)
    parts = jax.tree.map(lambda a: a.reshape(job.accumulate, -1, *a.shape[1:]), batch)

    def add(carry, part):
        total, stats = carry
        number, batch = part
        one = jax.random.fold_in(key, number)
        gradient, (means, stats) = jax.grad(mean, has_aux=True)(
            params, stats, batch, one
        )
        return (jax.tree.map(jnp.add, total, gradient), stats), means

    start = (jax.tree.map(jnp.zeros_like, params), stats)
    numbered = (jnp.arange(job.accumulate), parts)
    (total, stats), means = jax.lax.scan(add, start, numbered)
    gradient = jax.tree.map(lambda a: a / job.accumulate, total)
    return gradient, (jax.tree.map(jnp.mean, means), stats)


def keys(state: State) -> jax.Array:
    """The two keys of the state's step: for its batch, and for noise in the net."""
    return jax.random.split(jax.random.fold_in(state.key, state.step))


def step(job: Job, state: State, hyper: Hyper, batch: Batch) -> tuple[State, Measures]:
    """The state after one step on a batch, and the batch's measures before it."""
    _, key = keys(state)
    gradient, (means, stats) = gradients(job, state.params, state.stats, batch, key)
    rule = transformation(job.optimizer, hyper, tied(job.net))
    direction, opt = rule.update(gradient, state.opt, state.params)
    length = rate(job.schedule, hyper, state.step)
    params = jax.tree.map(lambda p, d: p - length * d, state.params, direction)
    bad = (state.diverged == ONGOING) & ~(means.loss < LARGEST)  # nan is not
    diverged = jnp.where(bad, state.step, state.diverged)
    return State(state.step + 1, params, opt, stats, state.key, diverged), means


def places(job: Job, state: State, count: int) -> jax.Array:
    """The numbers [batch] of the step's examples: drawn from `count`, with replacement."""
    key, _ = keys(state)
    return jax.random.randint(key, (job.batch,), 0, count)


def drawn(job: Job, state: State, done: Any, data: Batch) -> Batch:
    """The batch of the state's step, from all examples."""
    chosen = places(job, state, data.y.shape[0])
    return jax.tree.map(lambda a: a[chosen], data)


def given(job: Job, state: State, done: Any, data: Batch) -> Batch:
    """The batch of a call's step `done`, from batches [steps, batch, …] in order."""
    return jax.tree.map(lambda a: a[done], data)


def run(
    job: Job,
    state: State,
    hyper: Hyper,
    data: Batch,
    steps: Any,
    capacity: int,
    batch: Callable[[Job, State, Any, Batch], Batch] = drawn,
) -> tuple[State, Log]:
    """The state `steps` later, and their log. A run that has diverged stops.

    state, hyper: of one run, or of several [runs, …], which are taken side by side
    until the last of them stops. data: all examples, on the device; or, with `given` as
    `batch`, those of each step.
    steps: at most `capacity`; may be traced, so that one program serves any number, and
    a run's bits do not depend on how it is cut up.
    """

    def one(state, hyper, done):
        return step(job, state, hyper, batch(job, state, done, data))

    several = state.step.ndim == 1
    every = jax.vmap(one, in_axes=(0, 0, None)) if several else one
    empty = jnp.full((capacity, *state.step.shape), jnp.nan)

    def goes_on(carry):
        done, state, _ = carry
        return (done < steps) & jnp.any(state.diverged == ONGOING)

    def more(carry):
        done, state, log = carry
        state, means = every(state, hyper, done)
        log = jax.tree.map(lambda a, m: a.at[done].set(m), log, Log(*means))
        return done + 1, state, log

    start = (jnp.zeros((), jnp.int32), state, Log(empty, empty))
    _, state, log = jax.lax.while_loop(goes_on, more, start)
    return state, jax.tree.map(jnp.transpose, log)


def evaluate(job: Job, state: State, data: Batch, at_a_time: int = 512) -> Measures:
    """Means over all examples of a data set, without dropout or augmentation."""
    count = data.y.shape[0]
    size = min(at_a_time, count)
    parts = -(-count // size)

    def part(number):
        # The last part begins early enough to be whole; what it repeats does not count.
        start = jnp.minimum(number * size, count - size)
        batch = jax.tree.map(
            lambda a: jax.lax.dynamic_slice_in_dim(a, start, size), data
        )
        each, _ = losses(job, state.params, state.stats, batch, False)
        new = jnp.arange(size) + start >= number * size
        return jax.tree.map(lambda a: jnp.sum(jnp.where(new, a, 0.0)), each)

    totals = jax.lax.map(part, jnp.arange(parts))
    return jax.tree.map(lambda a: jnp.sum(a) / count, totals)


def mean_loss(job: Job, batch: Batch) -> Callable[[jax.Array], jax.Array]:
    """From outputs to the batch's mean loss: what `probes.signal` asks for."""
    target = job.read(batch.x) if job.task.name == "reconstruction" else batch.y
    return lambda outputs: jnp.mean(job.task.losses(outputs, target))
