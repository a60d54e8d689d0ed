"""What the probes are held to: plain automatic differentiation, in float64."""

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.architectures.contract import INPUTS, Fed, call, layer_at
from depthbench.research.signal import probes


def by_autodiff(net, variables, x, loss):
    """log10 norms of ∂loss/∂h [states] and ∂loss/∂θ [layers], layer after layer.

    Layers are untied, and what is added to every state has the state's gradient.
    """
    start, _ = call(net.stem, variables.stem, x)
    fed = isinstance(start, Fed)

    def now(stage, index):
        """What a layer is called with beside the state, if anything."""
        each = start.inputs if fed else stage.fed
        return {} if each is None else {INPUTS: each[index]}

    layers = [
        (stage.layer, layer_at(stage, stacked, index) | now(stage, index))
        for stage, stacked in zip(net.stages, variables.stages, strict=True)
        for index in range(stage.depth)
    ]
    first = start.state if fed else start

    def run(nudges, params):
        states = [jax.tree.map(jnp.add, first, nudges[0])]
        for (layer, arrays), now, nudge in zip(layers, params, nudges[1:], strict=True):
            after, _ = call(layer, {**arrays, "params": now}, states[-1])
            states.append(jax.tree.map(jnp.add, after, nudge))
        return loss(call(net.head, variables.head, states[-1])[0])

    shapes = [jax.eval_shape(lambda: first)]
    for layer, arrays in layers:
        shapes.append(
            jax.eval_shape(
                lambda h, layer=layer, arrays=arrays: call(layer, arrays, h)[0],
                shapes[-1],
            )
        )
    nudges = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    params = [arrays.get("params", {}) for _, arrays in layers]
    gradients = jax.grad(run, (0, 1))(nudges, params)

    def log10_norm(tree):
        squares = [jnp.sum(jnp.square(a)) for a in jax.tree.leaves(tree)]
        return jnp.log10(sum(squares, jnp.zeros((), x.dtype))) / 2

    return tuple(jnp.stack([log10_norm(tree) for tree in g]) for g in gradients)


def assert_log_gradients(net, variables, x, loss, within):
    """The probe's log10 norms, in float32, are those of float64."""
    norms = jax.jit(lambda v: probes.log_gradients(net, v, x, loss))(variables)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: np.asarray(a, np.float64), (variables, x))
        run = jax.jit(lambda v, x: by_autodiff(net, v, x, loss))
        expected = jax.device_get(run(*wide))
    for ours, theirs in zip(norms, expected, strict=True):
        assert theirs.dtype == np.float64
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=within)
