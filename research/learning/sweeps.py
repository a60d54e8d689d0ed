"""Seeds × hyperparameters of any system, trained by one compiled program.

On an accelerator runs are taken side by side (vmap). On a CPU they go one after the
other, in as many threads as there are cores: products of one small net with its own
weights gain nothing from being batched there, and a run is then bit for bit what it is
alone. `benchmarks/training_speed` compares these and others. On a mesh of devices
(`research/learning/sharding.py`) runs are taken side by side on either.
"""

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from depthbench.research.architectures.contract import Tree
from depthbench.research.datasets import DataError
from depthbench.research.learning import examples, feed, loop, sharding, supervised
from depthbench.research.learning import system as systems
from depthbench.research.learning.feed import Feeds
from depthbench.research.learning.loop import Log, Measures
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.system import (
    ONGOING,
    Arrangement,
    Batch,
    Hyper,
    State,
    System,
)
from depthbench.research.machine import compiled
from depthbench.research.machine.piecewise import piecewise


class Run(NamedTuple):
    """The traced settings of one run. hyper: the system's, a pytree of numbers."""

    seed: int
    hyper: Hyper


class Problem(NamedTuple):
    """A system, and what it is trained and tested on.

    data: what `feeds` makes batches from. train, test: examples [examples, …] that it is
    measured on at the end.
    """

    system: System
    feeds: Feeds
    data: Any
    train: Batch
    test: Batch


class Trained(NamedTuple):
    """One run's outcome, on the host.

    log: each step's measures on its own batch [steps]; nan after a run is lost.
    train, test: means at the end, of the problem's examples. diverged: the step since
      which the watched measure has not been below LARGEST, or None.
    """

    log: Log
    train: Measures
    test: Measures
    diverged: int | None


class Programs(NamedTuple):
    """Compiled on their first call, for one run or, with a leading axis, for several.

    init: (seed, hyper) -> State. opened: State -> it in the system's `form`, which the
    others take; closed: back. advance: (state, hyper, data, steps) -> (state,
    Log [capacity]). evaluate: (state, data) -> Measures. profile: (state, data) ->
    `loop.log_gradients`. A state that is advanced is gone.
    """

    init: Callable
    opened: Callable
    closed: Callable
    advance: Callable
    evaluate: Callable
    profile: Callable


def programs(
    system: System,
    feeds: Feeds,
    capacity: int,
    several: bool = False,
    mesh: Any = None,
) -> Programs:
    """The system's programs. capacity: the most steps of one call of `advance`.

    mesh: of devices that the runs and their batches are split over.

    Threads that ask for the same ones share them, and what they compile.
    """
    with _LOCK:
        return _programs(system, feeds, capacity, several, mesh)


_LOCK = threading.Lock()


def of_recipe(
    recipe: Recipe, capacity: int, several: bool = False, mesh: Any = None
) -> Programs:
    """The programs of supervised learning, whose batches are drawn from all examples."""
    system = supervised.system(recipe, mesh)
    return programs(system, feed.drawn(recipe.batch), capacity, several, mesh)


@functools.lru_cache(maxsize=64)
def _programs(
    system: System, feeds: Feeds, capacity: int, several: bool, mesh: Any
) -> Programs:
    settled, shown = _placed(mesh, several)
    split = _split(system, mesh)
    opened, closed = _reformed(system.form, several, settled)

    def advance(state, hyper, data, steps):
        state, log = loop.run(split, feeds, state, hyper, data, steps, capacity)
        return settled(state), shown(log)

    def evaluate(state, data):
        each = lambda one: loop.evaluate(split, _with(system.form.closed, one), data)
        return shown(jax.vmap(each)(state) if several else each(state))

    def profile(state, data):
        closed = lambda one: _with(system.form.closed, one)
        each = lambda one: loop.log_gradients(split, closed(one), data)
        return shown(jax.vmap(each)(state) if several else each(state))

    return Programs(
        _init(system.init, several, mesh),
        opened,
        closed,
        jax.jit(advance, donate_argnums=0),
        jax.jit(evaluate),
        jax.jit(profile, compiler_options=compiled.lightly(0)),
    )


