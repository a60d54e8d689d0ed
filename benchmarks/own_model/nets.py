"""What a cell names: a user's net at a depth, as a function of parameters and inputs.

What is wrong with it is one line with the flag, or with the user's own file and line.
"""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from depthbench.benchmarks.own_model import typed
from depthbench.research.catalogues import modules
from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.models import batch as batches
from depthbench.research.models.functional import Functional, functional
from depthbench.research.models.makers import draws_later, made, maker
from depthbench.research.models.taken import line_of
from depthbench.research.signal import model_states
from depthbench.research.study.declaration import Cell
from depthbench.research.study.errors import Refusal


class OutOfMemory(MemoryError):
    """A host or a device has no memory left."""


def inputs(cell: Cell) -> Any:
    """The inputs [as --input says]: standard normal numbers, or tokens; the same always."""
    drawn = []
    for number, shape in enumerate(typed.shapes(str(cell["input"]))):
        key = jax.random.fold_in(jax.random.key(0), number)
        if cell["tokens"] is None:
            drawn.append(jax.random.normal(key, shape))
        else:
            drawn.append(jax.random.randint(key, shape, 0, int(cell["tokens"])))
    return drawn[0] if len(drawn) == 1 else tuple(drawn)


def net(cell: Cell, seed: int, x: Any = None) -> Functional:
    """The cell's net of a seed; x: its inputs, where they are there already.

    Raises Refusal for what its author can mend. Of a dtype, all floats among the
    parameters and inputs are cast to it.
    """
    how = maker(modules.named(str(cell["model"])))
    with blamed(name_of(cell)):
        model = made(how, cell["depth"], seed)
    loss = modules.named(str(cell["loss"])) if cell["loss"] else None
    x = inputs(cell) if x is None else x
    keywords = json.loads(str(cell["kwargs"])) if cell["kwargs"] else None
    with blamed(f"{name_of(cell)}, on inputs {cell['input']}{_loss_of(cell)}"):
        # A loss of two arguments compares outputs with the inputs, as language models do.
        batch = (x, x) if callable(loss) and batches.arguments(loss) == 2 else x
        whole = functional(model, batch, loss, seed=seed, kwargs=keywords)
    return whole if cell["dtype"] is None else cast(whole, str(cell["dtype"]))


def _loss_of(cell: Cell) -> str:
    return f", --loss {cell['loss']}" if cell["loss"] else ""


def draws(cell: Cell) -> bool:
    """Whether the net's parameters are drawn: else all seeds have the same."""
    how = maker(modules.named(str(cell["model"])))
    with blamed(name_of(cell)):
        model = made(how, cell["depth"], 0)
    return bool(how.random) or draws_later(model)


def cast(net: Functional, dtype: str) -> Functional:
    """The net with its parameters and inputs, those that are floats, of another dtype.

    Statistics, as of batch norm, stay as they are, and so does what the net computes in
    a dtype that it names itself.
    """

    def of(leaf: Any) -> Any:
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    params = {n: a if n in net.rest else of(a) for n, a in net.params.items()}
    return net._replace(params=params, x=jax.tree.map(of, net.x))


def name_of(cell: Cell) -> str:
    """The model as it is spoken of: "my.module:make at depth 4"."""
    depth = cell["depth"]
    return f"{cell['model']}{'' if depth is None else f' at depth {depth}'}"


def check(cell: Cell, whole: bool) -> None:
    """Raises Refusal where the cell's net cannot be probed.

    whole: cut it into segments, too.
    """
    how = maker(modules.named(str(cell["model"])))
    if cell["loss"]:  # imported here, and not within a trace
        modules.named(str(cell["loss"]))
    with blamed(name_of(cell)):
        model = made(how, cell["depth"], 0)
    if draws_later(model) and not whole:  # whose parameters any program may draw
        x = inputs(cell)
        jax.eval_shape(lambda: net(cell, 0, x).params)
        return
    given = net(cell, 0)
    if whole:
        with blamed(f"{name_of(cell)}{_loss_of(cell)}"):
            model_states.network(given)


@contextlib.contextmanager
def blamed(what: str) -> Iterator[None]:
    """Makes of an error in the user's code a Refusal: what, why, in which file and line.

    What memory lacks is no mistake of theirs.
    """
    try:
        yield
    except (Refusal, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        if any(word in str(error) for word in ("RESOURCE_EXHAUSTED", "MemoryError")):
            raise OutOfMemory(str(error)) from error
        raise Refusal(f"{what}: {_why(error)}{_where(error)}") from error


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, Mistake) else line_of(error)


def _where(error: BaseException) -> str:
    """The user's file and line; of a Mistake of ours, those of what it was made of."""
    cause = error.__context__ if isinstance(error, Mistake) else error
    return "" if cause is None else modules.place(cause)
