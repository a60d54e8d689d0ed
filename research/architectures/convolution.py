"""Convolution in the form that is fastest where it runs; chosen here and nowhere else."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

Padding = str | Sequence[tuple[int, int]]


def convolve(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Padding,
    groups: int = 1,
) -> jax.Array:
    """x [batch, *space, channels] convolved with [*size, channels / groups, features].

    padding: "SAME", "VALID", "CIRCULAR" (the image continues on its other side), or
    (before, after) for each dimension of space.
    """
    if padding == "CIRCULAR":
        sizes = kernel.shape[:-2]
        around = [((n - 1) // 2, n // 2) for n in sizes]
        x = jnp.pad(x, [(0, 0), *around, (0, 0)], mode="wrap")
        padding = "VALID"
    letters = "DHW"[3 - len(strides) :]
    names = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        tuple(strides),
        padding,
        dimension_numbers=names,
        feature_group_count=groups,
    )
