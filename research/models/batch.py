"""A batch and a loss as a user gives them: inputs, and a scalar of the outputs."""

import inspect
from collections.abc import Callable
from typing import Any

from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.lazy import lazily
from depthbench.research.models.taken import Tree, placed_freely, shapes, tried

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

# What is converted by a method of its own, and how.
OTHERS = {
    "torch": "tensor.numpy()",
    "tensorflow": "tensor.numpy()",
    "pandas": "frame.to_numpy()",
    "polars": "frame.to_numpy()",
}


def ended(batch: Any, loss: Callable | None) -> tuple[Tree, Callable[[Tree], Any]]:
    """(the inputs as arrays, from outputs to a scalar). Raises Mistake."""
    if loss is None:
        return arrays("batch", batch), projected
    if not callable(loss):
        raise Mistake(f"loss: {loss!r:.60} is no function of outputs")
    if arguments(loss) == 1:
        return arrays("batch", batch), loss
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise Mistake(
            "batch: the loss takes outputs and targets, so the batch is "
            f"(inputs, targets), not {_kind(batch)}"
        )
    inputs = arrays("batch: its inputs", batch[0])
    targets = arrays("batch: its targets", batch[1], least=1)
    return inputs, lambda outputs: loss(outputs, targets)


def arguments(loss: Callable) -> int:
    """1 or 2: outputs, or outputs and targets. Raises Mistake.

    >>> arguments(lambda outputs: 0), arguments(lambda outputs, targets, axis=-1: 0)
    (1, 2)
    """
    try:
        signature = inspect.signature(loss)
    except (TypeError, ValueError):  # of some built-in functions
        return 1
    empty = inspect.Parameter.empty
    needed = [p for p in signature.parameters.values() if p.default is empty]
    by_place = [
        p for p in needed if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    by_name = [p.name for p in needed if p.kind == p.KEYWORD_ONLY]
    if by_name or len(by_place) not in (1, 2):
        names = ", ".join([*(p.name for p in by_place), *by_name]) or "none"
        raise Mistake(
            f"loss: takes outputs, or outputs and targets; its arguments are {names}"
        )
    return len(by_place)


def arrays(argument: str, tree: Tree, least: int = 2) -> Tree:
    """The tree with its leaves as jax's arrays.

    Raises Mistake for what is no array, is empty or has NaN in it, and for fewer
    examples than `least`: a correlation is one of two.
    """
    if tree is None:
        raise Mistake(f"{argument}: is None")
    leaves, form = jax.tree.flatten(tree)
    if not leaves:
        raise Mistake(f"{argument}: has no arrays in it")
    made = [_array(argument, leaf) for leaf in leaves]
    sizes = [a.shape[0] for a in made if a.ndim]
    if sizes and max(sizes) < least:
        raise Mistake(
            f"{argument}: has {sizes[0]} example; correlations and a mean gradient want "
            "2 or more"
        )
    return jax.tree.unflatten(form, made)


def _array(argument: str, leaf: Any) -> Any:
    root = type(leaf).__module__.partition(".")[0]
    if root in OTHERS:
        raise Mistake(
            f"{argument}: a {root}.{type(leaf).__name__}: depthbench probes JAX "
            f"functions; give {OTHERS[root]}"
        )
    if not isinstance(leaf, jax.Array | np.ndarray | np.generic):
        hint = (
            " (a list of numbers: np.asarray)" if isinstance(leaf, int | float) else ""
        )
        raise Mistake(f"{argument}: {leaf!r:.60} is no array{hint}")
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.extended):
        return leaf  # keys
    host = np.asarray(leaf)
    if host.dtype.kind not in "biufcV" or host.dtype.names:
        raise Mistake(f"{argument}: an array of {host.dtype}, not of numbers")
    if not host.size:
        raise Mistake(f"{argument}: is empty: {host.dtype}{list(host.shape)}")
    if jnp.issubdtype(host.dtype, jnp.inexact) and np.isnan(host).any():
        row = np.argwhere(np.isnan(host))[0]
        place = f"at {row.tolist()}" if row.size else "there"
        raise Mistake(f"{argument}: has NaN in it, first {place}")
    return placed_freely(argument, jnp.asarray(leaf))


def _kind(batch: Any) -> str:
    if isinstance(batch, tuple | list | dict):
        return f"a {type(batch).__name__} of {len(batch)}"
    return f"a {type(batch).__name__}"


def projected(outputs: Tree) -> Any:
    """The outputs' products with fixed random numbers, summed."""
    leaves = [
        a for a in jax.tree.leaves(outputs) if jnp.issubdtype(a.dtype, jnp.inexact)
    ]
    keys = jax.random.split(jax.random.key(0), len(leaves))
    parts = [
        jnp.real(jnp.vdot(jax.random.normal(key, leaf.shape, leaf.dtype), leaf))
        for key, leaf in zip(keys, leaves, strict=True)
    ]
    return sum(parts[1:], start=parts[0])


def check_loss(loss: Callable, outputs: Tree, given: bool) -> None:
    """Raises Mistake where the loss of outputs [of these shapes] is no real number.

    given: whether it is the user's.
    """
    floats = [
        a for a in jax.tree.leaves(outputs) if jnp.issubdtype(a.dtype, jnp.inexact)
    ]
    if not floats:
        raise Mistake(f"model: gives no floating-point numbers: {shapes(outputs)}")
    what = f"of the outputs {shapes(outputs)}" if given else "the standard one"
    with tried("loss", what):
        value = jax.eval_shape(loss, outputs)
    leaves = jax.tree.leaves(value)
    if len(leaves) != 1 or leaves[0].shape != ():
        raise Mistake(
            f"loss: gives {shapes(value) or repr(value)}, not one number: take its "
            "mean, lambda …: loss(…).mean()"
        )
    if not jnp.issubdtype(leaves[0].dtype, jnp.floating):
        raise Mistake(f"loss: gives {leaves[0].dtype}, which has no gradient")