def _placed(mesh: Any, several: bool) -> tuple[Callable, Callable]:
    """What puts a state in its places, and what gives all of an array to each device."""
    if mesh is None:
        return lambda state: state, lambda tree: tree
    settled = lambda state: sharding.settled(mesh, state, several)
    return settled, functools.partial(sharding.shown, mesh)


def _reformed(
    form: Arrangement, several: bool, settled: Callable
) -> tuple[Callable, Callable]:
    """What opens a state, and what closes it: copies, where they lie in another form."""
    if form.opened is Arrangement().opened:
        return (lambda state: state,) * 2

    def change(tree_of: Callable) -> Callable:
        one = functools.partial(_with, tree_of)
        return lambda state: settled((jax.vmap(one) if several else one)(state))

    return jax.jit(change(form.opened)), jax.jit(change(form.closed))


def _with(tree_of: Callable, state: State) -> State:
    return state._replace(tree=tree_of(state.tree))


def _split(system: System, mesh: Any) -> System:
    """The system, whose batches are split over a mesh, and so is all that it computes."""
    if mesh is None:
        return system
    step, measure, nets = system.step, system.measure, system.nets
    split = functools.partial(sharding.split, mesh)
    return system._replace(
        step=lambda tree, hyper, batch, now: step(tree, hyper, split(batch), now),
        measure=lambda tree, batch: measure(tree, split(batch)),
        nets=lambda tree, batch: nets(tree, split(batch)),
    )


@functools.lru_cache(maxsize=64)
def _init(begin: Callable, several: bool, mesh: Any) -> Callable:
    """Systems that begin by the same function share the program that does it.

    On a CPU one run's is taken piecewise: it is over before it would be compiled.
    """
    settled, _ = _placed(mesh, several)

    def one(seed, hyper):
        key_tree, key_run = jax.random.split(jax.random.key(seed))
        return systems.start(begin(key_tree, hyper), key_run)

    def init(seed, hyper):
        return settled((jax.vmap(one) if several else one)(seed, hyper))

    if jax.default_backend() == "cpu" and not several and mesh is None:
        return piecewise(init)
    return jax.jit(init, compiler_options=compiled.lightly())


def grouped(runs: Sequence[Run], at_a_time: int, cells: int = 0) -> list[list[Run]]:
    """The runs that are taken in one call: on a CPU one, else up to `at_a_time`.

    cells: where there is a mesh, along how many of its devices runs are split.
    """
    if cells:
        size = max(1, at_a_time // cells) * cells
    else:
        size = 1 if jax.default_backend() == "cpu" else max(1, at_a_time)
    return [list(runs[start : start + size]) for start in range(0, len(runs), size)]


def arguments(runs: Sequence[Run]) -> tuple[Any, Hyper]:
    """(seeds, hyper) of a group: stacked [runs] where there are several."""
    as_arrays = [
        (np.uint32(run.seed), jax.tree.map(np.float32, run.hyper)) for run in runs
    ]
    if len(runs) == 1:
        return as_arrays[0]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *as_arrays)


def problem(recipe: Recipe) -> Problem:
    """The recipe's net on its data set; of a large training set a part is measured on.

    Raises DataError.
    """
    data, test = examples.batches(recipe)
    some = jax.tree.map(lambda a: a[: examples.EVALUATED], data)
    feeds = feed.drawn(recipe.batch)
    return Problem(supervised.system(recipe), feeds, data, some, test)


def size(part: Batch) -> int:
    """How many examples a part of a problem has."""
    return len(jax.tree.leaves(part)[0])


