"""The arrays of a model by name, and a user's own put in their places."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from depthbench.research.catalogues.catalogue import Mistake, nearest
from depthbench.research.lazy import lazily
from depthbench.research.models import orbax_arrays
from depthbench.research.models.taken import Taken, Tree, line_of, placed_freely

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

Arrays = dict[str, Any]  # by name, "Dense_0/kernel"


class Layout(NamedTuple):
    """The names of a model's arrays, in the order of its trees, and the trees."""

    params: tuple[str, ...]
    rest: tuple[str, ...]
    trees: tuple[Any, Any]

    def apart(self, arrays: Mapping[str, Any]) -> tuple[Tree, Tree]:
        """The two trees of these arrays."""
        names = (self.params, self.rest)
        first, second = (
            jax.tree.unflatten(tree, [arrays[name] for name in each])
            for tree, each in zip(self.trees, names, strict=True)
        )
        return first, second


def layout_of(taken: Taken) -> tuple[Layout, Arrays]:
    """The layout of a model, and its arrays by name. Raises Mistake."""
    params, rest = named(taken.params), named(taken.rest)
    if not params:
        raise Mistake("params: the model has no parameters, so nothing to probe")
    rest = {name if name not in params else f"{name}~": a for name, a in rest.items()}
    trees = (jax.tree.structure(taken.params), jax.tree.structure(taken.rest))
    arrays = {name: array(name, leaf) for name, leaf in {**params, **rest}.items()}
    return Layout(tuple(params), tuple(rest), trees), arrays


def named(tree: Tree) -> Arrays:
    """The leaves by their paths; names that two would have end in ~.

    >>> named({"dense": {"kernel": 1}, "scales": [2, 3]})
    {'dense/kernel': 1, 'scales/0': 2, 'scales/1': 3}
    """
    leaves: Arrays = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        name = name.removesuffix("/value") or "params"  # NNX has its own in a field
        while name in leaves:
            name += "~"
        leaves[name] = leaf
    return leaves


def array(name: str, leaf: Any) -> Any:
    """A leaf of params as an array. Raises Mistake."""
    if isinstance(leaf, jax.Array):
        return placed_freely(f"params: {name}", leaf)
    root = type(leaf).__module__.partition(".")[0]
    if not isinstance(leaf, np.ndarray | np.generic | float | int):
        what = (
            f"{root}.{type(leaf).__name__}" if root != "builtins" else repr(leaf)[:60]
        )
        raise Mistake(f"params: {name} is no array but {what}")
    try:
        return jnp.asarray(leaf)
    except Exception as error:  # of text and objects
        raise Mistake(
            f"params: {name} is no array of numbers: {line_of(error)}"
        ) from None


def placed(taken: Taken, layout: Layout, drawn: Arrays, given: Any) -> Arrays:
    """The model's arrays, those that are given in their places.

    given: a tree of the model's form, or of its variables; another of the user's models;
    a list of leaves; or the path of a folder that Orbax has written. Raises Mistake,
    naming the first leaf that differs.
    """
    if isinstance(given, str | os.PathLike):
        return _restored(taken, layout, drawn, given)
    params, rest = taken.parted(given)
    leaves = _leaves(layout, params)
    others = {n: leaves.pop(n) for n in layout.rest if n in leaves}  # all in one state
    if rest is not None:
        others = named(rest)
    arrays = {**drawn, **_fitting(layout.params, drawn, leaves)}
    if others:
        arrays.update(_fitting(layout.rest, drawn, others))
    elif taken.drawn and layout.rest:
        collections = ", ".join(dict.fromkeys(n.partition("/")[0] for n in layout.rest))
        raise Mistake(
            f"params: the model has {collections} too: give all its variables, "
            "{'params': …, " + f"'{layout.rest[0].partition('/')[0]}': …" + "}"
        )
    return arrays


def check_finite(arrays: Mapping[str, Any]) -> None:
    """Raises Mistake for the first array with a NaN or an infinity in it."""
    for name, leaf in arrays.items():
        floats = jnp.issubdtype(leaf.dtype, jnp.floating)
        if floats and not bool(jnp.all(jnp.isfinite(leaf))):
            raise Mistake(f"params: {name} is not finite everywhere")


def _leaves(layout: Layout, params: Any) -> Arrays:
    """The given leaves by name; those of a list that is none itself by their order."""
    leaves = named(params)
    if not isinstance(params, list) or set(leaves) == set(layout.params):
        return leaves
    if len(params) != len(layout.params):
        counts = f"{len(params)} leaves, the model {len(layout.params)}"
        raise Mistake(
            f"params: the list has {counts}: {', '.join(layout.params[:3])}, …"
        )
    return dict(zip(layout.params, params, strict=True))


def _fitting(names: Sequence[str], drawn: Arrays, leaves: Arrays) -> Arrays:
    """The leaves of these names. Raises Mistake for the first that is unlike the drawn."""
    for name in names:
        if name not in leaves:
            there = ", ".join(list(leaves)[:3]) + ", …" * (len(leaves) > 3)
            raise Mistake(
                f"params: {name} {_form(drawn[name])} is missing; there is "
                f"{there or 'nothing'}"
            )
    for name in leaves:
        if name not in names:
            hint = nearest(name, names, f"the model's {len(names)}")
            raise Mistake(f"params: {name} is none of the model's: {hint}")
    made = {name: array(name, leaves[name]) for name in names}
    for name, leaf in made.items():
        like = drawn[name]
        kinds = [jnp.issubdtype(a.dtype, jnp.inexact) for a in (leaf, like)]
        if leaf.shape != like.shape or kinds[0] != kinds[1]:
            raise Mistake(f"params: {name} is {_form(leaf)}, not {_form(like)}")
    return made


def _form(leaf: Any) -> str:
    return f"{leaf.dtype}{list(leaf.shape)}"


def _restored(taken: Taken, layout: Layout, drawn: Arrays, path: Any) -> Arrays:
    """The arrays from a folder, which may have more than the model's. Raises Mistake."""
    trees = orbax_arrays.candidates(orbax_arrays.tree(path))
    wanted = set(layout.params)
    for tree in trees:
        params, rest = taken.parted(tree)
        leaves = named(params)
        if wanted <= set(leaves):
            known = {name: leaves[name] for name in layout.params}
            arrays = {**drawn, **_fitting(layout.params, drawn, known)}
            others = leaves if rest is None else named(rest)
            # Keys and counts stay the seed's, and the module's own.
            floats = [
                n for n in layout.rest if jnp.issubdtype(drawn[n].dtype, jnp.inexact)
            ]
            there = {n: others[n] for n in floats if n in others}
            return arrays | _fitting(floats if taken.drawn else [*there], drawn, there)
    leaves = max(
        (named(tree) for tree in trees), key=lambda each: len(wanted & {*each})
    )
    missing = next(name for name in layout.params if name not in leaves)
    hint = nearest(missing, leaves, f"{len(leaves)} arrays")
    raise Mistake(f"params: {path} has no {missing}: {hint}")
