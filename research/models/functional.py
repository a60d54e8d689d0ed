"""A model, a batch and a loss as a pure function, for `research.signal.segments`."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from research.catalogues.catalogue import Mistake

Tree = Any  # a pytree of arrays


class Functional(NamedTuple):
    """loss(f(params, x)), and where it is looked at.

    f: from the parameters and the inputs to the outputs, without side effects.
    loss: from the outputs to a scalar.
    """

    f: Callable[[Tree, Tree], Tree]
    params: Tree
    x: Tree
    loss: Callable[[Tree], Any]


def functional(
    model: Any,
    batch: Any,
    loss: Callable | None = None,
    params: Any = None,
    seed: int = 0,
) -> Functional:
    """The model as a Functional.

    model: a Linen module, an NNX or an Equinox one, what Haiku's transform gives, or any
      function of (params, inputs).
    batch: what the model reads; or (inputs, targets) where the loss takes two arguments,
      outputs and targets. Of inputs a tuple's parts are arguments by place, a
      dictionary's by name.
    loss: from outputs, or outputs and targets, to a scalar; without it, the outputs'
      products with fixed random numbers, summed.
    params: trained ones, in the place of those that the seed draws.
    Raises Mistake, naming the argument that does not fit.
    """
    inputs, end = _ended(batch, loss)
    if hasattr(model, "init") and hasattr(model, "apply"):  # Linen
        variables = model.init(jax.random.key(seed), inputs)
        rest = {name: v for name, v in variables.items() if name != "params"}
        drawn = variables["params"] if params is None else params
        return Functional(
            lambda p, x: model.apply({"params": p, **rest}, x), drawn, inputs, end
        )
    if not callable(model):
        raise Mistake(f"model: a {type(model).__name__} is no model")
    if params is None:
        raise Mistake("params: a function needs them: probe(f, batch, loss, params=…)")
    return Functional(model, params, inputs, end)


def _ended(batch: Any, loss: Callable | None) -> tuple[Any, Callable[[Tree], Any]]:
    if loss is None:
        return batch, _projected
    if len(inspect.signature(loss).parameters) < 2:
        return batch, loss
    inputs, targets = batch
    return inputs, lambda outputs: loss(outputs, targets)


def _projected(outputs: Tree) -> Any:
    leaves = jax.tree.leaves(outputs)
    keys = jax.random.split(jax.random.key(0), len(leaves))
    parts = [
        jnp.vdot(jax.random.normal(key, leaf.shape, leaf.dtype), leaf)
        for key, leaf in zip(keys, leaves, strict=True)
    ]
    return sum(parts[1:], start=parts[0])
