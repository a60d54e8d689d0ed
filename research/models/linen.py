"""Flax Linen modules: initialised from the seed, or with variables that are given."""

from collections.abc import Mapping
from typing import Any

from depthbench.research.lazy import lazily
from depthbench.research.models.taken import Taken, Tree, called, shapes, tried

with lazily():
    import flax.linen as nn
    import jax


def is_one(model: Any) -> bool:
    """Whether the model is a Linen module."""
    return isinstance(model, nn.Module)


def taken(model: Any, inputs: Tree, seed: int, keywords: Mapping[str, Any]) -> Taken:
    """The module; its collections but for the parameters are the rest.

    The collections may be written to, as batch statistics are in training: what is
    written is dropped. Dropout and the like have keys of the seed. Raises Mistake.
    """
    bound = model.scope is not None
    if bound:  # as `model.bind(variables)` gives it
        model, variables = model.unbind()
    key = jax.random.key(seed)
    rngs = {"params": key, "dropout": jax.random.fold_in(key, 1)}

    def init(*given, **named):
        return model.init(rngs, *given, **named)

    if not bound:
        with tried("model", f"{type(model).__name__}.init({shapes(inputs)})"):
            variables = called(init, inputs, keywords)
    rest = {name: tree for name, tree in variables.items() if name != "params"}

    def apply(params: Tree, rest: Tree, x: Tree) -> Tree:
        def run(*given, **named):
            both = {"params": params, **rest}
            return model.apply(both, *given, rngs=rngs, mutable=[*rest], **named)

        outputs, _ = called(run, x, keywords)
        return outputs

    def parted(given: Any) -> tuple[Any, Any]:
        if not (isinstance(given, Mapping) and "params" in given):
            return given, None
        others = {name: given[name] for name in rest if name in given}
        return given["params"], others or None

    return Taken(apply, variables.get("params", {}), rest, not bound, parted)
