"""What a cell names: a user's net at a depth, as a function of parameters and inputs.

What is wrong with it is one line with the flag, or with the user's own file and line.
"""

import contextlib
import inspect
import math
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.own_model import shapes
from research.catalogues import modules
from research.catalogues.catalogue import Mistake
from research.models.functional import Functional, functional
from research.signal import segments
from research.study.declaration import Cell
from research.study.errors import Refusal

RANDOM = ("key", "seed", "rngs")  # names of the argument that parameters are drawn from
OURS = Path(__file__).resolve().parents[2]


class OutOfMemory(Exception):
    """A device has no memory left."""


class Maker(NamedTuple):
    """How a model is made of what the user has named.

    depth: the argument that takes it; "" for one that has no depth.
    random: the argument that parameters are drawn from; "" for one that draws none.
    """

    target: Any
    calls: bool
    depth: str
    random: str


def maker(target: Any) -> Maker:
    """A function, or a class with a `depth`, is called with it; a model is as it is."""
    makes = inspect.isclass(target) or inspect.isroutine(target)
    makes = makes or hasattr(target, "func")  # functools.partial
    if not makes:
        return Maker(target, False, "", "")
    names = list(inspect.signature(target).parameters)
    random = next((name for name in RANDOM if name in names), "")
    others = [name for name in names if name not in RANDOM]
    if not inspect.isroutine(target):  # of a class's fields one may be it
        others = [name for name in others if name == "depth"]
    return Maker(target, True, others[0] if others else "", random)


def made(maker: Maker, depth: Any, seed: int) -> tuple[Any, Any]:
    """(the model, its parameters; None where `functional` draws or takes them)."""
    given: dict[str, Any] = {maker.depth: depth} if maker.depth else {}
    if maker.random:
        given[maker.random] = _random(maker.random, seed)
    model = maker.target(**given) if maker.calls else maker.target
    if isinstance(model, tuple) and len(model) == 2 and callable(model[0]):
        return model
    return model, None


def _random(name: str, seed: int) -> Any:
    if name == "seed":
        return seed
    if name == "key":
        return jax.random.key(seed)
    return sys.modules["flax.nnx"].Rngs(seed)  # whose module has been imported


def inputs(cell: Cell) -> Any:
    """The inputs [as --input says]: standard normal numbers, or tokens; the same always."""
    drawn = []
    for number, shape in enumerate(shapes.of(str(cell["input"]))):
        key = jax.random.fold_in(jax.random.key(0), number)
        if cell["tokens"] is None:
            drawn.append(jax.random.normal(key, shape))
        else:
            drawn.append(jax.random.randint(key, shape, 0, int(cell["tokens"])))
    return drawn[0] if len(drawn) == 1 else tuple(drawn)


def net(cell: Cell, seed: int) -> Functional:
    """The cell's net of a seed. Raises Refusal for what its author can mend.

    Of a dtype, all floats among the parameters and inputs are cast to it.
    """
    how = maker(modules.named(str(cell["model"])))
    with blamed(name_of(cell)):
        model, params = made(how, cell["depth"], seed)
    loss = modules.named(str(cell["loss"])) if cell["loss"] else None
    if loss is not None and not callable(loss):
        raise Refusal(f"--loss {cell['loss']}: is no function")
    x = inputs(cell)
    # A loss of two arguments compares outputs with the inputs, as language models do.
    with blamed(f"{name_of(cell)}, on inputs {cell['input']}"):
        batch = (x, x) if loss is not None and _takes_two(loss) else x
        whole = functional(model, batch, loss, params=params, seed=seed)
    return whole if cell["dtype"] is None else cast(whole, str(cell["dtype"]))


def draws(cell: Cell) -> bool:
    """Whether the net's parameters are drawn: else all seeds have the same."""
    how = maker(modules.named(str(cell["model"])))
    with blamed(name_of(cell)):
        model, _ = made(how, cell["depth"], 0)
    return bool(how.random) or _is_linen(model)


def _is_linen(model: Any) -> bool:
    return hasattr(model, "init") and hasattr(model, "apply")


def _takes_two(loss: Callable) -> bool:
    return len(inspect.signature(loss).parameters) > 1


