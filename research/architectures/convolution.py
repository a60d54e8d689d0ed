"""Convolution in the form that is fastest where it runs; chosen here and nowhere else.

XLA's CPU backend has one fast convolution: of [batch, *space, channels] with a kernel
[*size, channels, features]. The gradients that jax asks for have their dimensions in
another order. XLA puts them right in a program's main part, but not within a loop, where
all deep stages are: there it runs a naive loop, 20 to 50 times slower. `ordered` is the
same convolution with gradients that are ordered convolutions themselves, of transposed
arrays. `benchmarks/convolution_forms.py` compares these and sums of products.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from depthbench.research.machine import operations

Padding = str | Sequence[tuple[int, int]]


class Window(NamedTuple):
    """How a kernel moves over an image; each has an entry for a dimension of space.

    edges: pixels of zeros (before, after). spread: the image's pixels, and reach: the
    kernel's, are so far apart. groups: of channels, each with its own features.
    """

    strides: tuple[int, ...]
    edges: tuple[tuple[int, int], ...]
    spread: tuple[int, ...]
    reach: tuple[int, ...]
    groups: int = 1


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
        around = [((n - 1) // 2, n // 2) for n in kernel.shape[:-2]]
        x = jnp.pad(x, [(0, 0), *around, (0, 0)], mode="wrap")
        padding = "VALID"
    cpu = jax.default_backend() == "cpu"
    if cpu and groups > 1:  # one for all has gradients that take twice as long
        parts = zip(
            jnp.split(x, groups, -1), jnp.split(kernel, groups, -1), strict=True
        )
        done = [convolve(*part, strides, padding) for part in parts]
        return jnp.concatenate(done, -1)
    form = ordered if cpu else plain
    return form(x, kernel, window(x.shape, kernel.shape, strides, padding, groups))


def window(
    shape: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    padding: Padding,
    groups: int = 1,
) -> Window:
    """The window of arrays of these shapes; padding is not CIRCULAR."""
    if isinstance(padding, str):
        sizes = (shape[1:-1], kernel[:-2])
        padding = jax.lax.padtype_to_pads(*sizes, strides, padding)
    edges = tuple((before, after) for before, after in padding)
    ones = (1,) * len(edges)
    return Window(tuple(strides), edges, ones, ones, groups)


def plain(x: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """XLA's own convolution, with jax's gradients."""
    letters = "DHW"[3 - len(window.strides) :]
    names = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window.strides,
        window.edges,
        window.spread,
        window.reach,
        names,
        window.groups,
    )


def ordered(x: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """The same, with gradients of all orders that are ordered convolutions."""
    return _ordered.bind(x, kernel, window=window)


def _for_input(g: jax.Array, x, kernel: jax.Array, window: Window) -> jax.Array:
    """The cotangent of x: that of the output, spread, with the kernel turned round."""
    *sizes, inner, features = kernel.shape
    space, groups = x.aval.shape[1:-1], window.groups
    turned = jnp.flip(kernel, range(len(sizes)))
    turned = turned.reshape(*sizes, inner, groups, features // groups)
    turned = jnp.swapaxes(turned, -3, -1).reshape(*sizes, -1, groups * inner)
    lengths = _lengths(space, g.shape[1:-1], sizes, window)
    edges = tuple(
        (reached - before - 1, side + before - out)
        for side, out, reached, (before, _) in zip(*lengths, window.edges, strict=True)
    )
    turned_round = Window(window.spread, edges, window.strides, window.reach, groups)
    return ordered(g, turned, turned_round)


def _for_kernel(g: jax.Array, x: jax.Array, kernel, window: Window) -> jax.Array:
    """The kernel's cotangent: images as channels, and the output's cotangent as kernel.

    Groups stay groups: of [channels / groups, *space, groups × batch].
    """
    *sizes, inner, _ = kernel.aval.shape
    count, *space, _ = x.shape
    images = x.reshape(count, *space, window.groups, inner)
    images = jnp.moveaxis(images, (-1, 0), (0, -1)).reshape(inner, *space, -1)
    lengths = _lengths(space, g.shape[1:-1], sizes, window)
    edges = tuple(
        (before, out - side + reached - 1 - before)
        for side, out, reached, (before, _) in zip(*lengths, window.edges, strict=True)
    )
    swapped = Window(window.reach, edges, window.spread, window.strides, window.groups)
    cotangent = ordered(images, jnp.moveaxis(g, 0, -2), swapped)
    return jnp.moveaxis(cotangent, 0, -2)


def _lengths(space: Sequence[int], out: Sequence[int], sizes, window: Window) -> tuple:
    """Sides of the image, the output and the kernel, with their gaps."""

    def spread(sides, gaps):
        return [(side - 1) * gap + 1 for side, gap in zip(sides, gaps, strict=True)]

    return (
        spread(space, window.spread),
        spread(out, window.strides),
        spread(sizes, window.reach),
    )


def _batched(arrays, axes, window: Window):
    """Over seeds. Images of one kernel are one batch; else net by net.

    All at once would be a convolution of as many groups, which takes 5 times as long.
    """
    x, kernel = arrays
    x = x if axes[0] is None else jnp.moveaxis(x, axes[0], 0)
    if axes[1] is None:
        y = ordered(x.reshape(-1, *x.shape[2:]), kernel, window)
        return y.reshape(*x.shape[:2], *y.shape[1:]), 0
    kernel = jnp.moveaxis(kernel, axes[1], 0)
    if axes[0] is None:
        return jax.lax.map(lambda one: ordered(x, one, window), kernel), 0
    return jax.lax.map(lambda pair: ordered(pair[0], pair[1], window), (x, kernel)), 0


def _shape(x, kernel, window: Window):
    output = jax.eval_shape(functools.partial(plain, window=window), x, kernel)
    return x.update(shape=output.shape)


_ordered = Primitive("ordered_convolution")
operations.WRITTEN[_ordered.name] = plain
_ordered.def_impl(jax.jit(plain, static_argnames="window"))
_ordered.def_abstract_eval(_shape)
ad.defbilinear(_ordered, _for_input, _for_kernel)
batching.primitive_batchers[_ordered] = _batched
mlir.register_lowering(_ordered, mlir.lower_fun(plain, multiple_results=False))
