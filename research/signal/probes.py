"""The signal in a given network, layer by layer: lengths, correlations, gradients.

Everything that can vanish is measured as a log10. The backward pass goes layer by
layer, renormalises the cotangent at each and adds up the logarithms, so that a
gradient of 10^-6290 is a number like any other.

Of a list of layer functions of your own, (params, h) -> h, in plain JAX, Linen or NNX:

>>> from depthbench.research.architectures.walk import Link
>>> layer = lambda w, h: jnp.tanh(h @ w)
>>> weights = [jnp.eye(4) / 2] * 160
>>> links = [Link(f"layer {n}", layer, w) for n, w in enumerate(weights)]
>>> x, loss = jnp.full((2, 4), 1e-3), lambda h: jnp.mean(1e3 * h)
>>> states, parameters = log_gradients(links, x, loss)
>>> round(float(states[0] - states[-1]), 2)  # 160 log10 ½; to jax.grad it is 0
-48.16
>>> states.shape, parameters.shape
((161,), (160,))

In a net that is not a list of layers, `research.signal.states` finds the states itself.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from depthbench.research.architectures import walk
from depthbench.research.architectures.contract import of_links
from depthbench.research.architectures.walk import Link, Tree
from depthbench.research.theory.activation import value_and_slope

Loss = Callable[[Any], jax.Array]  # outputs [batch, …] -> scalar


class Signal(NamedTuple):
    """Per-layer profiles; a state is what the first layer reads or what a layer returns.

    Entries beyond a link's active depth are nan.

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


@of_links
def signal(
    links: Sequence[Link], x: Tree, loss: Loss, *, threshold: Any = 0.0
) -> Signal:
    """All profiles of one network on one batch x [batch, …].

    links: or a net and its variables, in two arguments. A stem and a head (`Link.end`)
      are traversed and left out of the profiles; links without are all layers.
    threshold: the |φ′| below which a unit counts as saturated.

    Normalisers use batch statistics. The profile equals automatic differentiation where
    that does not underflow.
    """
    layers, h, head = walk.begin(links, x)
    passes = []
    for link in layers:
        run = _through_one if link.repeats is None else _through_many
        forward, h = run(link, h, threshold)
        passes.append(forward)
    walked = [(link, f.states) for link, f in zip(layers, passes, strict=True)]
    _, log10_gradient, log10_parameters = _back(walked, head, h, loss)
    return Signal(
        log10_length=chain([f.log10_length for f in passes]),
        decorrelation=chain([f.decorrelation for f in passes]),
        log10_gradient=log10_gradient,
        log10_parameter_gradient=log10_parameters,
        saturated=jnp.concatenate([f.saturated for f in passes]),
    )


@of_links
def log_gradients(
    links: Sequence[Link], x: Tree, loss: Loss
) -> tuple[jax.Array, jax.Array]:
    """log10 ‖∂loss/∂h‖ [states] and log10 ‖∂loss/∂θ‖ [layers], and nothing else.

    Example: `states, parameters = log_gradients(net, variables, x, loss)`.
    """
    return value_and_log_gradients(links, x, loss)[1]