def cast(net: Functional, dtype: str) -> Functional:
    """The net with its parameters and inputs, those that are floats, of another dtype."""

    def of(leaf: Any) -> Any:
        floats = jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating)
        return jnp.asarray(leaf, dtype) if floats else leaf

    return net._replace(params=jax.tree.map(of, net.params), x=jax.tree.map(of, net.x))


def name_of(cell: Cell) -> str:
    """The model as it is spoken of: "my.module:make at depth 4"."""
    depth = cell["depth"]
    return f"{cell['model']}{'' if depth is None else f' at depth {depth}'}"


def check(cell: Cell, whole: bool) -> None:
    """Raises Refusal where the cell's net cannot be probed; nothing is computed of it.

    whole: cut it into segments, too.
    """
    # Parameters of Linen are drawn in the trace, as in any program of its users'.
    how = maker(modules.named(str(cell["model"])))
    if cell["loss"]:
        modules.named(str(cell["loss"]))
    with blamed(name_of(cell)):
        model, _ = made(how, cell["depth"], 0)
    lazy = _is_linen(model) and not whole

    def value(given: Functional) -> Any:
        with blamed(f"{name_of(cell)}, on inputs {cell['input']}"):
            outputs = given.f(given.params, given.x)
        with blamed(f"--loss {cell['loss'] or 'of fixed random numbers'}"):
            return given.loss(outputs)

    if lazy:
        shape = jax.eval_shape(lambda: value(net(cell, 0)))
    else:
        given = net(cell, 0)
        trial = lambda params, x: value(given._replace(params=params, x=x))
        shape = jax.eval_shape(trial, given.params, given.x)
    _check_loss(cell, shape)
    if whole:
        with blamed(name_of(cell)):
            network(given)


def _check_loss(cell: Cell, value: Any) -> None:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape != () or dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        what = (
            f"{dtype}[{', '.join(map(str, shape))}]"
            if dtype is not None
            else "no array"
        )
        raise Refusal(
            f"--loss {cell['loss'] or 'default'}: gives {what}; it must be one real number"
        )


@contextlib.contextmanager
def blamed(what: str) -> Iterator[None]:
    """Makes of an error in the user's code a Refusal: what, why, in which file and line.

    What memory lacks is no mistake of theirs.
    """
    try:
        yield
    except (Refusal, MemoryError, OutOfMemory):
        raise
    except Mistake as error:
        raise Refusal(f"{what}: {error}") from error
    except Exception as error:
        if "RESOURCE_EXHAUSTED" in str(error):  # what the runner looks for
            raise OutOfMemory(str(error)) from error
        raise Refusal(f"{what}: {_why(error)}{_where(error)}") from error


def _why(error: Exception) -> str:
    line = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {line.strip()}".removesuffix(": ")


def _where(error: Exception) -> str:
    """The last line of code that is neither ours nor a package's."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [
        frame
        for frame in frames
        if "site-packages" not in frame.filename
        and not Path(frame.filename).is_relative_to(OURS / "research")
        and not Path(frame.filename).is_relative_to(OURS / "benchmarks")
        and Path(frame.filename).is_file()
    ]
    return f" ({theirs[-1].filename}, line {theirs[-1].lineno})" if theirs else ""


def network(net: Functional) -> segments.Network:
    """The net in segments."""
    return segments.network(net.f, net.params, net.x, net.loss)


def batched(network: segments.Network, x: Any) -> np.ndarray:
    """[states] whose values all have the batch's axis in front, as the inputs have."""
    batch = next((a.shape[0] for a in jax.tree.leaves(x) if np.ndim(a)), None)
    avals = network.listing.avals
    return np.array(
        [
            all(avals[v].shape[:1] == (batch,) for v in state.values)
            for state in network.states()
        ],
        bool,
    )


def memory(network: segments.Network) -> int:
    """Bytes that probing takes: all that is handed on, and as much of gradients."""
    listing = network.listing
    values = {*listing.parameters, *listing.inputs}
    for segment in (*network.asides, *network.segments):
        values.update(segment.writes)
    return 2 * sum(_bytes(listing.avals[value]) for value in values)


def _bytes(aval: Any) -> int:
    return math.prod(aval.shape) * getattr(aval.dtype, "itemsize", 16)
