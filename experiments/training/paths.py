"""Paths through a residual net: gradient by their length, and nets with blocks left out.

A block is h + f(h). Each of the 2^n paths through n blocks goes through some branches f
and around all others, and is as long as it goes through branches; the gradient is the
sum over all of them (Veit, Wilber & Belongie 2016, arXiv:1605.06431, section 3).
"""

import jax
import jax.numpy as jnp

from depthbench.research.architectures import walk

BRANCH = ("kernel", "bias")  # what a branch ends with: at 0 the block is its skip


def around(layer):
    """The block without its branch, as a function of the state."""

    def without(path, leaf):
        return jnp.zeros_like(leaf) if path[-1].key in BRANCH else leaf

    params = jax.tree_util.tree_map_with_path(without, layer.params)
    return lambda h: layer.at(params, h)


def walked(links, x):
    """([(link, states before each of its applications, number of its first)], h, head)."""
    layers, h, head = walk.begin(links, x)
    passed, first = [], 0
    for link in layers:
        h, before = walk.through(link, h)
        passed.append((link, before, first))
        first += len(before)
    return passed, h, head


def back(passed, step, carry):
    """The carry after step(block, its state, its skip, number, carry), last block first."""
    for link, before, first in reversed(passed):

        def one(index, carry, link=link, before=before, first=first):
            layer = walk.at(link, index)
            h = jax.lax.dynamic_index_in_dim(before, index, 0, keepdims=False)
            return step(layer, h, around(layer), first + index, carry)

        carry = walk.loop(link, one, carry, back=True)
    return carry


def top(h, head, loss):
    """∂loss/∂h of the last state."""
    return jax.grad(lambda h: loss(walk.fold(head, h)[0]))(h)


def pulled(layer, h, skip, cotangents):
    """(through the branch, around it): cotangents [several, …] before a block."""

    def pull(f):
        return jax.vmap(lambda c: jax.vjp(f, h)[1](c)[0])(cotangents)

    return pull(lambda h: layer(h) - skip(h)), pull(skip)


def log10_norms(links, x, loss, masks):
    """log10 ‖gradient‖ at the first block's input along single paths [paths].

    masks: [paths, blocks], true where a path goes through the branch. −inf of a path
    that carries none.
    """
    masks = jnp.asarray(masks)
    passed, h, head = walked(links, x)
    start, log10 = _unit(jnp.stack([top(h, head, loss)] * len(masks)))

    def step(layer, h, skip, number, carry):
        cotangents, log10 = carry
        branch, kept = pulled(layer, h, skip, cotangents)
        inside = masks[:, number].reshape(-1, *(1,) * (branch.ndim - 1))
        unit, more = _unit(jnp.where(inside, branch, kept))
        return unit, log10 + more

    return back(passed, step, (start, log10))[1]


def _unit(cotangents):
    """Each over its norm, and log10 of that: long paths would underflow."""
    largest = jnp.max(jnp.abs(cotangents), _inner(cotangents), keepdims=True)
    scaled = cotangents / jnp.where(largest > 0, largest, 1)
    norm = jnp.sqrt(jnp.sum(scaled**2, _inner(scaled), keepdims=True))
    unit = scaled / jnp.where(norm > 0, norm, 1)
    return unit, (jnp.log10(largest) + jnp.log10(norm)).reshape(-1)


def _inner(cotangents):
    return tuple(range(1, cotangents.ndim))


def by_length(links, x, loss):
    """The gradient that all paths of each length carry together, [blocks + 1, …].

    Exactly, not path by path: what arrives by k branches came by k around a block, or by
    k − 1 through its branch. Their sum is the whole gradient.
    """
    passed, h, head = walked(links, x)
    blocks = sum(len(before) for _, before, _ in passed)
    last = top(h, head, loss)
    start = jnp.concatenate([last[None], jnp.zeros((blocks, *last.shape), last.dtype)])

    def step(layer, h, skip, number, cotangents):
        branch, kept = pulled(layer, h, skip, cotangents)
        return kept.at[1:].add(branch[:-1])

    return back(passed, step, start)


def outputs(links, x, keep, plain):
    """The net's outputs with blocks left out, where `keep` [blocks] is false.

    plain: what takes a layer's place is the state before it, not the layer's skip. Only
    layers that keep the shape can be left out of a plain net.
    """
    layers, h, head = walk.begin(links, x)
    first = 0
    for link in layers:

        def step(carry, layer):
            h, number = carry
            after = layer(h)
            if not plain or after.shape == h.shape:
                without = h if plain else around(layer)(h)
                after = jnp.where(keep[number], after, without)
            return (after, number + 1), None

        (h, first), _ = walk.scan(link, step, (h, jnp.int32(first)))
    return walk.fold(head, h)[0]
