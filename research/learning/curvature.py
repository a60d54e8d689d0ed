"""How a net's loss is curved where it is: the Hessian, exact or its least eigenvalue.

Pearlmutter 1994, Neural Comput. 6:147 (products with a Hessian, without it); Lanczos 1950,
J. Res. Natl. Bur. Stand. 45:255. To the study that asks what holds a net that does not
learn: Dauphin et al. 2014, arXiv:1406.2572.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from depthbench.research.architectures import contract
from depthbench.research.learning import starts, supervised
from depthbench.research.learning.fits import FittedNet, Net
from depthbench.research.learning.system import Batch

EXACT = 600  # parameters up to which the whole Hessian is made


class Curved(NamedTuple):
    """Of each net [nets]: its loss, the gradient's norm, the share of the loss that this
    is for a move of the parameters by their own length, and the least and the largest
    eigenvalue of the Hessian."""

    loss: np.ndarray
    gradient: np.ndarray
    steepness: np.ndarray
    least: np.ndarray
    largest: np.ndarray


def curved(fits: Sequence[FittedNet], data: Batch) -> Curved:
    """The mean loss on all of the data, and how it is curved, where these nets are.

    fits: of one kind. Of more than EXACT parameters eigenvalues are Lanczos's.
    """
    values = _curved(fits[0].net)(starts.stacked(fits), jax.device_put(dict(data)))
    return Curved(*(np.asarray(value, np.float64) for value in values))


@functools.lru_cache(maxsize=64)
def _curved(net: Net) -> Callable:
    def one(variables: Any, data: Any) -> tuple:
        loss, at = flat_loss(net, variables, data)
        value, gradient = jax.value_and_grad(loss)(at)
        ends = (exact_ends if at.size <= EXACT else lanczos_ends)(loss, at)
        size = jnp.linalg.norm(gradient)
        return value, size, size * jnp.linalg.norm(at) / value, *ends

    return jax.jit(
        lambda several, data: jax.lax.map(
            lambda variables: one(variables, data), several
        )
    )


def flat_loss(net: Net, variables: Any, data: Any) -> tuple[Callable, jax.Array]:
    """(the mean loss as a function of all parameters in a row, they themselves)."""
    params, stats = contract.divide(variables)
    at, tree_of = ravel_pytree(params)

    def loss(row: jax.Array) -> jax.Array:
        each, _ = supervised.measures(net.parts, tree_of(row), stats, data, False)
        return jnp.mean(each["loss"])

    return loss, at


def exact_ends(loss: Callable, at: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The least and the largest eigenvalue of the whole Hessian.

    >>> ends = exact_ends(lambda v: v[0] ** 2 - 3 * v[1] ** 2, jnp.zeros(2))
    >>> [float(end) for end in ends]
    [-6.0, 2.0]
    """
    values = jnp.linalg.eigvalsh(jax.hessian(loss)(at))
    return values[0], values[-1]


def lanczos_ends(
    loss: Callable, at: jax.Array, steps: int = 60
) -> tuple[jax.Array, jax.Array]:
    """The same of Lanczos's matrix, from products alone, each kept orthogonal to all.

    The least is never below the Hessian's, nor the largest above.
    """
    gradient = jax.grad(loss)
    times = lambda v: jax.jvp(gradient, (at,), (v,))[1]
    steps = min(steps, at.size)
    first = jax.random.normal(jax.random.key(0), at.shape)
    basis = jnp.zeros((steps, at.size)).at[0].set(first / jnp.linalg.norm(first))

    def step(n: jax.Array, carry: tuple) -> tuple:
        basis, diagonal, beside = carry
        w = times(basis[n])
        diagonal = diagonal.at[n].set(w @ basis[n])
        for _ in range(2):  # once leaves what rounding leaves
            w = w - basis.T @ (basis @ w)
        size = jnp.linalg.norm(w)
        beside = beside.at[n].set(size)
        unit = jnp.where(size > 1e-7, w / jnp.maximum(size, 1e-30), 0.0)
        return basis.at[n + 1].set(unit, mode="drop"), diagonal, beside

    start = (basis, jnp.zeros(steps), jnp.zeros(steps))
    _, diagonal, beside = jax.lax.fori_loop(0, steps, step, start)
    off = jnp.diag(beside[:-1], 1)
    values = jnp.linalg.eigvalsh(jnp.diag(diagonal) + off + off.T)
    return values[0], values[-1]
