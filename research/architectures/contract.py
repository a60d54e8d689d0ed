"""The contract every architecture keeps: stem, stages, head; depth is a scan.

A stage is one layer and a number of repetitions. Its variables are stacked on a
leading [depth, …] axis, so compile time does not grow with depth, and every probe is
written once for all architectures.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import (
    Any,
    Concatenate,
    NamedTuple,
    ParamSpec,
    Protocol,
    TypeVar,
    overload,
)

import jax
from flax import linen as nn

from depthbench.research.architectures.walk import (
    NOTHING,
    Fed,
    Link,
    Tree,
    WithStatistics,
    fold,
)
from depthbench.research.catalogues.initializers import Draw
from depthbench.research.catalogues.normalizers import Normalizer

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
    frugal: in a loop `apply` keeps only products, convolutions, fused kernels and moments
      for the gradient, and makes the rest again: half the memory of a Transformer or
      ResNet, and less time, as what is kept is copied into a stack and out of it.
    segment: `apply` keeps the state before every so many layers alone, and makes what
      is between again for the gradient. None: it keeps all that the gradient needs.
    before: how many layers of one stack the stages before this one have, where it was
      cut into several: layers are then drawn as they would be in the whole.
    fed: [depth], a number for each layer, which is called with it beside the state; for
      what is neither learned nor the same in all layers.
    """

    layer: nn.Module
    depth: int
    tied: bool = False
    frugal: bool = False
    segment: int | None = None
    before: int = 0
    fed: Any = None


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
        tuple({**weights, **averages} for weights, averages in stages),
        {**params.head, **statistics.head},
    )


def call(
    module: nn.Module, variables: Tree, h: Tree, train: bool = True, key: Any = None
):
    """(output, statistics): a module's result, and its normalisers' statistics.

    key: enables dropout; None disables it.
    """
    rngs = None if key is None else {"dropout": key}
    fed = (variables[INPUTS],) if INPUTS in variables else ()
    variables = {name: v for name, v in variables.items() if name != INPUTS}
    statistics = [name for name in variables if name != "params"]
    if not train or not statistics:
        unchanged = {name: variables[name] for name in statistics}
        return module.apply(variables, h, train, *fed, rngs=rngs), unchanged
    return module.apply(variables, h, train, *fed, mutable=statistics, rngs=rngs)


def init(key: jax.Array, net: Architecture, x: jax.Array) -> Variables:
    """Fresh variables; a stage's layer l depends on the key and l, not the depth."""
    key_stem, key_head, key_stages = jax.random.split(key, 3)
    stem = net.stem.init(key_stem, x, True)
    h = _after(_end("stem", net.stem, stem, True), x)
    stages, number = [], -1
    for stage in net.stages:
        number += stage.before == 0
        key_stage = jax.random.fold_in(key_stages, number)
        state, now = _zeros(h), ()
        if isinstance(state, Fed):
            state, now = state.state, (jax.tree.map(lambda a: a[0], state.inputs),)
        elif stage.fed is not None:
            now = (stage.fed[0],)

        def init_layer(index, layer=stage.layer, key=key_stage, example=(state, *now)):
            h, *now = example
            return layer.init(jax.random.fold_in(key, index), h, True, *now)

        if stage.tied:
            variables = init_layer(0)
        else:
            indices = stage.before + jax.numpy.arange(stage.depth)
            variables = jax.vmap(init_layer)(indices)
        h = _after(_repeated("stage", stage, variables, True), h)
        stages.append(variables)
    return Variables(stem, tuple(stages), net.head.init(key_head, _zeros(h), True))


def _after(link: Link, h: Tree) -> Tree:
    """The shapes of the state after a link."""
    return jax.eval_shape(
        lambda params, keywords, h: fold(
            [link._replace(params=params, keywords=keywords)], h
        )[0],
        *(link.params, dict(link.keywords), h),
    )


def _zeros(shapes: Tree) -> Tree:
    return jax.tree.map(lambda s: jax.numpy.zeros(s.shape, s.dtype), shapes)


def layer_at(stage: Stage, variables: Tree, index: Any) -> Tree:
    """The variables of one layer of a stage."""
    if stage.tied:
        return variables
    one = jax.lax.dynamic_index_in_dim
    return jax.tree.map(lambda a: one(a, index, 0, keepdims=False), variables)


def links(
    net: Architecture,
    variables: Variables,
    *,
    train: bool = True,
    key: Any = None,
    depths: tuple[Any, ...] | None = None,
) -> list[Link]:
    """The net's stem, a link for each stage, and its head.

    key: enables dropout; None disables it.
    depths: how many layers of each stage probes go through, from the first; all by
      default. They may be traced: one program then serves every depth, and costs what
      the depth does.
    """
    depths = depths or (None,) * len(net.stages)
    keys = _keys(net, key)
    stages = []
    for number, (stage, stacked, active) in enumerate(
        zip(net.stages, variables.stages, depths, strict=True)
    ):
        link = _repeated(f"stages[{number}]", stage, stacked, train, keys[number])
        stages.append(link._replace(active=active))
    stem = _end("stem", net.stem, variables.stem, train)
    return [stem, *stages, _end("head", net.head, variables.head, train)]


