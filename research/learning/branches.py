"""Several tasks by one net: shared first layers, and a branch with a head for each task.

Caruana 1997, Machine Learning 28:41: hard sharing. Layers are counted from the input, as
`first_layers` does. With none shared it is several nets, trained side by side.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.architectures import contract, walk
from depthbench.research.architectures.contract import Tree, Variables
from depthbench.research.catalogues import optimizers
from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.learning import (
    descent,
    feed,
    first_layers,
    fits,
    supervised,
    sweeps,
)
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Components, Task
from depthbench.research.learning.sweeps import Problem, Run
from depthbench.research.learning.system import Batch, Probed, System


class Branched(NamedTuple):
    """Nets of one recipe, a task each, that have their first layers in common.

    tasks: of one shape. shared: how many layers they have in common, from the input.
    """

    recipe: Recipe
    tasks: tuple[Task, ...]
    shared: int

    @property
    def nets(self) -> tuple[fits.Net, ...]:
        """Each task's net alone."""
        return tuple(fits.Net(self.recipe, task) for task in self.tasks)


class Params(NamedTuple):
    """What is learned. trunk: pieces from the input. branches: of each task the rest."""

    trunk: tuple[Tree, ...]
    branches: tuple[tuple[Tree, ...], ...]


class FittedBranches(NamedTuple):
    """Branched nets after training. log, diverged, seed, rate: as of `fits.FittedNet`."""

    branched: Branched
    params: Params
    log: Any
    diverged: int | None
    seed: int
    rate: float

    def answers(self, x: Any) -> list[np.ndarray]:
        """Of each task the labels [examples] that inputs [examples, …] are given."""
        outputs = jax.device_get(_outputs(self.branched)(self.params, x))
        return [one.argmax(axis=-1) for one in outputs]

    def accuracy(self, x: Any, targets: Sequence[Any]) -> list[float]:
        """Of each task, the share of examples [examples, …] that have their label."""
        both = zip(self.answers(x), targets, strict=True)
        return [float(np.mean(one == np.asarray(y))) for one, y in both]


def batch_of(x: Any, targets: Sequence[Any]) -> dict[str, Any]:
    """Inputs [examples, …] and labels of each task, as training takes them."""
    return {"inputs": x, **{f"targets{n}": y for n, y in enumerate(targets)}}


def train(
    branched: Branched,
    data: Batch,
    steps: int,
    rates: Sequence[float],
    seeds: int,
) -> list[FittedBranches]:
    """The nets after so many steps on all tasks at once, for each rate its seeds.

    data: of `batch_of`.
    """
    pairs = [(rate, seed) for rate in rates for seed in range(seeds)]
    alone = branched.nets[0]
    runs = [Run(seed, fits.numbers(alone, rate, steps)) for rate, seed in pairs]
    feeds = feed.drawn(branched.recipe.batch)
    done = sweeps.ended(Problem(system(branched), feeds, data, {}, {}), runs, steps)
    return [
        FittedBranches(branched, one.state.tree.params, one.log, one.diverged, s, rate)
        for one, (rate, s) in zip(done, pairs, strict=True)
    ]


def fresh(branched: Branched, seed: int = 0) -> Params:
    """The nets of a seed before any training: those which `train` begins with."""
    hyper = fits.numbers(branched.nets[0], 0.0, 1)
    feeds = feed.drawn(branched.recipe.batch)
    init = sweeps.programs(system(branched), feeds, 1).init
    return init(*sweeps.arguments([Run(seed, hyper)])).tree.params


# ------------------------------------------------------------------------- the system


@functools.lru_cache(maxsize=64)
def system(branched: Branched) -> System:
    """All tasks at once: the sum of their losses, by the recipe's update rule.

    Measures are `loss`, the sum, and those of task n with its number, such as `loss1`.
    Raises Mistake where there are not so many layers. Nets with normalisers' statistics
    are refused: all that `Params` has is descended.
    """
    cuts = _cuts(branched)
    optimizer = cuts[0].optimizer
    rule_of = lambda hyper: optimizers.transformation(optimizer, hyper.rule, ())
    some = jnp.zeros((2, *branched.tasks[0].shape))

    def begin(key, hyper):
        each = [
            _pieces(_drawn(jax.random.fold_in(key, n), branched, n, hyper, some))
            for n in range(len(cuts))
        ]
        count = _common(branched.shared)
        params = Params(each[0][:count], tuple(one[count:] for one in each))
        return descent.learner(params, (), rule_of(hyper))

    def objective(params, stats, batch, key):
        return _measures(cuts, _outputs_of(cuts, params, batch["inputs"]), batch), stats

    def step(tree, hyper, batch, moment):
        gradient, (means, stats) = descent.gradients(
            objective, tree.params, tree.stats, batch, moment.key
        )
        rate = optimizers.rate(cuts[0].schedule, hyper.rule, moment.step)
        now = hyper._replace(rule=hyper.rule._replace(learning_rate=rate))
        length = optimizers.length(optimizer, rate)
        return descent.descended(tree, gradient, stats, rule_of(now), length), means

    def probed(tree, batch):
        loss = lambda outputs: jnp.mean(cuts[0].loss.loss(outputs, _asked(batch, 0)))
        first = variables(tree.params, 0)
        return {"net": Probed(cuts[0].net, first, batch["inputs"], loss)}

    def measure(tree, batch):
        return objective(tree.params, (), batch, None)[0]

    return System(begin, step, measure, probed)


