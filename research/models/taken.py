"""What each library's door gives: a model as a function of two trees of arrays."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
from jax.core import Tracer
from jax.sharding import AxisType, NamedSharding

from depthbench.research.catalogues.catalogue import Mistake

Tree = Any  # a pytree of arrays
LONGEST = 240  # letters that are given of another library's message


class Taken(NamedTuple):
    """A model, and the arrays that it computes with.

    apply: from the two trees and the inputs to the outputs, without side effects.
    params: the parameters. rest: other arrays that it reads, as statistics and keys.
    drawn: whether the rest is the seed's, so that trained parameters need their own.
    parted: from a user's parameters to (parameters, the rest; None where it is not given).
    """

    apply: Callable[[Tree, Tree, Tree], Tree]
    params: Tree
    rest: Tree = ()
    drawn: bool = False
    parted: Callable[[Any], tuple[Any, Any]] = lambda given: (given, None)


class Parts(NamedTuple):
    """A module that holds its own arrays, in parts.

    join: from the two trees to the module. parted: as `Taken.parted`.
    """

    params: Tree
    rest: Tree
    join: Callable[[Tree, Tree], Any]
    parted: Callable[[Any], tuple[Any, Any]]


def called(function: Callable, inputs: Tree, keywords: Mapping[str, Any]) -> Any:
    """What a function gives for the inputs: of a tuple the parts are arguments by place,
    of a dictionary by name.

    >>> called(pow, (2, 3), {}), called(dict, {"a": 1}, {"b": 2})
    (8, {'a': 1, 'b': 2})
    """
    if isinstance(inputs, tuple):
        return function(*inputs, **keywords)
    if isinstance(inputs, Mapping):
        return function(**inputs, **keywords)
    return function(inputs, **keywords)


def shapes(tree: Tree) -> str:
    """The arrays of inputs or outputs in words.

    >>> shapes((jax.numpy.zeros((4, 8)), {"mask": jax.numpy.zeros(4, bool)}))
    'float32[4, 8], mask bool[4]'
    """
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return ", ".join(
        f"{_name(path)}{leaf.dtype}{list(leaf.shape)}" for path, leaf in paths
    )


def _name(path: tuple) -> str:
    names = [str(key.key) for key in path if hasattr(key, "key")]
    return "/".join(names) + " " if names else ""


def placed_freely(argument: str, array: jax.Array) -> jax.Array:
    """The array. Raises Mistake where it is in shards of a mesh of explicit axes, in
    which each product is to be told what becomes of them."""
    sharding = None if isinstance(array, Tracer) else array.sharding
    if (
        isinstance(sharding, NamedSharding)
        and AxisType.Explicit in sharding.mesh.axis_types
        and any(sharding.spec)
    ):
        raise Mistake(
            f"{argument}: is in shards of a mesh of explicit axes: put it into one of "
            "jax.sharding.AxisType.Auto, or on one device"
        )
    return array


def line_of(error: BaseException) -> str:
    """The first line of an error, with its kind.

    >>> line_of(ValueError("no such\\nthing"))
    'ValueError: no such'
    """
    lines = (" ".join(line.split()) for line in str(error).splitlines())
    first = next(filter(None, lines), "")
    if len(first) > LONGEST:
        first = first[: LONGEST - 1] + "…"
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


@contextmanager
def tried(argument: str, what: str) -> Iterator[None]:
    """Within the block another's error is a line on the argument. Raises Mistake."""
    try:
        yield
    except Mistake:
        raise
    except Exception as error:  # the model is the user's, and may raise anything
        line = line_of(error)
        raise Mistake(f"{argument}: {what}: {line}{_hint(error)}") from None


# What a message has in it, and what then helps.
HINTS = (
    ("deterministic", 'give kwargs={"deterministic": True}, or False'),
    ("use_running_average", 'give kwargs={"train": …} or as the model names it'),
    ("__array__", "the model is traced: jax.numpy in the place of NumPy"),
    ("boolean conversion", "the model is traced: jnp.where in the place of if"),
    ("missing 1 required", "further arguments are given as kwargs={…}"),
    ("`key` argument", 'give kwargs={"key": jax.random.key(0)}'),
)


def _hint(error: BaseException) -> str:
    text = str(error)
    found = [hint for sign, hint in HINTS if sign in text]
    return f" ({found[0]})" if found else ""
