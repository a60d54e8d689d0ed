"""A model, a batch and a loss as a pure function, for `research.signal.segments`."""

import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.lazy import lazily
from depthbench.research.models import batch as batches
from depthbench.research.models import equinox, haiku, linen, nnx, parameters
from depthbench.research.models.parameters import Arrays
from depthbench.research.models.taken import Taken, Tree, called, shapes, tried

with lazily():
    import jax

# Where a library's models are known by: looked for only if the user has imported it.
DOORS: tuple[tuple[str, ModuleType], ...] = (
    ("flax", linen),
    ("flax", nnx),
    ("equinox", equinox),
    ("haiku", haiku),
)
OTHERS = ("torch", "keras", "tensorflow", "tf_keras", "sklearn", "transformers")
KNOWN = (
    "a Flax module (Linen, NNX), an Equinox or a Haiku one, or a function f(params, x)"
)


class Functional(NamedTuple):
    """loss(f(params, x)), and where it is looked at.

    f: from the parameters and the inputs to the outputs, without side effects.
    params: all arrays of the model by name, "Dense_0/kernel".
    loss: from the outputs to a scalar.
    rest: the names in `params` of what is no parameter: statistics, keys, counts.
    placed: from a user's trained parameters, in any form they may have, to `params`.
    """

    f: Callable[[Tree, Tree], Tree]
    params: Arrays
    x: Tree
    loss: Callable[[Tree], Any]
    rest: frozenset[str] = frozenset()
    placed: Callable[[Any], Arrays] = dict

    def parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Of values by name those of parameters, in the model's order."""
        return {n: values[n] for n in self.params if n in values and n not in self.rest}


def functional(
    model: Any,
    batch: Any,
    loss: Callable | None = None,
    params: Any = None,
    seed: int = 0,
    kwargs: Mapping[str, Any] | None = None,
) -> Functional:
    """The model as a Functional.

    model: a Linen module, an NNX or an Equinox one, what Haiku's transform gives, a
      function of (params, inputs), or the pair (function, params).
    batch: what the model reads; or (inputs, targets) where the loss takes two arguments,
      outputs and targets. Of inputs a tuple's parts are arguments by place, a
      dictionary's by name.
    loss: from outputs, or outputs and targets, to a scalar; without it, the outputs'
      products with fixed random numbers, summed.
    params: trained ones, in the place of those that the seed draws: a tree of the model's
      form, or the path of a folder that Orbax has written.
    kwargs: further arguments of the call, such as {"train": True}.
    Nothing of the user's is changed. Raises Mistake, naming the argument that does not
    fit.
    """
    _check_values(seed, kwargs)
    inputs, end = batches.ended(batch, loss)
    taken = _taken(model, inputs, params, seed, kwargs or {})
    layout, drawn = parameters.layout_of(taken)

    def placed(given: Any) -> Arrays:
        return parameters.placed(taken, layout, drawn, given)

    arrays = drawn
    if params is not None:
        arrays = placed(params)
        parameters.check_finite(arrays)

    def f(params: Arrays, x: Tree) -> Tree:
        return taken.apply(*layout.apart(params), x)

    _check(model, f, arrays, inputs, end, loss is not None)
    return Functional(f, arrays, inputs, end, frozenset(layout.rest), placed)


def _taken(
    model: Any, inputs: Tree, params: Any, seed: int, keywords: Mapping[str, Any]
) -> Taken:
    _check_kind(model)
    for library, door in DOORS:
        if library in sys.modules and door.is_one(model):
            return door.taken(model, inputs, seed, keywords)
    if isinstance(model, tuple) and len(model) == 2 and callable(model[0]):
        model, own = model
        params = own  # what `params=` gives is put in the places of these
    if not callable(model):
        raise Mistake(f"model: {_short(model)} is none: give {KNOWN}")
    if params is None:
        raise Mistake("params: a function needs them: probe(f, batch, loss, params=…)")
    return _function(model, params, keywords)


def _short(model: Any) -> str:
    text = " ".join(repr(model).split())
    return text if len(text) <= 60 else type(model).__name__


def _function(model: Callable, params: Any, keywords: Mapping[str, Any]) -> Taken:
    """A function of (params, *inputs); params may be a module that it calls."""
    held = _module(params)

    def apply(params: Tree, rest: Tree, x: Tree) -> Tree:
        whole = params if held is None else held.join(params, rest)
        run = lambda *given, **named: model(whole, *given, **named)
        return called(run, x, keywords)

    if held is None:
        return Taken(apply, params)
    return Taken(apply, held.params, held.rest, False, held.parted)


def _module(params: Any) -> Any:
    """A module in the place of parameters, in its parts; None if it is none."""
    for library, door in DOORS:
        apart = getattr(door, "apart", None)
        if apart is not None and library in sys.modules and door.is_one(params):
            return apart(params)
    return None


def _check_values(seed: Any, kwargs: Any) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise Mistake(f"seed: {seed!r:.60}: must be a whole number from 0 to 2³² − 1")
    names = kwargs if isinstance(kwargs, Mapping) else [] if kwargs is None else [None]
    if not all(isinstance(name, str) for name in names):
        raise Mistake(
            f"kwargs: {kwargs!r:.60}: must be a dictionary, {{'train': True}}"
        )


def _check_kind(model: Any) -> None:
    """Raises Mistake for a class, and for what is no JAX function."""
    classes = model.__mro__ if isinstance(model, type) else type(model).__mro__
    roots = [each.__module__.partition(".")[0] for each in classes]
    foreign = next((root for root in OTHERS if root in roots), None)
    if foreign == "torch":
        raise Mistake("model: torch.nn: depthbench probes JAX functions")
    if foreign:
        raise Mistake(
            f"model: a {foreign} {classes[0].__name__}: depthbench probes JAX functions"
        )
    if isinstance(model, type):
        raise Mistake(
            f"model: {model.__name__} is a class: give an instance, {model.__name__}(…)"
        )


def _check(
    model: Any, f: Callable, params: Arrays, inputs: Tree, end: Callable, given: bool
) -> None:
    """Runs model and loss on shapes alone. Raises Mistake where one does not fit."""
    name = getattr(model, "__name__", type(model).__name__)
    with tried("model", f"{name}({shapes(inputs)})"):
        outputs = jax.eval_shape(f, params, inputs)
    batches.check_loss(end, outputs, given)
