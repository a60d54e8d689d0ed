"""Trained nets as values: their outputs, hidden states and parameters; the best of a grid.

>>> import numpy as np
>>> from depthbench.research.learning.recipe import Recipe
>>> x = np.eye(4, dtype=np.float32)
>>> data = {"inputs": x, "targets": np.arange(4, dtype=np.int32)}
>>> net = Net(Recipe(depth=2, width=16, batch=4, learning_rate=1e-2), Task((4,), 4))
>>> (fit,) = train(net, data, steps=50, rates=(1e-2,), seeds=1)
>>> fit.outputs(x).argmax(axis=1)
array([0, 1, 2, 3])
>>> [state.shape for state in fit.states(x)]  # before the first layer, after each
[(4, 16), (4, 16), (4, 16)]
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.architectures import contract, walk
from depthbench.research.architectures.contract import Variables
from depthbench.research.learning import feed, selection, supervised, sweeps, training
from depthbench.research.learning.outcomes import at_end as at_end
from depthbench.research.learning.outcomes import chosen_by as chosen_by
from depthbench.research.learning.outcomes import falls as falls
from depthbench.research.learning.outcomes import held as held
from depthbench.research.learning.outcomes import of_logs as of_logs
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.selection import By, Outcome, half
from depthbench.research.learning.supervised import Components, Learner, Task
from depthbench.research.learning.sweeps import Problem, Run
from depthbench.research.learning.system import Batch, System, start, step
from depthbench.research.machine import operations
from depthbench.research.signal.profiles import finite_mean as finite_mean

AT_A_TIME = 512  # examples that a net is asked about in one call


class Net(NamedTuple):
    """A net that can be built and trained: its recipe, and the task it is given."""

    recipe: Recipe
    task: Task

    @property
    def parts(self) -> Components:
        return _parts(self.recipe.program, self.task)

    @property
    def system(self) -> System:
        """Supervised learning of the net, by the recipe's update rule."""
        return supervised.system(self.recipe, task=self.task)


@functools.lru_cache(maxsize=256)
def _parts(recipe: Recipe, task: Task) -> Components:
    # Kept, so no part may be of a program that is being traced when it is first asked for.
    with jax.ensure_compile_time_eval():
        return supervised.parts(recipe, task=task)


class FittedNet(NamedTuple):
    """A net with its variables, trained or not, as a value.

    log: each step's measures [steps]; empty of a net that was not trained. diverged: the
    step since which its loss has been beyond all bounds, or None. rate: it was trained at.
    """

    net: Net
    variables: Variables
    log: Mapping[str, Any] = MappingProxyType({})
    diverged: int | None = None
    seed: int = 0
    rate: float | None = None

    def outputs(self, x: Any) -> np.ndarray:
        """[examples, outputs] of inputs [examples, …], as the net is when it is judged."""
        return in_parts(_outputs(self.net), self.variables, x)

    def states(self, x: Any) -> list[np.ndarray]:
        """What the first layer reads and what each returns, [examples, …] each."""
        return in_parts(states_of(self.net), self.variables, x)

    def accuracy(self, x: Any, y: Any) -> float:
        """The share of examples whose largest output is their label's."""
        return float(np.mean(self.outputs(x).argmax(axis=-1) == np.asarray(y)))

    def learner(self, numbers: supervised.Numbers) -> Learner:
        """The start of a further training, by the update rule of the numbers given."""
        return supervised.learner(self.net.parts, self.variables, numbers.rule)


def in_parts(function: Callable, variables: Any, x: Any) -> Any:
    """function(variables, x [examples, …]), so many at a time; on the host.

    The last part repeats its last example: one program serves any number.
    """
    count, x = len(x), np.asarray(x)
    size = min(AT_A_TIME, count)
    pieces = []
    for first in range(0, count, size):
        part = x[first : first + size]
        real = len(part)
        padded = np.concatenate([part, np.repeat(part[-1:], size - real, axis=0)])
        piece = jax.device_get(function(variables, padded))
        pieces.append(jax.tree.map(lambda a, n=real: a[:n], piece))
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *pieces)


@functools.lru_cache(maxsize=256)
def _outputs(net: Net) -> Callable:
    parts = net.parts

    @jax.jit
    def outputs(variables, x):
        return contract.apply(parts.net, variables, parts.read(x), train=False)[0]

    return outputs