@of_links
def value_and_log_gradients(
    links: Sequence[Link], x: Tree, loss: Loss
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """(loss, `log_gradients`) in the time that `jax.value_and_grad` takes."""
    layers, h, head = walk.begin(links, x)
    walked = []
    for link in layers:
        h, before = walk.through(link, h)
        walked.append((link, before))
    value, states, parameters = _back(walked, head, h, loss)
    return value, (states, parameters)


def _back(walked, head: Sequence[Link], h: Tree, loss: Loss):
    """The loss, and log10 gradient norms of [states] and of [layers]' parameters.

    walked: (link, the states before each of its applications) of every layer.
    h: the last state.
    """
    value, pull = jax.vjp(lambda h: loss(walk.fold(head, h)[0]), h)
    (cotangent,) = pull(jnp.ones_like(value))
    cotangent, log10 = unit(cotangent)
    log10_gradient, log10_parameters = [], []
    for link, before in reversed(walked):
        cotangent, log10, states, parameters = _backward(link, before, cotangent, log10)
        log10_gradient.insert(0, states)
        log10_parameters.insert(0, parameters)
    return value, chain(log10_gradient), jnp.concatenate(log10_parameters)


class _Pass(NamedTuple):
    """One link's forward pass: its states [repeats + 1, …] and their profiles.

    Of a link that is applied once, the states are what it reads, [1, …].
    """

    states: Tree
    log10_length: jax.Array
    decorrelation: jax.Array
    saturated: jax.Array


def _through_one(link: Link, h: Tree, threshold) -> tuple[_Pass, Tree]:
    """A link that is applied once: its output may have another shape than its input."""
    after, saturated = _with_saturation(link, 0, h, threshold)
    length, decorrelation = zip(spread(h), spread(after), strict=True)
    states = jax.tree.map(lambda a: a[None], h)
    profiles = (jnp.stack(length), jnp.stack(decorrelation), saturated[None])
    return _Pass(states, *profiles), after


def _through_many(link: Link, h: Tree, threshold) -> tuple[_Pass, Tree]:
    depth = link.repeats or 1
    states = jax.tree.map(
        lambda a: jnp.zeros((depth + 1, *a.shape), a.dtype).at[0].set(a), h
    )
    empty = jnp.full((depth + 1,), jnp.nan)
    length, decorrelation = spread(h)
    start = (
        h,
        states,
        empty.at[0].set(length),
        empty.at[0].set(decorrelation),
        empty[:-1],
    )

    def step(index, carry):
        h, states, lengths, decorrelations, saturations = carry
        h, saturated = _with_saturation(link, index, h, threshold)
        length, decorrelation = spread(h)
        return (
            h,
            jax.tree.map(lambda s, a: s.at[index + 1].set(a), states, h),
            lengths.at[index + 1].set(length),
            decorrelations.at[index + 1].set(decorrelation),
            saturations.at[index].set(saturated),
        )

    h, states, *profiles = walk.loop(link, step, start)
    return _Pass(states, *profiles), h


def _backward(link: Link, before: Tree, cotangent, log10):
    """The cotangent at the link's input, its log10 size, and the logs on the way."""

    def step(index, carry):
        cotangent, log10, states, parameters = carry
        layer = walk.at(link, index)
        h = jax.tree.map(lambda a: a[index], before)
        _, pull = jax.vjp(layer.at, layer.params, h)
        of_parameters, of_state = pull(cotangent)
        parameters = parameters.at[index].set(log10 + _log10_norm(of_parameters))
        cotangent, more = unit(of_state)
        log10 = log10 + more
        return cotangent, log10, states.at[index].set(log10), parameters

    depth = link.repeats or 1
    empty = jnp.full((depth + 1,), jnp.nan)
    start = (cotangent, log10, empty.at[walk.count(link)].set(log10), empty[:-1])
    return walk.loop(link, step, start, back=True)


def _with_saturation(link: Link, index, h: Tree, threshold):
    """(h after a layer, share of saturated units), by way of the layer's φ.

    The activation is an argument of every layer, so the probe hands in one that also
    notes its slopes: no layer has to report them.
    """
    layer, phi = walk.at(link, index), link.activation
    if phi is None:
        return layer(h), jnp.array(jnp.nan)
    shares = []

    def noting(z):
        value, slopes = value_and_slope(phi, z)
        dead = jnp.all(jnp.abs(slopes) < threshold, axis=0)
        shares.append(jnp.mean(dead, dtype=jnp.float32))
        return value

    after = layer.at(layer.params, h, activation=noting)
    return after, jnp.mean(jnp.stack(shares))


def spread(h: Tree) -> tuple[jax.Array, jax.Array]:
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


def unit(tree: Tree) -> tuple[Tree, jax.Array]:
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


def chain(profiles: list[jax.Array]) -> jax.Array:
    """Links' profiles joined; a link's first state is the last of the one before."""
    return jnp.concatenate([profiles[0], *(p[1:] for p in profiles[1:])])
