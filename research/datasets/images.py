"""Augmentation of images on the device: pure functions of a key and a batch.

Import it by `lazy` where jax must not be imported yet.
"""

import jax
import jax.numpy as jnp


def normalised(x: jax.Array, scale: tuple) -> jax.Array:
    """(x − mean) / deviation as float32, each channel its own.

    x: [..., channels] as stored. scale: `Data.scale`, two times [channels].
    """
    mean, deviation = (jnp.asarray(part, jnp.float32) for part in scale)
    axes = tuple(range(x.ndim - 1))
    mean, deviation = jnp.expand_dims(mean, axes), jnp.expand_dims(deviation, axes)
    return (x.astype(jnp.float32) - mean) / deviation


def flipped(key: jax.Array, x: jax.Array) -> jax.Array:
    """Images x [batch, height, width, channels], half of them mirrored left to right."""
    mirrored = jax.random.bernoulli(key, 0.5, (x.shape[0], 1, 1, 1))
    return jnp.where(mirrored, x[:, :, ::-1], x)


def cropped(key: jax.Array, x: jax.Array, padding: int) -> jax.Array:
    """Images of the same size from anywhere in x with `padding` zeros on each side.

    x: [batch, height, width, channels], normalised, so that 0 is the mean.
    Source: He et al. 2016, arXiv:1512.03385, section 4.2 (padding 4 on 32 × 32).
    """
    count, height, width, channels = x.shape
    border = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    corners = jax.random.randint(key, (count, 2), 0, 2 * padding + 1)

    def window(image, corner):
        start = (corner[0], corner[1], 0)
        return jax.lax.dynamic_slice(image, start, (height, width, channels))

    return jax.vmap(window)(jnp.pad(x, border), corners)
