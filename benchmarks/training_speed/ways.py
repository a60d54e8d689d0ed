"""The ways that `training_speed` times: of running a grid, a loop, probes, checkpoints."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from depthbench.benchmarks.peers import torch_loop, torch_training
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.lazy import lazily
from depthbench.research.machine import host
from depthbench.research.study.declaration import Cell

with lazily():
    import concurrent.futures as futures
    import tempfile

    import jax
    import jax.numpy as jnp
    import numpy as np

    from depthbench.research.catalogues import optimizers
    from depthbench.research.learning import (
        checkpoints,
        examples,
        feed,
        supervised,
        sweeps,
    )
    from depthbench.research.learning import recipe as recipes
    from depthbench.research.learning import system as systems

RATES = (1e-4, 3e-4, 1e-3, 3e-3)
LONGER = {"loop": 25, "probe": 25, "checkpoint": 200}  # a run's steps, beside a grid's
EVERY = 50  # steps between two gradient profiles
SAVED_EVERY = 1.0  # seconds; what a second's saving costs is ten times what ten's does


class TrainingWay(NamedTuple):
    """One way of doing what a question asks; the first of a question is its base.

    absent: why it cannot be run here; "" if it can.
    """

    name: str
    question: str
    source: str
    ready: Callable[["TrainingTask"], Callable[[], Any]]
    absent: Callable[[], str] = lambda: ""


class TrainingTask(NamedTuple):
    """Runs of one net: their programs, states (host copies) and data."""

    recipe: Any  # recipes.Recipe
    runs: list[Any]  # sweeps.Run
    programs: Any
    states: list[Any]
    hypers: list[Any]
    data: Any
    steps: int
    places: np.ndarray  # [runs, steps, batch] example numbers


def task_of(cell: Cell) -> TrainingTask:
    sizes = {name: cell[name] for name in ("depth", "width", "batch")}
    recipe = recipes.Recipe(activation="tanh", **sizes)
    seeds, steps, rates = cell["seeds"], cell["steps"], RATES
    adam = optimizers.OPTIMIZERS["adam"]
    question = WAYS[cell["way"]].question
    if question != "grid":  # one run, and a longer one
        seeds, steps, rates = 1, LONGER[question] * steps, (1e-3,)
    runs = [
        sweeps.Run(
            seed,
            supervised.Numbers(
                supervised.UNIT, adam.hyper(learning_rate=rate, steps=float(steps))
            ),
        )
        for rate in rates
        for seed in range(seeds)
    ]
    programs = sweeps.of_recipe(recipe, steps)
    data, _ = examples.batches(recipe)
    arguments = [sweeps.arguments([run]) for run in runs]
    states = [programs.init(*inputs) for inputs in arguments]
    hypers = [hyper for _, hyper in arguments]
    count = len(data["targets"])

    def numbers(state):
        """The examples of every step of a run, drawn as the run draws them."""

        def at(step):
            key, _ = systems.keys(state._replace(step=step))
            return feed.numbers_drawn(key, recipe.batch, count)

        return jax.vmap(at)(jnp.arange(steps, dtype=jnp.int32))

    every = jax.jit(jax.vmap(numbers))(_stacked(states))
    places = np.asarray(every)
    return TrainingTask(recipe, runs, programs, states, hypers, data, steps, places)


def _stacked(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _fresh(state: Any) -> Any:
    """A copy: what a run is handed it takes for its own."""
    return jax.tree.map(jnp.copy, state)


def _sweep(task: TrainingTask, threads: int) -> Callable[[], Any]:
    """Run after run, in threads: what `sweeps.train` and the runner do on a CPU."""
    pool = futures.ThreadPoolExecutor(threads)
    steps = jax.device_put(np.int32(task.steps))
    hypers = jax.device_put(task.hypers)

    def one(state, hyper):
        with jax.transfer_guard("disallow"):
            run = task.programs.advance(_fresh(state), hyper, task.data, steps)
            return jax.block_until_ready(run)[1]["loss"]

    return lambda: list(pool.map(one, task.states, hypers))


def _together(task: TrainingTask) -> Callable[[], Any]:
    """All runs side by side in one program: what is done on an accelerator."""
    programs = sweeps.of_recipe(task.recipe, task.steps, several=True)
    states = _stacked(task.states)
    hypers = jax.device_put(jax.tree.map(lambda *a: np.stack(a), *task.hypers))
    steps = jax.device_put(np.int32(task.steps))

    def call():
        return programs.advance(_fresh(states), hypers, task.data, steps)[1]["loss"]

    return call


def _torch(task: TrainingTask, threads: int) -> Callable[[], Any]:
    host = jax.device_get([(s.tree.params, s.step) for s in task.states])
    x, y = (np.asarray(task.data[name]) for name in ("inputs", "targets"))
    trainers = [
        torch_training.trainer(params, x, y, float(run.hyper.rule.learning_rate))
        for (params, _), run in zip(host, task.runs, strict=True)
    ]

    def call():
        with jax.transfer_guard("allow"), torch_loop.configured(threads):
            return torch_training.all_of(trainers, task.places)

    return call


def _bare(task: TrainingTask) -> Callable[[], Any]:
    """The jitted step called from Python, its batches drawn and waiting."""
    (state,), (hyper,) = task.states, task.hypers
    step = functools.partial(systems.step, supervised.system(task.recipe))
    step = jax.jit(step, donate_argnums=0)
    hyper = jax.device_put(hyper)
    take = lambda n: jax.tree.map(lambda a: a[task.places[0, n]], task.data)
    batches = [take(n) for n in range(task.steps)]

    def call():
        now = _fresh(state)
        for batch in batches:
            now, means = step(now, hyper, batch)
        return now.tree.params, means

    return call


def _run(
    task: TrainingTask, then: Callable[[Any], Any], every: int
) -> Callable[[], Any]:
    """A compiled run, cut after `every` steps, when `then` is called with the state."""
    (state,), (hyper,) = task.states, task.hypers
    hyper, part = jax.device_put(hyper), jax.device_put(np.int32(every))

    def call():
        now, outcome = _fresh(state), None
        for _ in range(task.steps // every):
            now, log = task.programs.advance(now, hyper, task.data, part)
            outcome = then(now)
        return now.tree.params, log["loss"], outcome

    return call


def _probe(task: TrainingTask) -> Callable[[Any], Any]:
    some = jax.tree.map(lambda a: a[: task.recipe.batch], task.data)
    return lambda state: task.programs.profile(state, some)


def _saved(task: TrainingTask) -> Callable[[], Any]:
    """The run, offered to a store after each of its calls; the last save is waited for."""

    def call():
        with (
            tempfile.TemporaryDirectory() as folder,
            checkpoints.open(folder, SAVED_EVERY) as store,
        ):

            def save(state):
                with jax.transfer_guard("allow"):
                    store.maybe_save(int(state.step), state, {})

            return _run(task, save, _chunk(task))()

    return call


def _unsaved(task: TrainingTask) -> Callable[[], Any]:
    return _run(task, lambda state: None, _chunk(task))


def _chunk(task: TrainingTask) -> int:
    return max(1, task.steps // 40)


def _torch_absent() -> str:
    if jax.default_backend() != "cpu":
        return "the PyTorch way trains on the CPU, and jax does not"
    return torch_loop.absent()


CORES = host.cores()
WAYS: Catalogue[TrainingWay] = Catalogue(
    "way",
    [
        TrainingWay(
            "sweep",
            "grid",
            f"research/learning/sweeps.py: run after run, {CORES} threads",
            functools.partial(_sweep, threads=CORES),
        ),
        TrainingWay(
            "one_thread",
            "grid",
            "the same in one thread",
            functools.partial(_sweep, threads=1),
        ),
        TrainingWay("vmap", "grid", "all runs side by side in one program", _together),
        TrainingWay(
            "torch",
            "grid",
            "PyTorch, run after run, one thread",
            functools.partial(_torch, threads=1),
            _torch_absent,
        ),
        TrainingWay(
            "torch_threads",
            "grid",
            f"PyTorch, run after run, {CORES} threads within an operation",
            functools.partial(_torch, threads=CORES),
            _torch_absent,
        ),
        TrainingWay(
            "bare_step", "loop", "jitted step, called from Python, batches given", _bare
        ),
        TrainingWay(
            "run",
            "loop",
            "loop.run: draws its batches, one call",
            lambda task: _run(task, lambda state: None, task.steps),
        ),
        TrainingWay(
            "unprobed",
            "probe",
            f"loop.run, a call every {EVERY} steps",
            lambda task: _run(task, lambda state: None, EVERY),
        ),
        TrainingWay(
            "probed",
            "probe",
            f"and the gradient of every layer each {EVERY} steps",
            lambda task: _run(task, _probe(task), EVERY),
        ),
        TrainingWay("unsaved", "checkpoint", "loop.run in forty calls", _unsaved),
        TrainingWay(
            "saved", "checkpoint", f"and saved every {SAVED_EVERY:g} s", _saved
        ),
    ],
)
BASE = {way.question: way.name for way in reversed(list(WAYS.values()))}