@functools.lru_cache(maxsize=256)
def states_of(net: Net) -> Callable:
    """What FittedNet.states asks, (variables, x) -> states: jitted, of which a gradient
    can be taken."""
    parts = net.parts

    @jax.jit
    def states(variables, x):
        links = contract.links(parts.net, variables, train=False)
        layers, h, _ = walk.begin(links, parts.read(x))
        every = []
        for link in layers:
            h, before = walk.through(link, h)
            every += [before[n] for n in range(link.repeats or 1)]
        return [*every, h]

    return states


def numbers(net: Net, rate: float, steps: int) -> supervised.Numbers:
    """What a run of the net's recipe has of numbers, at a learning rate."""
    settings = {**vars(net.recipe), "learning_rate": rate, "steps": steps}
    return training.numbers_of(settings)


def fresh(net: Net, seed: int = 0) -> FittedNet:
    """The net of a seed, before any training: that which `train` begins with."""
    hyper = numbers(net, 0.0, 1)
    init = sweeps.programs(net.system, feed.drawn(net.recipe.batch), 1).init
    state = init(*sweeps.arguments([Run(seed, hyper)]))
    return of_state(net, state)


def of_state(net: Net, state: Any, **more: Any) -> FittedNet:
    """A net with what a state of supervised learning has learned."""
    tree = state.tree
    return FittedNet(net, contract.unite(tree.params, tree.stats), **more)


def train(
    net: Net,
    data: Batch,
    steps: int,
    rates: Sequence[float],
    seeds: int | Sequence[int],
    starts: Sequence[FittedNet] | None = None,
    system: System | None = None,
    feeds: feed.Feeds | None = None,
    capacity: int = 0,
) -> list[FittedNet]:
    """The net after so many steps on the data, for each rate its seeds, in order.

    data: inputs and targets [examples, …], and whatever else the system's batches have.
    starts: a trained net for each seed to go on from. system: another than the net's
    own, with the same tree: another objective, or another gradient. feeds: batches from
    the data; drawn from all examples unless given. capacity: as of `sweeps.ended`.
    """
    numbered = range(seeds) if isinstance(seeds, int) else seeds
    pairs = [(rate, seed) for rate in rates for seed in numbered]
    runs = [Run(seed, numbers(net, rate, steps)) for rate, seed in pairs]
    trees = None
    if starts is not None:
        by_seed = dict(zip(numbered, starts, strict=True))
        trees = [by_seed[run.seed].learner(run.hyper) for run in runs]
    feeds = feeds or feed.drawn(net.recipe.batch)
    problem = Problem(system or net.system, feeds, data, {}, {})
    done = sweeps.ended(problem, runs, steps, trees, capacity=capacity)
    return [
        of_state(net, one.state, log=one.log, diverged=one.diverged, seed=s, rate=rate)
        for one, (rate, s) in zip(done, pairs, strict=True)
    ]


# ------------------------------------------------------------------ the best of a grid


class Tuned(NamedTuple):
    """The runs of the best setting of a grid, and whether the grid and steps were enough.

    setting: the best, such as a learning rate. runs: its own, one for each seed.
    at_edge: of what was tried. unfinished: still learning when the steps ended; None of
    players without a common loss, of whom it is not known. tried: the outcome at each
    setting. sooner: what chose the best, after half the steps.
    """

    setting: float
    runs: list[Any]
    at_edge: bool
    unfinished: bool | None
    tried: Mapping[float, Outcome]
    sooner: float | None = None


def tuned(
    train: Callable[[Sequence[float]], Sequence[Sequence[Any]]],
    grid: Sequence[float],
    by: By = "loss",
    outcome: Callable[[Sequence[Any]], Outcome] | None = None,
    *,
    most: int,
    sooner: Callable[[float], Sequence[Any]] | None = None,
) -> Tuned:
    """The runs of the grid's best setting, by training or validation, never by a test.

    train: from settings to the runs of each, one for each seed. outcome: of a setting's
    runs; by default that of their logs. The grid is made wider at an end where the best
    is, by up to `most` settings: see `selection.beyond`. sooner: from a setting to runs of
    half the steps, which `ByRate` has of its own. Without, training that still fell at
    the end is unfinished, of which a schedule's decay to 0 leaves nothing to be seen.
    """
    outcome = outcome or of_logs
    if isinstance(train, ByRate):
        sooner = sooner or train.sooner
    runs: dict[float, Sequence[Any]] = {}
    wanted = list(grid)
    while wanted:
        runs |= dict(zip(wanted, train(wanted), strict=True))
        settings = sorted(runs)
        outcomes = [outcome(runs[setting]) for setting in settings]
        further = selection.beyond(grid, settings, outcomes, by, most)
        wanted = [] if further is None else [further]
    place = selection.best(outcomes, by)
    chosen = list(runs[settings[place]])
    before = outcome(sooner(settings[place])) if sooner else None
    best = outcomes[place]
    late = selection.gained(before, best, by) if before else falls(chosen, by, best)
    return Tuned(
        settings[place],
        chosen,
        selection.at_edge(settings, outcomes, by),
        late,
        dict(zip(settings, outcomes, strict=True)),
        selection.number(before, by) if before else None,
    )


