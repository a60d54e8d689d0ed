"""Plain backpropagation in a dtype, beside the gradient that it stands for.

In mixed precision parameters are float32 and cast; activations and gradients are the
dtype's, and nothing is rescaled: what is too small for it is 0, what is too large inf.
Beside it the same net in float32, whose gradients are known at any size.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from depthbench.research.architectures import walk
from depthbench.research.architectures.walk import Fed, Link, Tree, WithStatistics
from depthbench.research.signal.probes import Loss, chain, unit

LARGEST = 126  # a loss's scale is 2^k, which float32 has up to here, and its inverse
LOG2_10 = 3.321928094887362
# XLA may leave out roundings to a dtype between operations that it fuses, and on a GPU
# does: what a dtype loses would then depend on what was fused.
OPTIONS = {"xla_allow_excess_precision": False}


class Rounded(NamedTuple):
    """Profiles of both gradients [states], as `probes.Signal` has them.

    log10_exact, log10_plain: log10 of the gradient's norm in float32, and in the dtype
      without the loss's scale; −inf of zero, nan where it is not finite.
    log10_entry: log10 of the root mean square of the exact gradient's entries.
    zeros: share of the entries that are 0, of those that are not so exactly.
    cosine: of the angle between both; 0 where the plain one is 0 or not finite.
    log2_scale: [] of what the loss is multiplied by.
    """

    log10_exact: jax.Array
    log10_plain: jax.Array
    log10_entry: jax.Array
    zeros: jax.Array
    cosine: jax.Array
    log2_scale: jax.Array


class _Exact(NamedTuple):
    """One link's exact cotangents: of what it reads [repeats, …], and of what it makes.

    All are of norm 1; log10: their sizes [repeats + 1]; log10_most: those of their
    largest entries; log10_entry: those of the root mean square.
    """

    units: Tree
    last: Tree
    log10: jax.Array
    log10_entry: jax.Array
    log10_most: jax.Array


def rounded(
    links: Sequence[Link], x: Tree, loss: Loss, dtype: Any, log2_scale: Any = 0.0
) -> Rounded:
    """Both gradients of a net on one batch, state by state.

    log2_scale: of what the loss is multiplied by before it is propagated; None: the
      largest power of two with which nothing overflows, where dynamic scaling ends: no
      cotangent of a state, and no gradient of parameters, the stem's and head's among
      them. Of a stem that feeds each step, what its first state gives alone.
    """
    exact = _exact(links, x, loss)
    typed, x = [_in(dtype, link) for link in links], cast(x, dtype)
    layers, h, head = walk.begin(typed, x)
    stem, _, _ = walk.parts(typed)
    walked = []
    for link, reference in zip(layers, exact, strict=True):
        h, before = walk.through(link, h)
        walked.append((link, before, reference))

    def plain(log2_scale):
        outputs, pull = jax.vjp(functools.partial(_through, head), _params(head), h)
        value, pull_loss = jax.vjp(lambda a: loss(cast(a, jnp.float32)), outputs)
        of_head, cotangent = pull(*pull_loss(jnp.exp2(log2_scale).astype(value.dtype)))
        readings, finite = [], _finite((of_head, cotangent))
        for one in reversed(walked):
            cotangent, read, finite = _back(*one, cotangent, log2_scale, finite)
            readings.insert(0, read)
        made, pull = jax.vjp(lambda params: _through(stem, params, x), _params(stem))
        if isinstance(made, Fed):
            cotangent = Fed(cotangent, jax.tree.map(jnp.zeros_like, made.inputs))
        finite = finite & _finite(pull(cotangent))
        return [chain(list(each)) for each in zip(*readings, strict=True)], finite

    if log2_scale is None:
        log2_scale = _largest(exact, dtype, lambda scale: plain(scale)[1], _finite(h))
    log2_scale = jnp.asarray(log2_scale, jnp.float32)
    (norm, zeros, cosine), _ = plain(log2_scale)
    log10, entry = (chain([getattr(e, n) for e in exact]) for n in _Exact._fields[2:4])
    return Rounded(log10, norm, entry, zeros, cosine, log2_scale)


def _params(links: Sequence[Link]) -> list[Tree]:
    return [link.params for link in links]


def _through(links: Sequence[Link], params: Sequence[Tree], h: Tree) -> Tree:
    """What the links make of a state, with these parameters in place of their own."""
    pairs = zip(links, params, strict=True)
    return walk.fold([link._replace(params=one) for link, one in pairs], h)[0]


def cast(tree: Tree, dtype: Any) -> Tree:
    """The pytree with its floating-point arrays in the dtype."""

    def one(a):
        return a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a

    return jax.tree.map(one, tree)


def _in(dtype: Any, link: Link) -> Link:
    """The link as mixed precision has it: parameters cast, its states in the dtype."""

    def apply(params, h, **keywords):
        after = link.apply(params, h, **keywords)
        # Factors that are traced, as a depth's, would make a state float32 again.
        if isinstance(after, WithStatistics):
            return after._replace(state=_state(after.state, dtype))
        return _state(after, dtype)

    return link._replace(apply=apply, params=cast(link.params, dtype))


def _state(state: Tree, dtype: Any) -> Tree:
    return (
        Fed(*cast(tuple(state), dtype))
        if isinstance(state, Fed)
        else cast(state, dtype)
    )


def _exact(links: Sequence[Link], x: Tree, loss: Loss) -> list[_Exact]:
    """Every link's cotangents in float32, each at a scale of its own."""
    layers, h, head = walk.begin(links, x)
    walked = []
    for link in layers:
        h, before = walk.through(link, h)
        walked.append((link, before))
    value, pull = jax.vjp(lambda h: loss(walk.fold(head, h)[0]), h)
    (cotangent,) = pull(jnp.ones_like(value))
    cotangent, log10 = unit(cotangent)
    done = []
    for link, before in reversed(walked):
        one, log10 = _exact_back(link, before, cotangent, log10)
        cotangent = jax.tree.map(lambda a: a[0], one.units)
        done.insert(0, one)
    return done


