"""Convolution in the form that is fastest where it runs; chosen here and nowhere else.

XLA's CPU backend works out the weight gradient of a convolution within a loop, where all
deep stages are, by a naive loop of its own, and the input gradient as slowly.
Sums of matrix products do not have this problem. `benchmarks/convolution_forms.py`
measures both.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

Padding = str | Sequence[tuple[int, int]]
Edges = tuple[tuple[int, int], ...]

# More products than this take longer to compile than they save.
MOST_OFFSETS = 9


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
    sizes = kernel.shape[:-2]
    around = tuple(((n - 1) // 2, n // 2) for n in sizes)
    if padding == "CIRCULAR":
        x = jnp.pad(x, [(0, 0), *around, (0, 0)], mode="wrap")
        padding = "VALID"
    # What has strides changes its input's shape, and so is in no loop over layers.
    within_loops = all(stride == 1 for stride in strides)
    if jax.default_backend() != "cpu" or not within_loops:
        return plain(x, kernel, strides, padding, groups)
    if padding == "SAME":
        edges = around
    elif padding == "VALID":
        edges = ((0, 0),) * len(sizes)
    else:
        edges = tuple((before, after) for before, after in padding)
    if math.prod(sizes) > MOST_OFFSETS:
        return plain(x, kernel, strides, edges, groups)
    return by_products(x, kernel, edges, groups)


def plain(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Padding,
    groups: int = 1,
) -> jax.Array:
    """XLA's own convolution and gradients; padding is not CIRCULAR."""
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


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def by_products(
    x: jax.Array, kernel: jax.Array, edges: Edges, groups: int = 1
) -> jax.Array:
    """The convolution of stride 1, with derivatives that are sums of matrix products.

    A rule for tangents, not for cotangents, so that both directions and all orders of
    differentiation hold; the gradients are what jax makes of it.
    """
    return plain(x, kernel, (1,) * len(edges), edges, groups)


def _tangent(edges: Edges, groups: int, primals, tangents):
    x, kernel = primals
    x_dot, kernel_dot = tangents
    y = by_products(x, kernel, edges, groups)
    change = jnp.zeros_like(y)
    if not isinstance(x_dot, SymbolicZero):
        change = change + offset_by_offset(x_dot, kernel, edges, groups)
    if not isinstance(kernel_dot, SymbolicZero):
        form = all_offsets_at_once if groups == 1 else offset_by_offset
        change = change + form(x, kernel_dot, edges, groups)
    return y, change


by_products.defjvp(_tangent, symbolic_zeros=True)


def offset_by_offset(
    x: jax.Array, kernel: jax.Array, edges: Edges, groups: int = 1
) -> jax.Array:
    """A convolution as the sum, over the kernel's offsets, of products with shifts."""
    flat = kernel.reshape(-1, *kernel.shape[-2:])
    shifted = _shifts(x, kernel.shape[:-2], edges)
    terms = [_product(part, flat[place], groups) for place, part in enumerate(shifted)]
    return sum(terms[1:], terms[0])


def all_offsets_at_once(
    x: jax.Array, kernel: jax.Array, edges: Edges, groups: int = 1
) -> jax.Array:
    """A convolution of one group as a product with every pixel's surroundings."""
    assert groups == 1
    around = jnp.concatenate(list(_shifts(x, kernel.shape[:-2], edges)), axis=-1)
    return around @ kernel.reshape(-1, kernel.shape[-1])


def _shifts(x: jax.Array, sizes: tuple[int, ...], edges: Edges) -> Iterator[jax.Array]:
    """What every offset of the kernel sees: [batch, *space, channels] for each."""
    padded = jnp.pad(x, [(0, 0), *edges, (0, 0)])
    space = [side - n + 1 for side, n in zip(padded.shape[1:-1], sizes, strict=True)]
    for offset in itertools.product(*map(range, sizes)):
        ends = (start + side for start, side in zip(offset, space, strict=True))
        window = tuple(itertools.starmap(slice, zip(offset, ends, strict=True)))
        yield padded[(slice(None), *window)]


def _product(x: jax.Array, kernel: jax.Array, groups: int) -> jax.Array:
    """x [..., channels] times a kernel [channels / groups, features], by groups."""
    if groups == 1:
        return x @ kernel
    inner, features = kernel.shape
    parts = x.reshape(*x.shape[:-1], groups, inner)
    kernels = kernel.reshape(inner, groups, features // groups)
    if inner == 1:  # depthwise: no sum, so no product of matrices
        spread = jnp.expand_dims(kernels[0], tuple(range(x.ndim - 1)))
        y = parts * spread
    else:
        y = jnp.einsum("...gi,igo->...go", parts, kernels)
    return y.reshape(*x.shape[:-1], features)