def train(
    problem: Problem, runs: Sequence[Run], steps: int, at_a_time: int = 64
) -> list[Trained]:
    """Every run's outcome after `steps`, in order.

    Raises DataError where what it is measured on are no arrays of numbers.
    """
    for part in (problem.train, problem.test):
        examples.check(part)
    outcomes = []
    for group in grouped(runs, at_a_time):
        outcomes += _train(problem, group, steps)
    return outcomes


def _train(problem: Problem, group: Sequence[Run], steps: int) -> list[Trained]:
    several = len(group) > 1
    run = programs(problem.system, problem.feeds, steps, several)
    seeds, hyper = arguments(group)
    state = run.opened(run.init(seeds, hyper))
    state, log = run.advance(state, hyper, problem.data, np.int32(steps))
    ends = [run.evaluate(state, part) for part in (problem.train, problem.test)]
    results = jax.device_get((log, *ends, systems.diverged_at(state.diverged)))
    return [Trained(*ends, stopped(step)) for *ends, step in _each(results, group)]


class Ended(NamedTuple):
    """A run after its last step. state: on the device, as it is drawn and kept.

    log: each step's measures [steps], on the host. diverged: as of `Trained`.
    """

    state: State
    log: Log
    diverged: int | None


def ended(
    problem: Problem,
    runs: Sequence[Run],
    steps: int,
    starts: Sequence[Tree] | None = None,
    at_a_time: int = 64,
    capacity: int = 0,
) -> list[Ended]:
    """Every run's last state, in order: what it has learned is there to be asked.

    starts: a tree for each run to begin from, such as a pretrained one; fresh without.
    capacity: the steps of a longer call, whose program these share.
    Raises DataError where there is not one for each run.
    """
    if starts is not None and len(starts) != len(runs):
        raise DataError(f"{len(starts)} starts for {len(runs)} runs; must be as many")
    trees = dict(zip(map(id, runs), starts or (), strict=False))
    outcomes = []
    for group in grouped(runs, at_a_time):
        begin = [trees[id(one)] for one in group] if starts else None
        outcomes += _ended(problem, group, steps, begin, max(steps, capacity))
    return outcomes


def _ended(
    problem: Problem,
    group: Sequence[Run],
    steps: int,
    starts: Sequence[Tree] | None,
    capacity: int,
) -> list[Ended]:
    several = len(group) > 1
    run = programs(problem.system, problem.feeds, capacity, several)
    seeds, hyper = arguments(group)
    if starts is None:
        state = run.init(seeds, hyper)
    else:
        tree = starts[0] if len(starts) == 1 else jax.tree.map(_stacked, *starts)
        state = _begun(several)(seeds, tree)
    state, log = run.advance(run.opened(state), hyper, problem.data, np.int32(steps))
    state = run.closed(state)
    log, diverged = jax.device_get((log, systems.diverged_at(state.diverged)))
    each = _each((state, log, diverged), group)
    return [
        Ended(state, {name: a[:steps] for name, a in log.items()}, stopped(step))
        for state, log, step in each
    ]


def _stacked(*leaves: Any) -> Any:
    return jax.numpy.stack(leaves)


@functools.cache
def _begun(several: bool) -> Callable[[Any, Tree], State]:
    """(seed, tree) -> a first state, copied: what is advanced is gone."""

    def one(seed, tree):
        _, key_run = jax.random.split(jax.random.key(seed))
        return systems.start(tree, key_run)

    return jax.jit(jax.vmap(one) if several else one)


def _each(results: Any, group: Sequence[Run]) -> list[Any]:
    """Each run's results: of several, those along the leading axis."""
    if len(group) == 1:
        return [results]
    return [jax.tree.map(lambda a, n=n: a[n], results) for n in range(len(group))]


def stopped(diverged: Any) -> int | None:
    """The step since which a run has diverged, or None. diverged: of `diverged_at`."""
    return None if diverged == ONGOING else int(diverged)
