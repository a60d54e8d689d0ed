"""Orthogonal matrices by the thousand, as an accelerator draws them.

There the vendors' libraries factor a batch of small matrices in one call, but multiply
each one's reflections out by itself: 12,288 calls for the weights of three nets of 1,024
layers and three seeds. Here all matrices are multiplied by one reflection at a time.
"""

import jax
import jax.numpy as jnp


def orthonormal(a: jax.Array) -> jax.Array:
    """Q of a = QR [..., rows, columns] with rows ≥ columns, its signs such that R has a
    positive diagonal: uniformly distributed if `a` is Gaussian (Mezzadri 2007,
    arXiv:math-ph/0609050).

    >>> q = orthonormal(jnp.array([[3.0, 0.0], [4.0, 5.0]]))
    >>> bool(jnp.allclose(q.T @ q, jnp.eye(2), atol=1e-6))
    True
    """
    rows, columns = a.shape[-2:]
    packed, sizes = jnp.linalg.qr(a, mode="raw")
    packed = jnp.matrix_transpose(packed)  # NumPy's raw form is transposed
    places = jnp.arange(rows)

    def reflect(step, q):
        """(1 - τ v vᵀ) Q: v is 0 above the diagonal, 1 on it, and packed below."""
        column = columns - 1 - step
        below = jnp.take(packed, column, axis=-1)
        v = jnp.where(places > column, below, (places == column).astype(a.dtype))
        size = jnp.take(sizes, column, axis=-1)[..., None, None]
        along = jnp.sum(v[..., :, None] * q, axis=-2, keepdims=True)
        return q - size * v[..., :, None] * along

    start = jnp.broadcast_to(jnp.eye(rows, columns, dtype=a.dtype), a.shape)
    q = jax.lax.fori_loop(0, columns, reflect, start)
    diagonal = jnp.diagonal(packed, axis1=-2, axis2=-1)[..., None, :]
    return q * jnp.where(diagonal < 0, -1, 1).astype(a.dtype)


def kernel(key: jax.Array, shape: tuple[int, ...], dtype, scale: float) -> jax.Array:
    """A (semi-)orthogonal kernel [*space, in, out]: jax's own initialiser of the same
    scale, but for rounding.

    >>> kernel(jax.random.key(0), (3, 3, 2, 7), jnp.float32, 1.0).shape
    (3, 3, 2, 7)
    """
    fan_out = shape[-1]
    fan_in = 1
    for size in shape[:-1]:
        fan_in *= size
    tall = (max(fan_in, fan_out), min(fan_in, fan_out))
    q = orthonormal(jax.random.normal(key, tall, dtype))
    q = q if fan_in >= fan_out else jnp.matrix_transpose(q)
    return scale * q.reshape(shape)
