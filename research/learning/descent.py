"""Gradient descent on a loss of parameters, batch and key: the step of many systems."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from depthbench.research.architectures.contract import Tree
from depthbench.research.learning.system import Batch

# From (parameters, statistics, batch, key) to measures of each example [batch], of which
# `loss` is descended, and new statistics.
Objective = Callable[[Tree, Tree, Batch, Any], tuple[dict[str, jax.Array], Tree]]


class Learner(NamedTuple):
    """What is descended: the tree of a system, or a part of it.

    opt: the update rule's. stats: what is carried along and not learned, such as a
    normaliser's statistics.
    """

    params: Tree
    opt: Tree
    stats: Tree


def learner(params: Tree, stats: Tree, rule: Any) -> Learner:
    """Parameters before their first step. rule: an optax transformation."""
    return Learner(params, rule.init(params), stats)


def gradients(
    objective: Objective,
    params: Tree,
    stats: Tree,
    batch: Batch,
    key: Any,
    parts: int = 1,
    place: Callable[[Batch], Batch] = lambda batch: batch,
    scale: Any = None,
) -> tuple[Tree, tuple[dict[str, jax.Array], Tree]]:
    """(gradient of the mean loss, (mean measures, new statistics)) of a batch.

    parts: that the batch is taken in, one after the other, to save memory.
    place: puts a part on devices. scale: the gradient is that of so many times the loss.
    """

    def mean(params, stats, batch, key):
        each, stats = objective(params, stats, batch, key)
        means = jax.tree.map(jnp.mean, each)
        loss = means["loss"] if scale is None else scale * means["loss"]
        return loss, (means, stats)

    if parts == 1:
        return jax.grad(mean, has_aux=True)(params, stats, batch, key)
    split = jax.tree.map(lambda a: a.reshape(parts, -1, *a.shape[1:]), batch)

    def add(carry, part):
        total, stats = carry
        number, batch = part
        one = jax.random.fold_in(key, number)
        gradient, (means, stats) = jax.grad(mean, has_aux=True)(
            params, stats, place(batch), one
        )
        return (jax.tree.map(jnp.add, total, gradient), stats), means

    start = (jax.tree.map(jnp.zeros_like, params), stats)
    (total, stats), means = jax.lax.scan(add, start, (jnp.arange(parts), split))
    gradient = jax.tree.map(lambda a: a / parts, total)
    return gradient, (jax.tree.map(jnp.mean, means), stats)


def descended(
    learner: Learner, gradient: Tree, stats: Tree, rule: Any, length: Any
) -> Learner:
    """The learner after a step. rule: an optax transformation, whose direction is uphill.
    length: the step's learning rate."""
    direction, opt = rule.update(gradient, learner.opt, learner.params)
    params = jax.tree.map(lambda p, d: p - length * d, learner.params, direction)
    return Learner(params, opt, stats)
