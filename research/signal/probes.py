"""What the signal does in a network at hand: lengths, correlations, gradients.

Everything that can vanish is measured as a log10. The backward pass goes layer by
layer, renormalises the cotangent at each and adds up the logarithms, so that a
gradient of 10^-6290 is a number like any other.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from research.architectures.contract import (
    Architecture,
    Stage,
    Tree,
    Variables,
    call,
    feed,
    layer_at,
)
from research.theory.activation import value_and_slope

Loss = Callable[[Any], jax.Array]  # outputs [batch, …] -> scalar


class Signal(NamedTuple):
    """Per-layer profiles; a state is the stem's output or a layer's, first to last.

    Entries beyond a stage's active depth are nan.

    log10_length: [states] log10 of the hidden state's mean square, q.
    decorrelation: [states] 1 − c, with c the mean correlation of two examples.
    log10_gradient: [states] log10 ‖∂loss/∂h‖ over the whole batch.
    log10_parameter_gradient: [layers] log10 ‖∂loss/∂θ‖ of each layer's parameters.
    saturated: [layers] share of the layer's units whose |φ′| is below the threshold for
      every example; nan where a layer has no `activation`.
    """

    log10_length: jax.Array
    decorrelation: jax.Array
    log10_gradient: jax.Array
    log10_parameter_gradient: jax.Array | None
    saturated: jax.Array


def signal(
    net: Architecture,
    variables: Variables,
    x: jax.Array,
    loss: Loss,
    *,
    depths: tuple[Any, ...] | None = None,
    threshold: Any = 0.0,
) -> Signal:
    """All profiles of one network on one batch x [batch, …].

    depths: how many layers of each stage are run, from the first; all by default. They
      may be traced: one program then serves every depth, and costs what the depth does.
    threshold: the |φ′| below which a unit counts as saturated.

    Normalisers use batch statistics. The profile equals automatic differentiation where
    that does not underflow.
    """
    passes, h = _forward(net, variables, x, depths, threshold)
    walked = [(forward.stacked, forward.active, forward.states) for forward in passes]
    _, log10_gradient, log10_parameters = _back(net, variables, h, loss, walked)
    return Signal(
        log10_length=_chain([f.log10_length for f in passes]),
        decorrelation=_chain([f.decorrelation for f in passes]),
        log10_gradient=log10_gradient,
        log10_parameter_gradient=log10_parameters,
        saturated=jnp.concatenate([f.saturated for f in passes]),
    )


def log_gradients(
    net: Architecture, variables: Variables, x: jax.Array, loss: Loss
) -> tuple[jax.Array, jax.Array]:
    """log10 ‖∂loss/∂h‖ [states] and log10 ‖∂loss/∂θ‖ [layers], and nothing else.

    Example: `states, parameters = log_gradients(net, variables, x, loss)`.
    """
    return value_and_log_gradients(net, variables, x, loss)[1]


def value_and_log_gradients(
    net: Architecture, variables: Variables, x: jax.Array, loss: Loss
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """(loss, `log_gradients`) in the time that `jax.value_and_grad` takes."""
    h, _ = call(net.stem, variables.stem, x)
    walked = []
    for stage, stacked in zip(net.stages, variables.stages, strict=True):
        stacked, h = feed(stacked, h)
        h, states = _remember(stage, stacked, h)
        walked.append((stacked, stage.depth, states))
    value, states, parameters = _back(net, variables, h, loss, walked)
    return value, (states, parameters)


def _remember(stage: Stage, stacked, h) -> tuple[Tree, Tree]:
    """The state after a stage, and those before each of its layers [depth, …]."""
    if stage.depth == 1:  # the state may change its shape, which a loop's carry cannot
        after, _ = call(stage.layer, layer_at(stage, stacked, 0), h)
        return after, jax.tree.map(lambda a: a[None], h)

    def step(h, index):
        return call(stage.layer, layer_at(stage, stacked, index), h)[0], h

    return jax.lax.scan(step, h, jnp.arange(stage.depth))


def _back(net, variables, h, loss: Loss, walked):
    """The loss, and log10 gradient norms of [states] and of [layers]' parameters.

    h: the last state. walked: each stage's variables, how many of its layers were run,
    and the states before them.
    """
    value, pull = jax.vjp(lambda h: loss(call(net.head, variables.head, h)[0]), h)
    (cotangent,) = pull(jnp.ones_like(value))
    cotangent, log10 = _unit(cotangent)
    log10_gradient, log10_parameters = [], []
    for stage, (stacked, active, before) in zip(
        reversed(net.stages), reversed(walked), strict=True
    ):
        cotangent, log10, states, parameters = _backward(
            stage, stacked, active, before, cotangent, log10
        )
        log10_gradient.insert(0, states)
        log10_parameters.insert(0, parameters)
    return value, _chain(log10_gradient), jnp.concatenate(log10_parameters)


class _Pass(NamedTuple):
    """One stage's forward pass: its states [depth + 1, …] and their profiles."""

    stacked: Tree
    active: Any
    states: Tree
    log10_length: jax.Array
    decorrelation: jax.Array
    saturated: jax.Array


