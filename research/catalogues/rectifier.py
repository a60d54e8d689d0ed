"""ReLU, whose derivative is read off its output: the input need not be kept for it."""

import jax
import jax.numpy as jnp


@jax.custom_jvp
def relu(x: jax.Array) -> jax.Array:
    """The larger of x and 0, elementwise; its derivative at 0 is 0.

    As `jax.nn.relu`, whose derivative reads x. Of a net's layer the output is kept as the
    next product's factor anyway, and where x is read nowhere else, the maximum joins the
    product that makes it: on an H100 a pass less over the widest states of a Transformer.

    >>> jax.grad(lambda x: relu(x).sum())(jnp.array([-1.0, 0.0, 2.0])).tolist()
    [0.0, 0.0, 1.0]
    """
    return jnp.maximum(x, 0)


@relu.defjvp
def _relu_jvp(primals, tangents):
    y = relu(*primals)
    (tangent,) = tangents
    # Of max(x, 0) > 0 XLA would make x > 0, and keep x. At nan it is jax's that is 0.
    return y, jnp.where(y != 0, tangent, jnp.zeros_like(tangent))
