"""Many runs of one net as one compiled program, also on a CPU.

`fits.train` takes runs one after the other on a CPU, which is as fast where a net has work
enough for the cores. Of nets so small that a step is mostly overhead hundreds are asked
here, side by side.

>>> import numpy as np
>>> from depthbench.research.learning.recipe import Recipe
>>> x = np.eye(4, dtype=np.float32)
>>> data = {"inputs": x, "targets": np.arange(4, dtype=np.int32)}
>>> net = fits.Net(Recipe(depth=1, width=8, batch=4), Task((4,), 4))
>>> runs = [Run(seed, fits.numbers(net, 1e-2, 99)) for seed in range(3)]
>>> [fit.accuracy(x, data["targets"]) for fit in train(net, data, 99, runs)]
[1.0, 1.0, 1.0]
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.architectures import contract
from depthbench.research.architectures.contract import Tree, Variables
from depthbench.research.learning import fits, sweeps
from depthbench.research.learning import system as systems
from depthbench.research.learning.feed import PROBED, Feeds, whole
from depthbench.research.learning.fits import Beforehand, FittedNet, Net
from depthbench.research.learning.supervised import Task as Task
from depthbench.research.learning.sweeps import Run
from depthbench.research.learning.system import Batch, State, System
from depthbench.research.signal.profiles import finite_mean


def train(
    net: Net,
    data: Batch,
    steps: int,
    runs: Sequence[Run],
    size: int | None = None,
    system: System | None = None,
    feeds: Feeds = whole,
    capacity: int = 0,
) -> list[FittedNet]:
    """The net after so many steps on the data, for each of the runs, in order.

    size: how many are taken side by side, all by default; one program serves all calls
    of one size, as a group that is not full repeats its last run. system: as of
    `fits.train`. feeds: what makes a step's batch of the data. capacity: as of
    `sweeps.ended`.
    """
    size = size or len(runs)
    data, done = jax.device_put(dict(data)), []
    programs = _programs(system or net.system, feeds, max(steps, capacity))
    for first in range(0, len(runs), size):
        group = list(runs[first : first + size])
        seeds, hyper = sweeps.arguments(_padded(group, size))
        seeds, hyper = _several(seeds, hyper, size)
        state = programs.opened(programs.init(seeds, hyper))
        state, log = programs.advance(state, hyper, data, np.int32(steps))
        state, log = jax.device_get((_kept(programs.closed(state)), log))
        log = {name: values[:, :steps] for name, values in log.items()}
        done += [_one(net, state, log, run, place) for place, run in enumerate(group)]
    return done


def _padded(group: Sequence[Run], size: int) -> list[Run]:
    return [*group, *[group[-1]] * (size - len(group))]


def _several(seeds: Any, hyper: Any, size: int) -> tuple[Any, Any]:
    """The arguments with a leading axis, of a single run too."""
    if size > 1:
        return seeds, hyper
    return jax.tree.map(lambda leaf: np.asarray(leaf)[None], (seeds, hyper))


def _programs(system: System, feeds: Feeds, steps: int) -> sweeps.Programs:
    return sweeps.programs(system, feeds, steps, several=True)


def _kept(state: State) -> tuple[Variables, Any]:
    learned = contract.unite(state.tree.params, state.tree.stats)
    return learned, systems.diverged_at(state.diverged)


def _one(net: Net, kept: Any, log: Any, run: Run, place: int) -> FittedNet:
    variables, diverged = jax.tree.map(lambda leaf: leaf[place], kept)
    mine = {name: values[place] for name, values in log.items()}
    rate = float(run.hyper.rule.learning_rate)
    return FittedNet(net, variables, mine, sweeps.stopped(diverged), run.seed, rate)


def stacked(fits_: Sequence[FittedNet]) -> Variables:
    """Their variables, [nets, …] each: what is mapped over them side by side."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *(f.variables for f in fits_))


def outputs(fits_: Sequence[FittedNet], x: Any) -> np.ndarray:
    """[nets, examples, outputs] of nets of one kind, in one call."""
    return np.asarray(_outputs(fits_[0].net)(stacked(fits_), jnp.asarray(x)))


@functools.lru_cache(maxsize=64)
def _outputs(net: Net) -> Callable:
    def one(variables: Tree, x: jax.Array) -> jax.Array:
        return contract.apply(net.parts.net, variables, x, train=False)[0]

    return jax.jit(jax.vmap(one, in_axes=(0, None)))


def beforehand(
    net: Net,
    data: Batch,
    runs: Sequence[Run],
    steps: int,
    system: System | None = None,
    feeds: Feeds = whole,
) -> Beforehand:
    """The fresh nets' gradient, the mean over them, and what a step of one costs.

    steps, feeds: as of the `train` whose program that draws them this shares.
    """
    system = system or net.system
    programs = _programs(system, feeds, steps)
    seeds, hyper = _several(*sweeps.arguments(runs), len(runs))
    state = programs.init(seeds, hyper)
    probe = {name: array[:PROBED] for name, array in data.items()}
    states, layers = jax.device_get(programs.profile(state, probe)["net"])
    size = min(net.recipe.batch, len(probe["inputs"]))
    _, hyper = sweeps.arguments(runs[:1])
    one = jax.eval_shape(lambda: systems.init(jax.random.key(0), system, hyper))
    batch = {name: array[:size] for name, array in data.items()}
    return Beforehand(
        finite_mean(layers[:, 0]),
        finite_mean(states[:, 0] - states[:, -1]),
        fits.step_mflop(system, net.recipe.batch, one, hyper, batch),
    )