def _forward(net, variables, x, depths, threshold) -> tuple[list[_Pass], Tree]:
    depths = depths or tuple(stage.depth for stage in net.stages)
    h, _ = call(net.stem, variables.stem, x)
    passes = []
    for stage, stacked, active in zip(
        net.stages, variables.stages, depths, strict=True
    ):
        run = _through_one if stage.depth == 1 else _through_many
        stacked, h = feed(stacked, h)
        forward, h = run(stage, stacked, h, active, threshold)
        passes.append(forward)
    return passes, h


def _through_one(stage: Stage, stacked, h, active, threshold) -> tuple[_Pass, Tree]:
    """A stage of one layer, whose output may have another shape than its input."""
    after, saturated = _layer_with_saturation(
        stage, layer_at(stage, stacked, 0), h, threshold
    )
    length, decorrelation = zip(_spread(h), _spread(after), strict=True)
    states = jax.tree.map(lambda a: a[None], h)
    profiles = (jnp.stack(length), jnp.stack(decorrelation), saturated[None])
    return _Pass(stacked, 1, states, *profiles), after


def _through_many(stage: Stage, stacked, h, active, threshold) -> tuple[_Pass, Tree]:
    depth = stage.depth
    states = jax.tree.map(
        lambda a: jnp.zeros((depth + 1, *a.shape), a.dtype).at[0].set(a), h
    )
    empty = jnp.full((depth + 1,), jnp.nan)
    length, decorrelation = _spread(h)
    start = (
        h,
        states,
        empty.at[0].set(length),
        empty.at[0].set(decorrelation),
        empty[:-1],
    )

    def step(index, carry):
        h, states, lengths, decorrelations, saturations = carry
        h, saturated = _layer_with_saturation(
            stage, layer_at(stage, stacked, index), h, threshold
        )
        length, decorrelation = _spread(h)
        return (
            h,
            jax.tree.map(lambda s, a: s.at[index + 1].set(a), states, h),
            lengths.at[index + 1].set(length),
            decorrelations.at[index + 1].set(decorrelation),
            saturations.at[index].set(saturated),
        )

    h, states, *profiles = jax.lax.fori_loop(0, active, step, start)
    return _Pass(stacked, active, states, *profiles), h


def _backward(stage: Stage, stacked, active, before: Tree, cotangent, log10):
    """The cotangent at the stage's input, its log10 size, and the logs on the way."""
    depth = stage.depth

    def pull(index, cotangent):
        layer = layer_at(stage, stacked, index)
        h = jax.tree.map(lambda a: a[index], before)
        _, vjp = jax.vjp(
            lambda p, h: call(stage.layer, {**layer, "params": p}, h)[0],
            layer.get("params", {}),
            h,
        )
        return vjp(cotangent)

    def step(count, carry):
        cotangent, log10, states, parameters = carry
        index = active - 1 - count
        of_parameters, of_state = pull(index, cotangent)
        parameters = parameters.at[index].set(log10 + _log10_norm(of_parameters))
        cotangent, more = _unit(of_state)
        log10 = log10 + more
        return cotangent, log10, states.at[index].set(log10), parameters

    empty = jnp.full((depth + 1,), jnp.nan)
    start = (cotangent, log10, empty.at[active].set(log10), empty[:-1])
    if depth == 1:  # the cotangent may change its shape, which a loop's carry cannot
        return step(0, start)
    return jax.lax.fori_loop(0, active, step, start)


