"""Functions of all kinds have the gradients of autodiff: those of `functions.py`.

Of the input and of each parameter, against float64 where a function can be run in it. The
states in between are held to that in `test_states.py`; here a wrong one would show in
what lies before it.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.signal import segments, states
from tests.signal.chains import log10_norm, loss, wide
from tests.signal.functions import FUNCTIONS, W
from tests.signal.test_states import X


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("way", ["measured", "arrays"])
def test_a_functions_gradients_are_those_of_autodiff(name, way):
    assert_as_autodiff(*FUNCTIONS[name], way)


@pytest.mark.parametrize("name", ["fourier_layers", "gradient_clipping", "lstm"])
def test_some_functions_gradients_are_those_of_autodiff(name):
    assert_as_autodiff(*FUNCTIONS[name], "measured")


def floats(tree):
    return [jnp.issubdtype(a.dtype, jnp.floating) for a in jax.tree.leaves(tree)]


def assert_as_autodiff(f, params, x, loss, least, x64, within, way):
    with jax.numpy_dtype_promotion("standard"):
        network = segments.network(f, params, x, loss)
        ours, first = as_measured(network, params, x, way)
        with jax.enable_x64(x64):
            given = wide((params, x)) if x64 else (params, x)
            leaves, form = jax.tree.flatten(jax.tree.map(jnp.asarray, given))
            moving = floats(leaves)

            def run(some):
                some = iter(some)
                each = zip(leaves, moving, strict=True)
                p, x = form.unflatten([next(some) if m else a for a, m in each])
                return loss(f(p, x))

            chosen = [a for a, m in zip(leaves, moving, strict=True) if m]
            gradients = iter(jax.device_get(jax.jit(jax.grad(run))(chosen)))
    each = [next(gradients) if m else None for m in moving]
    assert len(network.states()) >= least
    paths = jax.tree_util.tree_flatten_with_path(params)[0]
    names = [jax.tree_util.keystr(p, simple=True, separator="/") for p, _ in paths]
    for name, gradient in zip(names, each, strict=False):
        if gradient is None or not np.any(gradient):
            assert name in network.without_gradient or np.isneginf(
                ours.get(name, -np.inf)
            )
        else:
            assert ours[name] == pytest.approx(log10_norm(gradient), abs=within), name
    inputs = [g for g in each[len(paths) :] if g is not None]
    if inputs and network.start is not None:
        assert first == pytest.approx(log10_norm(inputs), abs=within)


def as_measured(network, params, x, way):
    """(log10 of the parameters' gradients by name, of the first state's gradient)."""
    if way == "measured":
        measured = states.measured(network, params, x)
        return measured.log10_parameter_gradient, measured.log10_gradient[0]
    read = jax.jit(lambda p, x: states.arrays(network, p, x))(params, x)
    logs = np.where(read.lost_parameters, -np.inf, read.log10_parameter_gradient)
    names = network.parameters()
    return dict(zip(names, logs.tolist(), strict=True)), float(read.log10_gradient[0])


@jax.jit
def _searching(h, w):
    return jax.lax.while_loop(lambda h: jnp.sum(h) > 9, lambda h: 0.5 * h @ w, h)


def _called_back(h):
    shape = jax.ShapeDtypeStruct(h.shape, h.dtype)
    return jax.pure_callback(np.tanh, shape, h)


REFUSED = {
    "complex parameters": (
        *(lambda p, h: jnp.real(jnp.fft.fft(h) * p["w"]), {"w": W[0][:1] + 1j}, loss),
        "the parameter w is complex",
    ),
    "a complex input": (
        *(lambda p, h: jnp.tanh(jnp.real((h + 1j) @ p)), W[0] + 0j, loss),
        "is complex",
    ),
    "a loss of several numbers": (lambda p, h: h @ p, W[0], jnp.abs, "not one scalar"),
    "no influence of the input": (
        *(lambda p, h: p * 2, W[0], loss),
        "the loss does not depend on the input",
    ),
    "no gradient by the input": (
        *(lambda p, h: jnp.argmax(h @ p), W[0], lambda n: 1.0 * n),
        "the loss does not depend on the input",
    ),
    "a while loop": (
        *(lambda p, h: _searching(h, p) @ p, W[0], loss),
        "has no derivative: Reverse-mode differentiation does not work for lax.while_loop",
    ),
    "a function outside of jax": (
        *(lambda p, h: _called_back(h @ p) @ p, W[0], loss),
        "has no derivative: Pure callbacks do not support",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_measured_is_refused_in_one_line(name):
    f, params, loss, line = REFUSED[name]
    with jax.numpy_dtype_promotion("standard"), pytest.raises(ValueError) as error:
        segments.network(f, params, X, loss)
    assert line in str(error.value)
    assert "\n" not in str(error.value)
