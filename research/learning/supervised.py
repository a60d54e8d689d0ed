"""Supervised learning, as a system: a net, a loss, an update rule, by their names."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from depthbench.research.architectures import ARCHITECTURES, stacks
from depthbench.research.architectures.contract import (
    Architecture,
    Settings,
    Tree,
    Variables,
    Weights,
    apply,
    by_stack,
    divide,
    unite,
)
from depthbench.research.architectures.contract import init as draw
from depthbench.research.architectures.loops import AUTO, LOOPS, Loop, chosen
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.dtypes import ACTIVE
from depthbench.research.catalogues.initializers import DRAWS, INITIALIZERS, Rule
from depthbench.research.catalogues.losses import LOSSES, Loss
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.catalogues.optimizers import (
    OPTIMIZERS,
    Hyper,
    Optimizer,
    length,
    transformation,
)
from depthbench.research.catalogues.optimizers import rate as rate_of
from depthbench.research.catalogues.schedules import SCHEDULES, Schedule
from depthbench.research.datasets.images import cropped, flipped
from depthbench.research.datasets.reading import reader
from depthbench.research.learning import descent, examples, loss_scale, sharding
from depthbench.research.learning.descent import Learner, Objective
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.system import Arrangement, Batch, Probed, System
from depthbench.research.signal.ensembles import Member

BORDER = 8  # a crop moves an image by up to an eighth of its side


class Task(NamedTuple):
    """What a net is asked of arrays that are given, and are read as they are.

    shape: of an example. outputs: how many numbers it gives. loss: its name in LOSSES,
    or one of a system's own. change: what is made of the net that a recipe names, such
    as the same with dropout.
    """

    shape: tuple[int, ...]
    outputs: int
    loss: str | Loss = "classes"
    change: Callable[[Architecture], Architecture] | None = None


UNIT = Member(Rule(1.0), Rule(1.0))


class Numbers(NamedTuple):
    """The numbers of a run; traced.

    weights: the variances that its fresh net is drawn with. rule: the optimizer's.
    others: a recipe's further numbers, by name, where they are given.
    """

    weights: Member
    rule: Hyper
    others: dict[str, Any] | None = None


class Components(NamedTuple):
    """What supervised learning is made of.

    read: from a batch's inputs as they are kept to what the net reads: float32
      [batch, …].
    augment: (key, inputs as read) -> inputs, in training alone.
    dtype: what is computed in; the state is float32 whatever it is.
    scaled: whether the loss is scaled, by `loss_scale`.
    accumulate: parts that a batch is taken in, one after the other, to save memory.
    """

    net: Architecture
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    read: Callable[[jax.Array], jax.Array] = lambda x: x
    augment: Callable[[jax.Array, jax.Array], jax.Array] | None = None
    dtype: Any = jnp.float32
    accumulate: int = 1
    scaled: bool = False


def rule_of(parts: Components, hyper: Hyper) -> Any:
    """The update rule's direction, as an optax transformation."""
    tied = tuple(stage.tied for stage in parts.net.stages)
    depths = (
        sum(stage.depth for stage in stack)
        for stack in by_stack(parts.net)
        for _ in stack
    )
    rule = transformation(parts.optimizer, hyper, tied, tuple(depths))
    return loss_scale.scaling(rule) if parts.scaled else rule


def learner(parts: Components, variables: Variables, hyper: Hyper) -> Learner:
    """Given variables, before the first step: fresh ones, or those of another run."""
    params, stats = divide(variables)
    return descent.learner(params, stats, rule_of(parts, hyper))


def fresh(key: jax.Array, parts: Components, hyper: Hyper, x: jax.Array) -> Learner:
    """A learner with fresh variables. x: any inputs, as they are kept."""
    return learner(parts, draw(key, parts.net, parts.read(x)), hyper)