def _layer_with_saturation(stage: Stage, variables, h, threshold):
    """(h after the layer, share of saturated units), by way of the layer's φ.

    The activation is an argument of every layer, so the probe hands in one that also
    notes its slopes: no layer has to report them.
    """
    phi = getattr(stage.layer, "activation", None)
    if phi is None:
        return call(stage.layer, variables, h)[0], jnp.array(jnp.nan)
    shares = []

    def noting(z):
        value, slopes = value_and_slope(phi, z)
        dead = jnp.all(jnp.abs(slopes) < threshold, axis=0)
        shares.append(jnp.mean(dead, dtype=jnp.float32))
        return value

    after, _ = call(stage.layer.clone(activation=noting), variables, h)
    return after, jnp.mean(jnp.stack(shares))


def _spread(h: Tree) -> tuple[jax.Array, jax.Array]:
    """(log10 of the mean square, 1 − mean correlation of two examples) of a state."""
    flat = jnp.concatenate(
        [a.reshape(a.shape[0], -1) for a in jax.tree.leaves(h)], axis=1
    )
    batch = flat.shape[0]
    scale = _scale(flat)
    flat = flat / scale  # squares must not overflow where the state itself does not
    squares = jnp.sum(jnp.square(flat), axis=1, keepdims=True)
    unit = flat * jax.lax.rsqrt(jnp.where(squares > 0, squares, 1))
    # Differences from the mean, not 1 − c: the latter cancels when c is near 1.
    apart = jnp.sum(jnp.square(unit - jnp.mean(unit, axis=0, keepdims=True)))
    log10_length = 2 * jnp.log10(scale) + jnp.log10(jnp.mean(squares) / flat.shape[1])
    return log10_length, apart / max(batch - 1, 1)


def _log10_norm(tree: Tree) -> jax.Array:
    """log10 of a pytree's Euclidean norm, also where the norm itself overflows."""
    _, scale, root = _scaled(tree)
    return jnp.log10(scale) + jnp.log10(root)


def _unit(tree: Tree) -> tuple[Tree, jax.Array]:
    """The pytree scaled to norm 1, and log10 of its norm; zero stays zero (−inf)."""
    tree, scale, root = _scaled(tree)
    inverse = 1 / jnp.where(root > 0, root, 1)
    log10 = jnp.log10(scale) + jnp.log10(root)
    return jax.tree.map(lambda a: a * inverse, tree), log10


def _scaled(tree: Tree) -> tuple[Tree, jax.Array, jax.Array]:
    """(the pytree divided by a scale of its size, that scale, the quotient's norm)."""
    leaves = jax.tree.leaves(tree)
    if not leaves:
        return tree, jnp.array(1.0), jnp.array(0.0)
    scale = _scale(*leaves)
    inverse = 1 / scale
    tree = jax.tree.map(lambda a: a * inverse, tree)
    # Products, not sums of squares: XLA's CPU sums run far below a core's speed.
    total = sum(
        jnp.vdot(a, a, precision=jax.lax.Precision.HIGHEST)
        for a in jax.tree.leaves(tree)
    )
    return tree, scale, jnp.sqrt(total)


def _scale(*arrays: jax.Array) -> jax.Array:
    """A size of the arrays, within bounds whose reciprocal is not a denormal.

    The sum of magnitudes: the largest would do, and takes three times as long to find.
    """
    total = sum(jnp.sum(jnp.abs(a)) for a in arrays)
    return jnp.clip(total, 1e-30, 1e30)


def _chain(profiles: list[jax.Array]) -> jax.Array:
    """Stage profiles joined; a stage's first state is the last of the one before."""
    return jnp.concatenate([profiles[0], *(p[1:] for p in profiles[1:])])
