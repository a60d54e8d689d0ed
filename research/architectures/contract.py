"""The contract every architecture keeps: stem, stages, head; depth is a scan.

A stage is one layer and a number of repetitions. Its variables are stacked on a
leading [depth, …] axis, so compile time does not grow with depth, and every probe is
written once for all architectures.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from flax import linen as nn

from research.catalogues.initializers import Draw
from research.catalogues.normalizers import Normalizer

Tree = Any  # a pytree of arrays
PRODUCTS = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
INPUTS = "inputs"  # beside "params": what the steps of a tied stage are fed


class Weights(NamedTuple):
    """How kernels and biases come about.

    draw: distributions of unit size.
    gains: from (fan_in, fan_out) to (σ_w, σ_b); numbers, or traced scalars.
    first: the gains of the layer that reads the input, where they are others.
    ntk: keep the draws of unit size as parameters and multiply by the gains when
      applied ("NTK parametrisation"), so that one draw serves every σ. Otherwise the
      gains are part of the parameters, as in training.
    """

    draw: Draw
    gains: Callable[[int, int], tuple[Any, Any]]
    ntk: bool = False
    first: Callable[[int, int], tuple[Any, Any]] | None = None


class Settings(NamedTuple):
    """What an architecture is built from.

    depth: the number of layers that are built (static).
    active_depth: the depth that scales refer to; differs from `depth` only where a
      sweep runs the first layers of a deeper stack (may be traced).
    every_step: outputs for each step of a sequence, not for the whole of it.
    """

    width: int
    depth: int
    activation: Callable[[jax.Array], jax.Array]
    weights: Weights
    normalizer: Normalizer
    outputs: int
    active_depth: Any
    every_step: bool = False


class Stage(NamedTuple):
    """A layer repeated `depth` times.

    layer: maps a hidden state to one of the same shape (a stage of depth 1 may change
      it); called as `layer(h, train)`.
    tied: all repetitions share one set of variables (depth is time). A stem that
      returns Fed gives each of them its own input.
    frugal: `apply` keeps only matrix products for the gradient and makes the rest again:
      half the memory of a Transformer, and on a CPU a tenth less time.
    segment: `apply` keeps the state before every so many layers alone, and makes what
      is between again for the gradient. None: it keeps all that the gradient needs.
    before: how many layers of one stack the stages before this one have, where it was
      cut into several: layers are then drawn as they would be in the whole.
    """

    layer: nn.Module
    depth: int
    tied: bool = False
    frugal: bool = False
    segment: int | None = None
    before: int = 0


class Fed(NamedTuple):
    """What a stem returns for a tied stage that reads one input a step.

    inputs: [depth, batch, …], made for all steps at once: what does not depend on the
      state is not computed step by step. A layer is called with its own one, as
      `layer(h, train, now)`.
    """

    state: Tree
    inputs: Tree


class Architecture(NamedTuple):
    name: str
    stem: nn.Module
    stages: tuple[Stage, ...]
    head: nn.Module


class Variables(NamedTuple):
    """Parameters and normaliser statistics; of a stage stacked as [depth, …]."""

    stem: Tree
    stages: tuple[Tree, ...]
    head: Tree


def divide(variables: Variables) -> tuple[Variables, Variables]:
    """(what is learned, what is not: normalisers' statistics), each in its place."""

    def only(keep: Callable[[str], bool]) -> Variables:
        def part(tree: Tree) -> Tree:
            return {name: inner for name, inner in tree.items() if keep(name)}

        stem, stages, head = variables
        return Variables(part(stem), tuple(map(part, stages)), part(head))

    return only(lambda name: name == "params"), only(lambda name: name != "params")


def unite(params: Variables, statistics: Variables) -> Variables:
    """The variables that `divide` made these of."""
    stages = zip(params.stages, statistics.stages, strict=True)
    return Variables(
        {**params.stem, **statistics.stem},
        tuple({**own, **kept} for own, kept in stages),
        {**params.head, **statistics.head},
    )


def feed(stacked: Tree, h: Tree) -> tuple[Tree, Tree]:
    """(the stage's variables with its inputs among them, the state): Fed taken apart."""
    if isinstance(h, Fed):
        return {**stacked, INPUTS: h.inputs}, h.state
    return stacked, h


def call(
    module: nn.Module, variables: Tree, h: Tree, train: bool = True, key: Any = None
):
    """(output, statistics): a module's result, and its normalisers' statistics.

    key: for dropout, which there is none of without.
    """
    rngs = None if key is None else {"dropout": key}
    fed = (variables[INPUTS],) if INPUTS in variables else ()
    variables = {name: v for name, v in variables.items() if name != INPUTS}
    statistics = [name for name in variables if name != "params"]
    if not train or not statistics:
        kept = {name: variables[name] for name in statistics}
        return module.apply(variables, h, train, *fed, rngs=rngs), kept
    return module.apply(variables, h, train, *fed, mutable=statistics, rngs=rngs)


def init(key: jax.Array, net: Architecture, x: jax.Array) -> Variables:
    """Fresh variables; a stage's layer l depends on the key and l, not the depth."""
    key_stem, key_head, key_stages = jax.random.split(key, 3)
    stem = net.stem.init(key_stem, x, True)
    h = jax.eval_shape(lambda v: call(net.stem, v, x)[0], stem)
    stages, number = [], -1
    for stage in net.stages:
        number += stage.before == 0
        key_stage = jax.random.fold_in(key_stages, number)
        inputs, state = feed({}, _zeros(h))
        arguments = (state, True, *(layer_at(stage, inputs, 0).values()))

        def init_layer(index, layer=stage.layer, key=key_stage, arguments=arguments):
            return layer.init(jax.random.fold_in(key, index), *arguments)

        if stage.tied:
            variables = layer_variables = init_layer(0)
        else:
            indices = stage.before + jax.numpy.arange(stage.depth)
            variables = jax.vmap(init_layer)(indices)
            layer_variables = jax.eval_shape(init_layer, 0)
        h = jax.eval_shape(
            lambda v, *a, layer=stage.layer: call(layer, v, *a)[0],
            {**layer_variables, **layer_at(stage, inputs, 0)},
            state,
        )
        stages.append(variables)
    return Variables(stem, tuple(stages), net.head.init(key_head, _zeros(h), True))


def _zeros(shapes: Tree) -> Tree:
    return jax.tree.map(lambda s: jax.numpy.zeros(s.shape, s.dtype), shapes)


def layer_at(stage: Stage, variables: Tree, index: Any) -> Tree:
    """The variables of one layer of a stage, and its input where the stage is fed."""
    return {
        name: jax.tree.map(
            lambda a: jax.lax.dynamic_index_in_dim(a, index, 0, keepdims=False), tree
        )
        if not stage.tied or name == INPUTS
        else tree
        for name, tree in variables.items()
    }


def apply(
    net: Architecture,
    variables: Variables,
    x: jax.Array,
    train: bool = True,
    key: Any = None,
):
    """(outputs [batch, outputs], statistics): the whole network, by plain scans.

    key: for dropout, which there is none of without.
    """
    h, stem = call(net.stem, variables.stem, x, train)
    statistics = []
    for number, (stage, stacked) in enumerate(
        zip(net.stages, variables.stages, strict=True)
    ):
        stacked, h = feed(stacked, h)
        keys = None  # one for each layer
        if key is not None:
            keys = jax.random.split(jax.random.fold_in(key, number), stage.depth)

        def step(h, layer, module=stage.layer):
            variables, key = layer
            return call(module, variables, h, train, key)

        if stage.frugal:
            step = jax.checkpoint(step, policy=PRODUCTS, prevent_cse=False)
        if stage.depth == 1:  # a scan's carry cannot change its shape
            h, kept = step(
                h, (layer_at(stage, stacked, 0), None if keys is None else keys[0])
            )
            kept = jax.tree.map(lambda a: a[None], kept)
        elif stage.tied:
            tied = {name: v for name, v in stacked.items() if name != INPUTS}
            inputs = {name: v for name, v in stacked.items() if name == INPUTS}
            h, kept = _repeat(stage, _sharing(tied, step), h, (inputs, keys))
        else:
            h, kept = _repeat(stage, step, h, (stacked, keys))
        statistics.append(kept)
    outputs, head = call(net.head, variables.head, h, train)
    return outputs, Variables(stem, tuple(statistics), head)


def _sharing(tied: Tree, step: Callable) -> Callable:
    """The step of layers that share all variables but their inputs."""

    def one(h: Tree, now: Tree):
        inputs, key = now
        return step(h, ({**tied, **inputs}, key))

    return one


def _repeat(stage: Stage, step: Callable, h: Tree, layers: Tree) -> tuple[Tree, Tree]:
    """(state, statistics [depth, …]) after a stage's layers, given as [depth, …]."""
    if stage.segment is None:
        return jax.lax.scan(step, h, layers, length=stage.depth)
    parts, rest = divmod(stage.depth, stage.segment)
    cut = stage.depth - rest

    def run(length: int, **more):
        many = lambda h, part: jax.lax.scan(step, h, part, length=length)
        return jax.checkpoint(many, **more)

    first = jax.tree.map(
        lambda a: a[:cut].reshape(parts, stage.segment, *a.shape[1:]), layers
    )
    h, kept = jax.lax.scan(
        run(stage.segment, prevent_cse=False), h, first, length=parts
    )
    kept = jax.tree.map(lambda a: a.reshape(cut, *a.shape[2:]), kept)
    if not rest:
        return h, kept
    h, last = run(rest)(h, jax.tree.map(lambda a: a[cut:], layers))
    both = jax.tree.map(lambda *parts: jax.numpy.concatenate(parts), kept, last)
    return h, both
