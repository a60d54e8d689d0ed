"""Singular values of the Jacobian from the first hidden state to the last.

A product of a thousand layers' Jacobians leaves float32's range, so it is rescaled by a
power of two at each layer, which rounds nothing, and the exponents are added up.

Sources: Pennington, Schoenholz & Ganguli 2017, arXiv:1711.04735 (the spectrum, and
dynamical isometry); Halko, Martinsson & Tropp 2011, arXiv:0909.4061 (block iteration).
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from depthbench.research.architectures import walk
from depthbench.research.architectures.contract import of_links
from depthbench.research.architectures.walk import Link, Tree

EXACT_WIDTH = 256  # states up to this size are done exactly unless asked otherwise
TOP = 8  # singular values by iteration, by default
OVERSAMPLING = 8  # further vectors, which speed up the last of the requested ones
LOG10_2 = 0.30102999566398120


class Spectrum(NamedTuple):
    """Singular values of each example's Jacobian, and how well they are known.

    log10: [batch, k] log10 of the singular values, largest first. −inf where a value
      cannot be told from 0: not above width × the dtype's epsilon × the largest, which
      is the rounding of a matrix product, nor above `residual` × the largest.
    residual: [batch] the largest ‖Jᵀu − s v‖ of the k triplets (u, s, v), as a share of
      the largest s: each s is as near as this to a true singular value; 0 if exact.
    converged: [batch] whether the residual came below the tolerance.

    All are nan or False where a state overflows.
    """

    log10: jax.Array
    residual: jax.Array
    converged: jax.Array


@of_links
def singular_values(
    links: Sequence[Link],
    x: Tree,
    *,
    k: int | None = None,
    method: Literal["auto", "exact", "iteration"] = "auto",
    tolerance: float = 1e-3,
    iterations: int = 100,
) -> Spectrum:
    """The k largest singular values of ∂(last state)/∂(first state) at x [batch, …].

    links: or a net and its variables, in two arguments; the first state is what the
      first layer reads, the last what the last layer returns, as in `probes.signal`.
    k: all of them by default if exact, else TOP.
    method: "exact" pushes a basis through the layers: width times a forward pass, and
      [batch, width, width] of memory. "iteration" pushes a block of vectors forth and
      back until the residual is below `tolerance`, `iterations` times at most. "auto"
      is exact up to EXACT_WIDTH.

    Raises ValueError where a layer has statistics of a batch (batch norm), which mix
    its examples: no example has a Jacobian of its own there.
    """
    for link in links:
        if "statistics" in link.keywords and not link.end:
            raise ValueError(
                f"{link.name} normalises over the batch, which mixes the examples: "
                "none has a Jacobian of its own; use another normalizer"
            )
    if k is not None and k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    if method not in ("auto", "exact", "iteration"):
        raise ValueError(f"method must be auto, exact or iteration, not {method!r}")
    with jax.default_matmul_precision("highest"):
        stem, layers, _ = walk.parts(links)
        h, _ = walk.fold(stem, x)
        h, inputs = h if isinstance(h, walk.Fed) else (h, None)
        width = sum(a[0].size for a in jax.tree.leaves(h))
        exact = method == "exact" or (method == "auto" and width <= EXACT_WIDTH)

        def of_one(h, inputs):  # an example's, whose arrays have no batch axis
            fed = inputs is not None
            now = jax.tree.map(lambda a: a[:, None], inputs)
            body, h = walk.enter(layers, walk.Fed(h, now) if fed else h)
            body = [link._replace(apply=_alone(link)) for link in body]
            if exact:
                return _exact(body, h, k)
            return _top(body, h, min(k or TOP, width), tolerance, iterations)

        return jax.vmap(of_one, in_axes=(0, 1))(h, inputs)


def _alone(link: Link) -> Any:
    """The link's map of one example's state, without its batch axis."""

    def apply(params: Tree, h: Tree, **keywords: Tree) -> Tree:
        layer = walk.Layer(link.name, link.apply, params, keywords)
        return jax.tree.map(lambda a: a[0], layer(jax.tree.map(lambda a: a[None], h)))

    return apply


class Isometry(NamedTuple):
    """How far a Jacobian is from an isometry: both are 0 for one.

    log10_mean: log10 of the mean squared singular value; theory: depth × log10 χ₁.
    variance: the variance of the squared singular values, in units of their mean
      squared, which makes it theory's where the mean is 1.
    """

    log10_mean: np.ndarray
    variance: np.ndarray


def isometry(log10: Any) -> Isometry:
    """The Isometry [...] of all log10 singular values [..., width]; −inf counts as 0.

    At χ₁ = 1 and L layers the variance is L for linear Gaussian nets and 0 for
    orthogonal ones, 2L and L with ReLU (Pennington et al. 2017, wide nets). A Jacobian
    of 0 has −inf and nan.

    >>> [float(value) for value in isometry([0.0, 0.0])]
    [0.0, 0.0]
    """
    squares = 2 * np.asarray(log10, np.float64)
    top = np.max(squares, axis=-1, keepdims=True)
    shares = 10 ** (squares - np.where(np.isneginf(top), 0.0, top))
    mean = np.mean(shares, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):  # a Jacobian of 0
        variance = np.var(shares, axis=-1) / mean**2
        return Isometry(top[..., 0] + np.log10(mean), variance)


def _exact(links: Sequence[Link], h: Tree, k: int | None) -> Spectrum:
    flat, unravel = ravel_pytree(h)
    basis = jax.vmap(unravel)(jnp.eye(flat.size, dtype=flat.dtype))
    images, exponent = _push(links, h, basis)
    values = _stretches(images)[:k]
    floor = flat.size * jnp.finfo(flat.dtype).eps
    known = jnp.all(jnp.isfinite(values))
    return Spectrum(
        _log10(values, exponent, floor), jnp.where(known, 0.0, jnp.nan), known
    )


# One decomposition at a time: two batched ones, called from two threads, can dead-lock
# XLA's CPU threads.
@jax.custom_batching.sequential_vmap
def _stretches(a: jax.Array) -> jax.Array:
    return jnp.linalg.svd(a, compute_uv=False)


@jax.custom_batching.sequential_vmap
def _decomposed(a: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    u, s, vh = jnp.linalg.svd(a, full_matrices=False)
    return u, s, vh


@jax.custom_batching.sequential_vmap
def _orthonormal(a: jax.Array) -> jax.Array:
    return jnp.linalg.qr(a)[0]


def _push(
    links: Sequence[Link], h: Tree, tangents: Tree
) -> tuple[jax.Array, jax.Array]:
    """J t of every tangent [n, …], as [n, width] × 2^exponent."""
    carry = (h, tangents, jnp.int32(0))
    for link in links:

        def step(index, carry, link=link):
            h, tangents, exponent = carry
            after, push = jax.linearize(walk.at(link, index), h)
            tangents, more = _rescaled(jax.vmap(push)(tangents))
            return after, tangents, exponent + more

        carry = walk.loop(link, step, carry)
    return _rows(carry[1]), carry[2]


def _pull(
    links: Sequence[Link], states: list[Tree], last: Tree, cotangents: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Jᵀ u of every u in cotangents [n, width], as [n, width] × 2^exponent."""
    _, unravel = ravel_pytree(last)
    carry = (jax.vmap(unravel)(cotangents), jnp.int32(0))
    for link, before in reversed([*zip(links, states, strict=True)]):

        def step(index, carry, link=link, before=before):
            cotangents, exponent = carry
            h = jax.tree.map(lambda a: a[index], before)
            _, pull = jax.vjp(walk.at(link, index), h)
            cotangents, more = _rescaled(jax.vmap(lambda u: pull(u)[0])(cotangents))
            return cotangents, exponent + more

        carry = walk.loop(link, step, carry, back=True)
    return _rows(carry[0]), carry[1]


