"""Singular values of the Jacobian from the first hidden state to the last.

A product of a thousand layers' Jacobians leaves float32's range, so it is rescaled by a
power of two at each layer, which rounds nothing, and the exponents are added up.

Sources: Pennington, Schoenholz & Ganguli 2017, arXiv:1711.04735 (the spectrum, and
dynamical isometry); Halko, Martinsson & Tropp 2011, arXiv:0909.4061 (block iteration).
"""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from research.architectures.contract import (
    Architecture,
    Stage,
    Tree,
    Variables,
    call,
    feed,
    layer_at,
)

EXACT_WIDTH = 256  # states up to this size are done exactly unless asked otherwise
TOP = 8  # values asked of the iteration unless told otherwise
OVERSAMPLING = 8  # further vectors, which speed up the last of those asked for
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


def singular_values(
    net: Architecture,
    variables: Variables,
    x: jax.Array,
    *,
    k: int | None = None,
    method: Literal["auto", "exact", "iteration"] = "auto",
    depths: tuple[Any, ...] | None = None,
    tolerance: float = 1e-3,
    iterations: int = 100,
) -> Spectrum:
    """The k largest singular values of ∂(last state)/∂(first state) at x [batch, …].

    k: all of them by default if exact, else TOP.
    method: "exact" pushes a basis through the layers: width times a forward pass, and
      [batch, width, width] of memory. "iteration" pushes a block of vectors forth and
      back until the residual is below `tolerance`, `iterations` times at most. "auto"
      is exact up to EXACT_WIDTH.
    depths: how many layers of each stage are run, as in `probes.signal`.

    Raises ValueError where a layer mixes the examples of a batch (batch norm): no
    example has a Jacobian of its own there.
    """
    for stacked in variables.stages:
        if set(stacked) - {"params"}:
            raise ValueError(
                f"{net.name} normalises over the batch, which mixes the examples: "
                "none has a Jacobian of its own; use another normalizer"
            )
    if k is not None and k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    if method not in ("auto", "exact", "iteration"):
        raise ValueError(f"method must be auto, exact or iteration, not {method!r}")
    depths = depths or tuple(stage.depth for stage in net.stages)
    with jax.default_matmul_precision("highest"):
        h, _ = call(net.stem, variables.stem, x)
        first, h = feed({}, h)

        def layers(fed):  # one example's, whose inputs have lost their batch axis
            fed = jax.tree.map(lambda a: a[:, None], fed)
            stages = ({**variables.stages[0], **fed}, *variables.stages[1:])
            return _Layers(net.stages, stages, depths)

        over = functools.partial(jax.vmap, in_axes=(0, 1))
        width = sum(a[0].size for a in jax.tree.leaves(h))
        exact = method == "exact" or (method == "auto" and width <= EXACT_WIDTH)
        if exact:
            return over(lambda h, fed: _exact(layers(fed), h, k))(h, first)
        size = min(k or TOP, width)
        return over(lambda h, fed: _top(layers(fed), h, size, tolerance, iterations))(
            h, first
        )


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
    """
    squares = 2 * np.asarray(log10, np.float64)
    top = np.max(squares, axis=-1, keepdims=True)
    shares = 10 ** (squares - np.where(np.isneginf(top), 0.0, top))
    mean = np.mean(shares, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):  # a Jacobian of 0
        variance = np.var(shares, axis=-1) / mean**2
        return Isometry(top[..., 0] + np.log10(mean), variance)


class _Layers(NamedTuple):
    """The stages with their variables and active depths."""

    stages: tuple[Stage, ...]
    variables: tuple[Tree, ...]
    depths: tuple[Any, ...]

    def layer(self, number: int, index: Any) -> Callable[[Tree], Tree]:
        """One layer on one example's state, without its batch axis."""
        stage = self.stages[number]
        variables = layer_at(stage, self.variables[number], index)

        def apply(h: Tree) -> Tree:
            after, _ = call(stage.layer, variables, jax.tree.map(lambda a: a[None], h))
            return jax.tree.map(lambda a: a[0], after)

        return apply

    def over(self, number: int, step: Callable, carry: Tree) -> Tree:
        """The carry after step(index, carry) for every active layer of a stage."""
        if self.stages[number].depth == 1:  # may change shapes, which a loop cannot
            return step(0, carry)
        return jax.lax.fori_loop(0, self.depths[number], step, carry)


