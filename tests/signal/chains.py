"""What a function's states are held to: float64 autodiff of the steps it consists of."""

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.signal import segments, states


def loss(outputs):
    return jnp.mean(jnp.square(outputs - 0.3))


def composed(steps):
    """The function of all steps (params, h) -> h, one after the other."""

    def f(params, h):
        for step in steps:
            h = step(params, h)
        return h

    return f


def norms(steps, params, x, loss=loss):
    """(log10 ‖∂loss/∂h‖ behind 0, 1, … steps, log10 ‖∂loss/∂θ‖ of the leaves)."""

    def run(nudges, params):
        h = jax.tree.map(jnp.add, x, nudges[0])
        for step, nudge in zip(steps, nudges[1:], strict=True):
            h = jax.tree.map(jnp.add, step(params, h), nudge)
        return loss(h)

    shapes = [x]
    for step in steps:
        shapes.append(jax.eval_shape(step, params, shapes[-1]))
    nudges = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    return jax.device_get(jax.jit(jax.grad(run, (0, 1)))(nudges, params))


def log10_norm(tree):
    """log10 of the Euclidean norm of all leaves."""
    leaves = [np.asarray(a, np.float64) for a in jax.tree.leaves(tree)]
    with np.errstate(divide="ignore"):
        return np.log10(sum(np.sum(a**2) for a in leaves)) / 2


def wide(tree):
    """The tree's floats in float64; keys and integers as they are."""
    return jax.tree.map(
        lambda a: np.asarray(a, np.float64) if a.dtype == np.float32 else a, tree
    )


def assert_equal(steps, params, x, f=None, loss=loss, within=1e-5, x64=True, but="-"):
    """What is measured of f is that of its steps; returns it, and the network.

    but: parameters whose gradient is rounding alone, by a part of their names.
    """
    network = segments.network(f or composed(steps), params, x, loss)
    measured = states.measured(network, params, x)
    with jax.enable_x64(x64), jax.numpy_dtype_promotion("standard"):
        given = wide((params, x)) if x64 else (params, x)
        of_states, of_parameters = norms(steps, *given, loss=loss)
    expected = [log10_norm(g) for g in of_states]
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(measured.log10_gradient, expected, rtol=0, atol=within)
    paths, _ = jax.tree_util.tree_flatten_with_path(of_parameters)
    for path, gradient in paths:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if but in name:
            continue
        ours = measured.log10_parameter_gradient[name]
        np.testing.assert_allclose(
            ours, log10_norm(gradient), rtol=0, atol=within, err_msg=name
        )
    return measured, network