def _states(links: Sequence[Link], h: Tree) -> tuple[list[Tree], Tree]:
    """Every layer's input, of a link as [repeats, …], and the last state."""
    states = []
    for link in links:
        h, before = walk.through(link, h)
        states.append(before)
    return states, h


class _Iteration(NamedTuple):
    count: jax.Array
    block: jax.Array  # [n, width], orthonormal rows
    values: jax.Array  # [n] singular values × 2^−exponent
    exponent: jax.Array
    residual: jax.Array


def _top(
    links: Sequence[Link], h: Tree, k: int, tolerance: float, iterations: int
) -> Spectrum:
    """The k largest by block iteration, each round a Rayleigh-Ritz step."""
    flat, unravel = ravel_pytree(h)
    states, last = _states(links, h)
    k = min(k, sum(a.size for a in jax.tree.leaves(last)))
    size = min(k + OVERSAMPLING, flat.size, sum(a.size for a in jax.tree.leaves(last)))

    def step(now: _Iteration) -> _Iteration:
        images, exponent = _push(links, h, jax.vmap(unravel)(now.block))
        turn, values, left = _decomposed(images)
        right = turn.T @ now.block  # so that J right_i = values_i left_i
        back, back_exponent = _pull(links, states, last, left)
        back = jnp.ldexp(back, back_exponent - exponent)
        missing = back - values[:, None] * right
        residual = jnp.max(jnp.linalg.norm(missing[:k], axis=1))
        residual = residual / jnp.where(values[0] > 0, values[0], 1)
        block = _orthonormal(back.T).T
        return _Iteration(now.count + 1, block, values, exponent, residual)

    def unfinished(now: _Iteration) -> jax.Array:
        # Not `residual > tolerance`: the first is inf, and nan must end it.
        going = (now.residual > tolerance) & (now.count < iterations)
        return going | (now.count == 0)

    # Any start will do, as what it converges to does not depend on it.
    start = jax.random.normal(jax.random.key(0), (flat.size, size), flat.dtype)
    none = jnp.zeros((size,), flat.dtype)
    end = jax.lax.while_loop(
        unfinished,
        step,
        _Iteration(
            jnp.int32(0),
            jnp.linalg.qr(start)[0].T,
            none,
            jnp.int32(0),
            jnp.array(jnp.inf, flat.dtype),
        ),
    )
    floor = jnp.maximum(end.residual, flat.size * jnp.finfo(flat.dtype).eps)
    return Spectrum(
        _log10(end.values[:k], end.exponent, floor),
        end.residual,
        end.residual <= tolerance,
    )


def _rows(block: Tree) -> jax.Array:
    """A pytree of [n, …] as one [n, width]."""
    return jnp.concatenate(
        [a.reshape(a.shape[0], -1) for a in jax.tree.leaves(block)], axis=1
    )


def _rescaled(tree: Tree) -> tuple[Tree, jax.Array]:
    """The pytree with its largest magnitude in [½, 1), and the power of two removed."""
    largest = jnp.stack([jnp.max(jnp.abs(a)) for a in jax.tree.leaves(tree)])
    _, exponent = jnp.frexp(jnp.max(largest))
    return jax.tree.map(lambda a: jnp.ldexp(a, -exponent), tree), exponent


def _log10(values: jax.Array, exponent: jax.Array, floor: Any) -> jax.Array:
    """log10 of values [k] × 2^exponent; −inf where not above floor × the largest."""
    known = (values > floor * values[0]) | jnp.isnan(values)
    log10 = jnp.log10(jnp.where(known, values, 0))
    return log10 + exponent.astype(values.dtype) * LOG10_2