def _exact(layers: _Layers, h: Tree, k: int | None) -> Spectrum:
    flat, unravel = ravel_pytree(h)
    basis = jax.vmap(unravel)(jnp.eye(flat.size, dtype=flat.dtype))
    images, exponent = _push(layers, h, basis)
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


def _push(layers: _Layers, h: Tree, tangents: Tree) -> tuple[jax.Array, jax.Array]:
    """J t of every tangent [n, …], as [n, width] × 2^exponent."""

    def step_of(number):
        def step(index, carry):
            h, tangents, exponent = carry
            after, push = jax.linearize(layers.layer(number, index), h)
            tangents, more = _rescaled(jax.vmap(push)(tangents))
            return after, tangents, exponent + more

        return step

    carry = (h, tangents, jnp.int32(0))
    for number in range(len(layers.stages)):
        carry = layers.over(number, step_of(number), carry)
    return _rows(carry[1]), carry[2]


def _pull(
    layers: _Layers, states: list[Tree], last: Tree, cotangents: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Jᵀ u of every u in cotangents [n, width], as [n, width] × 2^exponent."""

    def step_of(number):
        active = 1 if layers.stages[number].depth == 1 else layers.depths[number]

        def step(count, carry):
            cotangents, exponent = carry
            index = active - 1 - count
            h = jax.tree.map(lambda a: a[index], states[number])
            _, pull = jax.vjp(layers.layer(number, index), h)
            cotangents, more = _rescaled(jax.vmap(lambda u: pull(u)[0])(cotangents))
            return cotangents, exponent + more

        return step

    _, unravel = ravel_pytree(last)
    carry = (jax.vmap(unravel)(cotangents), jnp.int32(0))
    for number in reversed(range(len(layers.stages))):
        carry = layers.over(number, step_of(number), carry)
    return _rows(carry[0]), carry[1]


def _states(layers: _Layers, h: Tree) -> tuple[list[Tree], Tree]:
    """Every layer's input, of a stage as [depth, …], and the last state."""
    kept = []
    for number, stage in enumerate(layers.stages):

        def step(index, carry, number=number):
            h, states = carry
            states = jax.tree.map(lambda s, a: s.at[index].set(a), states, h)
            return layers.layer(number, index)(h), states

        room = jax.tree.map(
            lambda a, d=stage.depth: jnp.zeros((d, *a.shape), a.dtype), h
        )
        h, states = layers.over(number, step, (h, room))
        kept.append(states)
    return kept, h


class _Iteration(NamedTuple):
    count: jax.Array
    block: jax.Array  # [n, width], orthonormal rows
    values: jax.Array  # [n] singular values × 2^−exponent
    exponent: jax.Array
    residual: jax.Array


def _top(layers: _Layers, h: Tree, k: int, tolerance: float, iterations: int):
    """The k largest by block iteration, each round a Rayleigh-Ritz step."""
    flat, unravel = ravel_pytree(h)
    states, last = _states(layers, h)
    k = min(k, sum(a.size for a in jax.tree.leaves(last)))
    size = min(k + OVERSAMPLING, flat.size, sum(a.size for a in jax.tree.leaves(last)))

    def step(now: _Iteration) -> _Iteration:
        images, exponent = _push(layers, h, jax.vmap(unravel)(now.block))
        turn, values, left = _decomposed(images)
        right = turn.T @ now.block  # so that J right_i = values_i left_i
        back, back_exponent = _pull(layers, states, last, left)
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
