"""Flax NNX modules: parted into parameters and the rest, and never changed."""

from collections.abc import Mapping
from typing import Any

from depthbench.research.lazy import lazily
from depthbench.research.models.taken import Parts, Taken, Tree, called

with lazily():
    from flax import nnx


def is_one(model: Any) -> bool:
    """Whether the model is an NNX module."""
    return isinstance(model, nnx.Module)


def taken(model: Any, inputs: Tree, seed: int, keywords: Mapping[str, Any]) -> Taken:
    """The module as it is: its parameters (`nnx.Param`), statistics and keys.

    Each call is one of a copy, so that neither statistics nor counts of keys change.
    """
    parts = apart(model)

    def apply(params: Tree, rest: Tree, x: Tree) -> Tree:
        copies = {name: _copy(value) for name, value in keywords.items()}
        return called(parts.join(params, rest), x, copies)

    return Taken(apply, parts.params, parts.rest, False, parts.parted)


def apart(model: Any) -> Parts:
    """The module's parts."""
    graph, params, rest = nnx.split(model, nnx.Param, ...)

    def parted(given: Any) -> tuple[Any, Any]:
        if not is_one(given):
            return given, None
        _, params, rest = nnx.split(given, nnx.Param, ...)
        return params, rest

    return Parts(params, rest, lambda p, r: nnx.merge(graph, p, r), parted)


def _copy(value: Any) -> Any:
    return nnx.clone(value) if isinstance(value, nnx.Module | nnx.Rngs) else value


def rngs(seed: int) -> Any:
    """NNX's random numbers of a seed, as modules are built with."""
    return nnx.Rngs(seed)
