"""Seeds × learning rates × variances, trained by one compiled program.

On an accelerator runs are taken side by side (vmap). On a CPU they go one after the
other, in as many threads as there are cores: products of one small net with its own
weights gain nothing from being batched there, and a run is then bit for bit what it is
alone. `benchmarks/training_speed.py` compares these and others. On a mesh of devices
(`research/sharding.py`) runs are taken side by side on either.
"""

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from research.architectures.contract import unite
from research.catalogues.optimizers import Hyper
from research.learning import jobs, sharding, training
from research.learning.jobs import Rules, Setup
from research.learning.training import Batch, Job, Log, Measures, State
from research.signal import probes


class Run(NamedTuple):
    """The traced settings of one run."""

    seed: int
    rules: Rules
    hyper: Hyper


class Trained(NamedTuple):
    """One run's outcome, on the host.

    log: each step's loss and share right on its own batch [steps]; nan after a run has
      diverged. train, test: at the end, of all examples (of the first jobs.EVALUATED to
      train on). diverged: the first step whose loss was not below LARGEST, or None.
    """

    log: Log
    train: Measures
    test: Measures
    diverged: int | None


class Programs(NamedTuple):
    """Compiled on their first call, for one run or, with a leading axis, for several.

    init: (seed, rules, hyper) -> State. advance: (state, hyper, data, steps) ->
    (state, Log [capacity]); the state that is handed in is gone. evaluate: (state,
    data) -> Measures. profile: (state, data) -> `log_gradients`.
    """

    init: Callable
    advance: Callable
    evaluate: Callable
    profile: Callable


def programs(
    setup: Setup,
    capacity: int,
    several: bool = False,
    streamed: bool = False,
    mesh: Any = None,
) -> Programs:
    """The setup's programs. capacity: the most steps of one call of `advance`.

    streamed: `advance` is given the batches of its steps [capacity, batch, …].
    mesh: of devices that the runs and their batches are split over.

    Threads that ask for the same ones share them, and what they compile.
    """
    with _LOCK:
        return _programs(setup, capacity, several, streamed, mesh)


_LOCK = threading.Lock()


@functools.lru_cache(maxsize=64)
def _programs(
    setup: Setup, capacity: int, several: bool, streamed: bool, mesh: Any
) -> Programs:
    job = jobs.job(setup)
    batch = training.given if streamed else training.drawn
    settled, shown = _placed(mesh, several)
    if mesh is not None:  # what the net reads is split, and so is all that it computes
        read = job.read
        job = job._replace(read=lambda x: sharding.split(mesh, read(x)))

    def advance(state, hyper, data, steps):
        state, log = training.run(job, state, hyper, data, steps, capacity, batch)
        return settled(state), shown(log)

    def evaluate(state, data):
        return training.evaluate(job, state, data)

    def profile(state, data):
        return log_gradients(job, state, data)

    over = functools.partial(jax.vmap, in_axes=(0, None)) if several else lambda f: f
    return Programs(
        _init(setup._replace(**UNDRAWN), several, mesh),
        jax.jit(advance, donate_argnums=0),
        jax.jit(lambda state, data: shown(over(evaluate)(state, data))),
        jax.jit(lambda state, data: shown(over(profile)(state, data))),
    )


def _placed(mesh: Any, several: bool) -> tuple[Callable, Callable]:
    """What puts a state in its places, and what gives all of an array to each device."""
    if mesh is None:
        return lambda state: state, lambda tree: tree
    settled = lambda state: sharding.settled(mesh, state, several)
    return settled, functools.partial(sharding.shown, mesh)


# Settings that no fresh state depends on. Nets that differ in nothing else share one
# program for it: drawing is half of what a small net takes to compile.
UNDRAWN = {
    "activation": "linear",
    "schedule": "constant",
    "batch": 1,
    "dtype": "float32",
    "accumulate": 1,
    "augment": (),
}


@functools.lru_cache(maxsize=64)
def _init(setup: Setup, several: bool, mesh: Any) -> Callable:
    example = jobs.example(setup)
    settled, _ = _placed(mesh, several)

    def one(seed, rules, hyper):
        job = jobs.job(setup, rules)
        return training.init(jax.random.key(seed), job, hyper, example)

    init = jax.vmap(one) if several else one
    return jax.jit(lambda *arguments: settled(init(*arguments)))


def log_gradients(job: Job, state: State, batch: Batch) -> tuple[jax.Array, jax.Array]:
    """log10 ‖∂loss/∂h‖ [states] and log10 ‖∂loss/∂θ‖ [layers] of a state on a batch."""
    variables = unite(state.params, state.stats)
    loss = training.mean_loss(job, batch)
    return probes.log_gradients(job.net, variables, job.read(batch.x), loss)


def grouped(runs: Sequence[Run], at_a_time: int, cells: int = 0) -> list[list[Run]]:
    """The runs that are taken in one call: on a CPU one, else up to `at_a_time`.

    cells: where there is a mesh, along how many of its devices runs are split.
    """
    if cells:
        size = max(1, at_a_time // cells) * cells
    else:
        size = 1 if jax.default_backend() == "cpu" else max(1, at_a_time)
    return [list(runs[start : start + size]) for start in range(0, len(runs), size)]


def arguments(runs: Sequence[Run]) -> tuple[Any, Rules, Hyper]:
    """(seeds, rules, hyper) of a group: stacked [runs] where there are several."""
    as_arrays = [
        (np.uint32(run.seed), *jax.tree.map(np.float32, (run.rules, run.hyper)))
        for run in runs
    ]
    if len(runs) == 1:
        return as_arrays[0]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *as_arrays)


def train(
    setup: Setup, runs: Sequence[Run], steps: int, at_a_time: int = 64
) -> list[Trained]:
    """Every run's outcome after `steps`, in order."""
    outcomes = []
    for group in grouped(runs, at_a_time):
        outcomes += _train(setup, group, steps)
    return outcomes


def _train(setup: Setup, group: Sequence[Run], steps: int) -> list[Trained]:
    several = len(group) > 1
    run = programs(setup, steps, several)
    data, test = jobs.batches(setup)
    seeds, rules, hyper = arguments(group)
    state = run.init(seeds, rules, hyper)
    state, log = run.advance(state, hyper, data, np.int32(steps))
    some = jax.tree.map(lambda a: a[: jobs.EVALUATED], data)
    found = (log, run.evaluate(state, some), run.evaluate(state, test), state.diverged)
    found = jax.device_get(found)
    if not several:
        return [_trained(*found)]
    each = [jax.tree.map(lambda a, n=n: a[n], found) for n in range(len(group))]
    return [_trained(*one) for one in each]


def _trained(log: Log, train: Measures, test: Measures, diverged: Any) -> Trained:
    at = None if diverged == training.ONGOING else int(diverged)
    return Trained(log, train, test, at)
