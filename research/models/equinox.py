"""Equinox modules: of one example, as they mostly are, or of a batch.

Equinox is looked for among what the user has imported, and is never imported here.
"""

import sys
from collections.abc import Mapping
from typing import Any

from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.lazy import lazily
from depthbench.research.models.taken import Parts, Taken, Tree, called, line_of, shapes

with lazily():
    import jax


def is_one(model: Any) -> bool:
    """Whether the model is an Equinox module."""
    return isinstance(model, sys.modules["equinox"].Module)


def taken(model: Any, inputs: Tree, seed: int, keywords: Mapping[str, Any]) -> Taken:
    """The module: its floating-point arrays are the parameters.

    It is mapped over the batch's examples, a `key` is split among them; a module that
    takes no single example is given the batch. Raises Mistake where neither can be.
    """
    if not callable(model):
        raise Mistake(f"model: {type(model).__name__} has no __call__")
    parts = apart(model)

    def whole(params: Tree, rest: Tree, x: Tree) -> Tree:
        return called(parts.join(params, rest), x, keywords)

    def mapped(params: Tree, rest: Tree, x: Tree) -> Tree:
        module = parts.join(params, rest)
        key = keywords.get("key")
        if key is None:
            return jax.vmap(lambda one: called(module, one, keywords))(x)
        keys = jax.random.split(key, jax.tree.leaves(x)[0].shape[0])
        each = lambda one, key: called(module, one, {**keywords, "key": key})
        return jax.vmap(each)(x, keys)

    failures = []
    for apply in (mapped, whole):
        try:
            jax.eval_shape(apply, parts.params, parts.rest, inputs)
        except Exception as error:  # of the user's module: anything
            failures.append(line_of(error))
            continue
        return Taken(apply, parts.params, parts.rest, False, parts.parted)
    raise Mistake(
        f"model: {type(model).__name__} takes neither an example nor all of "
        f"{shapes(inputs)}: {failures[0]}; as a batch: {failures[1]} (another call: "
        "probe(lambda model, x: …, batch, params=model))"
    )


def apart(model: Any) -> Parts:
    """The module's parts."""
    equinox = sys.modules["equinox"]
    params, other = equinox.partition(model, equinox.is_inexact_array)
    rest, static = equinox.partition(other, equinox.is_array)

    def parted(given: Any) -> tuple[Any, Any]:
        if not is_one(given):
            return given, None
        params, other = equinox.partition(given, equinox.is_inexact_array)
        return params, equinox.filter(other, equinox.is_array)

    join = lambda params, rest: equinox.combine(params, rest, static)
    return Parts(params, rest, join, parted)