def measures(
    parts: Components,
    params: Tree,
    stats: Tree,
    batch: Batch,
    train: bool,
    key: Any = None,
) -> tuple[dict[str, jax.Array], Tree]:
    """(the loss's measures of each example [batch], new statistics) of a batch.

    key: enables augmentation and dropout; None disables them.
    """
    x = parts.read(batch["inputs"])
    batch = {**batch, "inputs": x}
    if key is not None:
        key, key_augment = jax.random.split(key)
        if parts.augment is not None:
            x = parts.augment(key_augment, x)
    variables = unite(_cast(params, parts.dtype), stats)
    outputs, updated = apply(parts.net, variables, _cast(x, parts.dtype), train, key)
    outputs = _cast(outputs, jnp.float32)
    each = {name: one(outputs, batch) for name, one in parts.loss.measures.items()}
    return each, _cast(divide(updated)[1], jnp.float32)


def _cast(tree: Tree, dtype: Any) -> Tree:
    """The tree with its floating-point arrays in `dtype`."""

    def cast(a):
        return a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a

    return jax.tree.map(cast, tree)


def gradients(
    parts: Components,
    params: Tree,
    stats: Tree,
    batch: Batch,
    key: Any,
    mesh: Any = None,
    scale: Any = None,
    objective: Objective | None = None,
) -> tuple[Tree, tuple[dict[str, jax.Array], Tree]]:
    """(gradient of the mean loss, (mean measures, new statistics)) of a batch.

    scale: of the loss that the gradient is of. objective: what is descended, unless it is
    the loss of the parts.
    """

    def loss(params, stats, batch, key):
        return measures(parts, params, stats, batch, True, key)

    objective = objective or loss
    place = functools.partial(sharding.split, mesh) if mesh else lambda batch: batch
    count = parts.accumulate
    return descent.gradients(objective, params, stats, batch, key, count, place, scale)


def probed(parts: Components, tree: Learner, batch: Batch) -> Probed:
    """The net, and its mean loss on the batch as a function of its outputs."""
    batch = {**batch, "inputs": parts.read(batch["inputs"])}
    loss = lambda outputs: jnp.mean(parts.loss.loss(outputs, batch))
    return Probed(parts.net, unite(tree.params, tree.stats), batch["inputs"], loss)


def _given(key: Any, hyper: Any) -> Learner:
    raise TypeError("parts that are given begin from a given learner: `system.start`")


def system_of(
    parts: Components,
    init: Callable[[Any, Any], Learner] = _given,
    mesh: Any = None,
    objective: Objective | None = None,
) -> System:
    """The system of parts that are given; its hyper is `Numbers`.

    init: (key, hyper) -> a fresh learner. mesh: of devices that each part of a batch is
    split over. objective: what is descended in place of the loss on the batch as it is:
    on examples that were attacked, say.
    """

    def step(tree, hyper, batch, moment):
        learned = tree.params, tree.stats
        scale = tree.opt.scale if parts.scaled else None
        gradient, (means, stats) = gradients(
            parts, *learned, batch, moment.key, mesh, scale, objective
        )
        rate = rate_of(parts.schedule, hyper.rule, moment.step)
        rule = rule_of(parts, hyper.rule._replace(learning_rate=rate))
        step_length = length(parts.optimizer, rate)
        return descent.descended(tree, gradient, stats, rule, step_length), means

    def measure(tree, batch):
        return measures(parts, tree.params, tree.stats, batch, False)[0]

    return System(init, step, measure, lambda tree, x: {"net": probed(parts, tree, x)})


# --------------------------------------------------------------------- parts by name


def system(recipe: Recipe, mesh: Any = None, task: Task | None = None) -> System:
    """The system of a recipe; its hyper is `Numbers`. Equal programs: the same one.

    task: of arrays that are given, in place of the recipe's data set.
    """
    return _system(recipe.program, mesh, task)