def by_stack(net: Architecture) -> list[list[Stage]]:
    """The stages that are of one stack: each alone, unless it was cut into several."""
    groups: list[list[Stage]] = []
    for stage in net.stages:
        if stage.before == 0:
            groups.append([])
        groups[-1].append(stage)
    return groups


def _keys(net: Architecture, key: Any) -> list[Any]:
    """Of each stage a key for each layer, [depth]; None where there is no key.

    A stack that was cut into several stages has the keys of the whole.
    """
    if key is None:
        return [None] * len(net.stages)
    keys = []
    for number, stack in enumerate(by_stack(net)):
        depth = sum(stage.depth for stage in stack)
        every = jax.random.split(jax.random.fold_in(key, number), depth)
        keys += [every[s.before : s.before + s.depth] for s in stack]
    return keys


def _end(name: str, module: nn.Module, variables: Tree, train: bool) -> Link:
    apply, params, keywords = _module(module, variables, train)
    return Link(name, apply, params, keywords=keywords, end=True)


def _repeated(
    name: str, stage: Stage, stacked: Tree, train: bool, keys: Any = None
) -> Link:
    """A stage's link. keys: for dropout, [depth]."""
    once = stage.depth == 1  # its state may change its shape, which a loop's cannot
    if once:
        stacked = layer_at(stage, stacked, 0)
    apply, params, keywords = _module(stage.layer, stacked, train)
    if stage.tied and keywords:
        raise ValueError(f"{name} is tied: its layers cannot share statistics")
    if keys is not None:
        keywords = {**keywords, "key": keys[0] if once else keys}
    if stage.fed is not None:
        keywords = {**keywords, "now": stage.fed[0] if once else stage.fed}
    return Link(
        name,
        apply,
        params,
        repeats=None if once else stage.depth,
        tied=stage.tied,
        keywords=keywords,
        activation=getattr(stage.layer, "activation", None),
        frugal=stage.frugal,
        segment=stage.segment,
    )


def _module(
    module: nn.Module, variables: Tree, train: bool
) -> tuple[Callable[..., WithStatistics], Tree, dict[str, Tree]]:
    """(apply, params, given) of a module's link."""
    statistics = {name: v for name, v in variables.items() if name != "params"}
    keywords = {"statistics": statistics} if statistics else {}
    return (
        functools.partial(_applied, module, train),
        variables.get("params", {}),
        keywords,
    )


def _applied(
    module: nn.Module,
    train: bool,
    params: Tree,
    h: Tree,
    *,
    statistics: Mapping[str, Tree] = NOTHING,
    key: Any = None,
    now: Tree = None,
    activation: Callable[[jax.Array], jax.Array] | None = None,
) -> WithStatistics:
    """What a module's link is: `Link.apply` says of what."""
    if activation is not None:
        module = module.clone(activation=activation)
    variables = {"params": params, **statistics}
    if now is not None:
        variables[INPUTS] = now
    return WithStatistics(*call(module, variables, h, train, key))


P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class Probe(Protocol[P, R]):
    """A function of links, that takes a net and its variables in their place too."""

    @overload
    def __call__(self, net: Sequence[Link], /, *a: P.args, **k: P.kwargs) -> R: ...
    @overload
    def __call__(
        self, net: Architecture, variables: Variables, /, *a: P.args, **k: P.kwargs
    ) -> R: ...


def of_links(probe: Callable[Concatenate[Sequence[Link], P], R]) -> Probe[P, R]:
    """The function of links, for nets of ours as well: f(net, variables, …)."""

    @functools.wraps(probe)
    def either(net: Any, *arguments: Any, **keywords: Any) -> Any:
        if isinstance(net, Architecture):
            net, arguments = links(net, arguments[0]), arguments[1:]
        return probe(net, *arguments, **keywords)

    return either


def apply(
    net: Architecture,
    variables: Variables,
    x: jax.Array,
    train: bool = True,
    key: Any = None,
):
    """(outputs [batch, outputs], statistics): the whole network, by plain scans.

    key: enables dropout; None disables it.
    """
    outputs, statistics = fold(links(net, variables, train=train, key=key), x)
    stem, *stages, head = statistics
    stacked = [
        jax.tree.map(lambda a: a[None], averages) if stage.depth == 1 else averages
        for stage, averages in zip(net.stages, stages, strict=True)
    ]
    return outputs, Variables(stem, tuple(stacked), head)