def _cuts(branched: Branched) -> list[Components]:
    """The parts of each task's net, cut where branches begin."""
    return [
        net.parts._replace(net=first_layers.cut(net, branched.shared))
        for net in branched.nets
    ]


def _drawn(key, branched: Branched, task: int, hyper, some) -> Variables:
    net = branched.nets[task]
    whole = supervised.parts(net.recipe, hyper.weights, net.task).net
    drawn = contract.init(key, whole, some)
    if jax.tree.leaves(contract.divide(drawn)[1]):
        raise DataError(f"{net.recipe.normalizer}: branches can have no statistics")
    return first_layers.apart(first_layers.cut(net, branched.shared), drawn)


def _common(shared: int) -> int:
    """How many pieces are shared: the stem, and what of the stage is."""
    return min(shared, 2)


def _pieces(variables: Variables) -> tuple[Tree, ...]:
    """From the input: stem, stages, head."""
    return (variables.stem, *variables.stages, variables.head)


def variables(params: Params, task: int) -> Variables:
    """The variables of a task's net, its stage cut where its branch begins."""
    stem, *stages, head = (*params.trunk, *params.branches[task])
    return Variables(stem, tuple(stages), head)


def _outputs_of(cuts: Sequence[Components], params: Params, x: Any) -> list[Any]:
    """Of each task [batch, outputs]; what is shared is computed once."""
    count, found, h = len(params.trunk), [], x
    for task, cut in enumerate(cuts):
        links = contract.links(cut.net, variables(params, task))
        if task == 0:
            h, _ = walk.fold(links[:count], x)
        found.append(walk.fold(links[count:], h)[0])
    return found


def _measures(cuts: Sequence[Components], outputs: Sequence[Any], batch: Batch):
    """Of each example [batch]: each task's, by its number, and the sum of the losses."""
    each = {}
    for n, (cut, one) in enumerate(zip(cuts, outputs, strict=True)):
        for name, measured in cut.loss.measures.items():
            each[f"{name}{n}"] = measured(one, _asked(batch, n))
    return {**each, "loss": sum(each[f"loss{n}"] for n in range(len(cuts)))}


def _asked(batch: Batch, task: int) -> Batch:
    return {"inputs": batch["inputs"], "targets": batch[f"targets{task}"]}


@functools.lru_cache(maxsize=64)
def _outputs(branched: Branched) -> Any:
    cuts = _cuts(branched)
    return jax.jit(lambda params, x: _outputs_of(cuts, params, x))


# -------------------------------------------------------------- gradients of the tasks


@functools.lru_cache(maxsize=64)
def _gradients(branched: Branched) -> Any:
    cuts = _cuts(branched)

    def loss(trunk, params, batch, task):
        each = _outputs_of(cuts, params._replace(trunk=trunk), batch["inputs"])
        return jnp.mean(_measures(cuts, each, batch)[f"loss{task}"])

    def flat(params, batch, task):
        gradient = jax.grad(loss)(params.trunk, params, batch, task)
        return jnp.concatenate([a.ravel() for a in jax.tree.leaves(gradient)])

    tasks = range(len(cuts))
    return jax.jit(lambda params, batch: [flat(params, batch, n) for n in tasks])


def cosine(branched: Branched, params: Params, batch: Batch) -> float | None:
    """Between the first two tasks' gradients of what is shared; None without one.

    Below 0 they conflict: Yu et al. 2020, arXiv:2001.06782, definition 1.
    """
    if not branched.shared:
        return None
    one, other = (
        np.asarray(gradient, np.float64)
        for gradient in _gradients(branched)(params, batch)[:2]
    )
    size = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one @ other / size) if size > 0 else None