def _exact_back(link: Link, before: Tree, last: Tree, log10: Any):
    def step(index, carry):
        cotangent, log10, units, logs = carry
        layer = walk.at(link, index)
        h = jax.tree.map(lambda a: a[index], before)
        _, pull = jax.vjp(lambda h: layer.at(layer.params, h), h)
        cotangent, more = unit(pull(cotangent)[0])
        log10 = log10 + more
        units = jax.tree.map(lambda u, a: u.at[index].set(a), units, cotangent)
        log = jnp.stack([log10, *_sizes(cotangent, log10)])
        return cotangent, log10, units, logs.at[:, index].set(log)

    depth = link.repeats or 1
    first = jnp.stack([log10, *_sizes(last, log10)])
    logs = jnp.full((3, depth + 1), jnp.nan).at[:, walk.count(link)].set(first)
    units = jax.tree.map(jnp.zeros_like, before)
    if link.repeats is None:  # what it makes may have another shape than what it reads
        units = jax.tree.map(lambda a: a[:1], units)
    start = (last, log10, units, logs)
    _, log10, units, logs = walk.loop(link, step, start, back=True)
    return _Exact(units, last, *logs), log10


def _sizes(cotangent: Tree, log10: Any) -> tuple[jax.Array, jax.Array]:
    """log10 of the root mean square of the entries, and of the largest one."""
    leaves = jax.tree.leaves(cotangent)
    most = jnp.max(jnp.stack([jnp.max(jnp.abs(a)) for a in leaves]))
    count = sum(a.size for a in leaves)
    return log10 - 0.5 * jnp.log10(float(count)), log10 + jnp.log10(most)


def _back(link: Link, before: Tree, exact: _Exact, last: Tree, log2_scale, finite):
    """(the plain cotangent at the link's input, readings, whether all was finite)."""

    def step(index, carry):
        cotangent, readings, finite = carry
        layer = walk.at(link, index)
        h = jax.tree.map(lambda a: a[index], before)
        _, pull = jax.vjp(layer.at, layer.params, h)
        of_parameters, cotangent = pull(cotangent)
        reference = jax.tree.map(lambda a: a[index], exact.units)
        read = _read(cotangent, reference, log2_scale)
        finite = finite & _finite((of_parameters, cotangent))
        return cotangent, readings.at[:, index].set(read), finite

    empty = jnp.full((3, (link.repeats or 1) + 1), jnp.nan)
    read = _read(last, exact.last, log2_scale)
    start = (last, empty.at[:, walk.count(link)].set(read), finite)
    return walk.loop(link, step, start, back=True)


def _read(cotangent: Tree, exact: Tree, log2_scale: Any) -> jax.Array:
    """[3]: log10 of the norm, the share of zeros, the cosine with the exact one."""
    there = jax.tree.map(lambda e: e != 0, exact)
    zero = jax.tree.map(lambda c, e: (c == 0) & e, cotangent, there)
    count = lambda tree: sum(
        jnp.sum(a, dtype=jnp.float32) for a in jax.tree.leaves(tree)
    )
    direction, log10 = unit(cast(cotangent, jnp.float32))
    log10 = jnp.where(log10 < jnp.inf, log10, jnp.nan)
    products = jax.tree.map(lambda c, e: jnp.vdot(c, e), direction, exact)
    cosine = jnp.where(jnp.isfinite(log10), sum(jax.tree.leaves(products)), 0.0)
    zeros = count(zero) / jnp.maximum(count(there), 1)
    return jnp.stack([log10 - log2_scale / LOG2_10, zeros, cosine])


def _finite(tree: Tree) -> jax.Array:
    each = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]
    return jnp.all(jnp.stack(each)) if each else jnp.array(True)


def _largest(exact: list[_Exact], dtype: Any, finite: Any, possible: Any) -> jax.Array:
    """The largest log2 of a scale with which all is finite: from what the exact entries
    allow down; 0 where none is. possible: whether the states are finite."""
    most = jnp.nanmax(jnp.stack([jnp.nanmax(one.log10_most) for one in exact]))
    room = jnp.floor(jnp.log2(float(jnp.finfo(dtype).max)) - LOG2_10 * most)
    start = jnp.where(possible, jnp.clip(jnp.nan_to_num(room), 0, LARGEST), 0.0)
    too_large = lambda scale: (scale > 0) & ~finite(scale)
    return jax.lax.while_loop(too_large, lambda scale: scale - 1.0, start)