@functools.lru_cache(maxsize=64)
def _system(recipe: Recipe, mesh: Any, task: Task | None) -> System:
    """A state is drawn, measured, probed and saved alike, whatever loop steps take."""
    kept = parts(recipe, task=task)
    system = system_of(kept, init_of(recipe, task), mesh)
    loop = _loop(recipe, kept, mesh, task)
    changed = kept._replace(net=loop.change(kept.net))
    form = Arrangement(loop.name)
    if loop.name == "unrolled":
        one = functools.partial(stacks.apart, kept.net)
        form = Arrangement(loop.name, one, functools.partial(stacks.together, kept.net))
    return system._replace(step=system_of(changed, mesh=mesh).step, form=form)


def _loop(recipe: Recipe, kept: Components, mesh: Any, task: Task | None) -> Loop:
    if recipe.loop == AUTO and mesh is not None:
        return LOOPS["scan"]  # sharded stacks are what was measured
    one = jax.eval_shape(kept.read, _some(recipe, task))
    size = recipe.batch // recipe.accumulate
    x = jax.ShapeDtypeStruct((size, *one.shape[1:]), one.dtype)
    return chosen(recipe.loop, kept.net, x)


def init_of(
    recipe: Recipe, task: Task | None = None
) -> Callable[[Any, Numbers], Learner]:
    """What draws a fresh learner, (key, hyper) -> learner; the same for equal nets."""
    return _init(recipe.drawn, task)


@functools.lru_cache(maxsize=64)
def _init(recipe: Recipe, task: Task | None) -> Callable[[Any, Numbers], Learner]:
    x = _some(recipe, task)

    def begin(key, hyper):
        return fresh(key, parts(recipe, hyper.weights, task), hyper.rule, x)

    return begin


def _some(recipe: Recipe, task: Task | None) -> Any:
    """Two inputs: what a net's shapes are made from."""
    return jnp.zeros((2, *task.shape)) if task else examples.some(recipe)


def parts(
    recipe: Recipe, weights: Member = UNIT, task: Task | None = None
) -> Components:
    """The parts that a recipe names, whatever its loop, which `system` knows of.

    weights: needed for fresh parameters alone. task: of arrays that are given, in place
    of the recipe's data set.

    Raises DataError where the data set is not to be had.
    """
    read = Components._field_defaults["read"]
    if task is None:
        family, dataset = ARCHITECTURES[recipe.architecture], examples.dataset(recipe)
        outputs = family.outputs(dataset.shape, dataset.classes)
        task = Task(dataset.shape, outputs, family.task(dataset.task))
        read = reader(dataset, examples.splits(recipe).train.scale)
    loss = LOSSES[task.loss] if isinstance(task.loss, str) else task.loss
    drawn = DRAWS[INITIALIZERS[recipe.initializer].draw]
    settings = Settings(
        width=recipe.width,
        depth=recipe.depth,
        activation=ACTIVATIONS[recipe.activation].phi,
        weights=Weights(drawn, weights.hidden.gains, first=weights.first.gains),
        normalizer=NORMALIZERS[recipe.normalizer],
        outputs=task.outputs,
        active_depth=recipe.depth,
        every_step=loss.every_step,
    )
    net = ARCHITECTURES[recipe.architecture].build(settings)
    return Components(
        net=task.change(net) if task.change else net,
        loss=loss,
        optimizer=OPTIMIZERS[recipe.optimizer],
        schedule=SCHEDULES[recipe.schedule],
        read=read,
        augment=_augmented(recipe.augment) if recipe.augment else None,
        dtype=ACTIVE[recipe.dtype].dtype,
        scaled=ACTIVE[recipe.dtype].scaled,
        accumulate=recipe.accumulate,
    )


def _augmented(names: tuple[str, ...]) -> Callable[[jax.Array, jax.Array], jax.Array]:
    def augment(key, x):
        for number, name in enumerate(names):
            one = jax.random.fold_in(key, number)
            if name == "flip":
                x = flipped(one, x)
            else:
                x = cropped(one, x, max(1, x.shape[1] // BORDER))
        return x

    return augment