class ByRate(NamedTuple):
    """What `tuned` trains by: learning rates of a net. more: as of `train`."""

    net: Net
    data: Batch
    steps: int
    seeds: int
    more: Mapping[str, Any]

    def __call__(self, rates: Sequence[float]) -> list[list[FittedNet]]:
        """The runs of each rate."""
        fits = train(self.net, self.data, self.steps, rates, self.seeds, **self.more)
        return [fits[n * self.seeds :][: self.seeds] for n in range(len(rates))]

    def sooner(self, rate: float) -> list[FittedNet]:
        """The runs of a rate by half the steps."""
        return halved(self.net, self.data, self.steps, rate, self.seeds, **self.more)


def by_rate(net: Net, data: Batch, steps: int, seeds: int, **more: Any) -> ByRate:
    """What `tuned` trains by: learning rates of a net. more: as of `train`."""
    return ByRate(net, data, steps, seeds, more)


def halved(
    net: Net,
    data: Batch,
    steps: int,
    rate: float,
    seeds: int | Sequence[int],
    **more: Any,
) -> list[FittedNet]:
    """The net after half the steps, for each seed, by the program of all of them."""
    return train(net, data, half(steps), (rate,), seeds, capacity=steps, **more)


# ------------------------------------------------------- gradient and cost, beforehand


class Beforehand(NamedTuple):
    """What is measured of a net before it is trained.

    first_gradient: log10 ‖∂loss/∂θ‖ of its first layer, the mean over seeds. decades:
    log10 of the gradient at its first state over that at its last; below 0 it vanishes.
    step_mflop: operations of a training step, in millions. firsts: the first layer's of
    each seed.
    """

    first_gradient: float | None
    decades: float | None
    step_mflop: float
    firsts: Sequence[float] = ()


def beforehand(
    net: Net,
    data: Batch,
    seeds: int = 3,
    system: System | None = None,
    starts: Sequence[FittedNet] | None = None,
) -> Beforehand:
    """The fresh net's gradient on some of its data, and what a step costs.

    starts: a net for each seed in place of the fresh one, such as a pretrained one.
    A gradient that is exactly 0 has no logarithm: see `profiles.finite_mean`.
    """
    system = system or net.system
    probe = {name: array[: feed.PROBED] for name, array in data.items()}
    run = sweeps.programs(system, feed.drawn(net.recipe.batch), 1)
    hyper = numbers(net, 0.0, 1)
    firsts, decades = [], []
    for seed in range(seeds):
        state = run.init(*sweeps.arguments([Run(seed, hyper)]))
        if starts is not None:
            state = start(starts[seed].learner(hyper), state.key)
        states, layers = run.profile(state, probe)["net"]
        firsts.append(float(layers[0]))
        decades.append(float(states[0]) - float(states[-1]))
    batch = {name: array[: net.recipe.batch] for name, array in data.items()}
    return Beforehand(
        finite_mean(firsts),
        finite_mean(decades),
        step_mflop(system, net.recipe.batch, state, hyper, batch),
        firsts,
    )


def step_mflop(
    system: System, size: int, state: Any, hyper: Any, batch: Batch
) -> float:
    """Millions of operations of a step on a batch of so many examples, by its shapes."""

    def shape(a: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((size, *a.shape[1:]), jnp.asarray(a[:1]).dtype)

    shapes = jax.tree.map(shape, dict(batch))
    leaves, tree = jax.tree.flatten((*jax.tree.map(_shape, (state, hyper)), shapes))
    return _counted(system, tree, tuple(leaves)) / 1e6


def _shape(a: Any) -> jax.ShapeDtypeStruct:
    weak = isinstance(a, int | float)
    return jax.ShapeDtypeStruct(jnp.shape(a), jnp.result_type(a), weak_type=weak)


@functools.lru_cache(maxsize=256)
def _counted(system: System, tree: Any, shapes: tuple) -> float:
    """Cells that differ in their data alone share a step: to trace it takes a second."""
    arguments = jax.tree.unflatten(tree, shapes)
    traced = jax.make_jaxpr(functools.partial(step, system))(*arguments)
    return operations.count(traced.jaxpr).total
