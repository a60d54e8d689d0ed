"""ReLU whose derivative is read off its output: jax's, by other means."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.rectifier import relu
from tests.architectures.test_coarse import equations

EDGES = [-np.inf, -3.0, -1e-38, -0.0, 0.0, 1e-38, 3.0, np.inf, np.nan]


@pytest.mark.parametrize("dtype", ("float32", "bfloat16", "float16"))
def test_values_and_slopes_are_jaxs_to_the_bit(dtype):
    x = jnp.asarray(EDGES, dtype)
    np.testing.assert_array_equal(relu(x)[:-1], jax.nn.relu(x)[:-1])
    assert jnp.isnan(relu(x)[-1])
    assert relu(x).dtype == x.dtype
    number, other = (jax.vjp(f, x)[1](jnp.ones_like(x))[0] for f in (relu, jax.nn.relu))
    np.testing.assert_array_equal(number[:-1], other[:-1])  # all but that of nan
    tangent = jax.jvp(relu, (x,), (jnp.full_like(x, 2),))[1]
    np.testing.assert_array_equal(tangent[:-1], 2 * other[:-1])
    curved = jax.vmap(jax.grad(jax.grad(relu)))(x)
    np.testing.assert_array_equal(curved, jnp.zeros_like(x))


def products_for_the_gradient(phi):
    """Of a net that keeps its hidden layer's output alone."""

    def net(x, w, v):
        return jnp.sum(phi(x @ w) @ v)

    outputs = ("max", "custom_jvp_call")
    keep = lambda primitive, *operands, **params: primitive.name in outputs
    gradient = jax.grad(jax.checkpoint(net, policy=keep), (0, 1, 2))
    traced = jax.make_jaxpr(gradient)(
        jnp.ones((5, 4)), jnp.ones((4, 3)), jnp.ones((3, 2))
    )
    return sum(e.primitive.name == "dot_general" for e in equations(traced.jaxpr))


def test_the_input_is_not_made_again_for_the_slope():
    """Two products there, and four back."""
    assert products_for_the_gradient(ACTIVATIONS["relu"].phi) == 6
    assert products_for_the_gradient(jax.nn.relu) == 7


def test_xla_does_not_read_the_input_instead():
    """Of max(x, 0) > 0 its simplifier would make x > 0, and keep x."""
    x = jnp.ones((64, 64))
    back = jax.jit(lambda y, g: jax.vjp(lambda x: relu(relu(x)), y)[1](g)[0])
    text = back.lower(x, x).compile().as_text()
    assert "direction=NE" in text and "direction=GT" not in text
