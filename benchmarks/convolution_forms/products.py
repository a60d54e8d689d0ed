"""Other forms of a 3×3 convolution [batch, side, side, channels], to compare with ours.

`convolution_forms` times them. Sums of matrix products, and mixtures: a form for the
forward pass, one for the input's gradient and one for the kernel's.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from depthbench.research.lazy import lazily

with lazily():
    import jax
    import jax.numpy as jnp

    from depthbench.research.architectures import convolution

Convolution = Callable[[Any, Any], Any]
EDGES = ((1, 1), (1, 1))


def xla(x: Any, kernel: Any) -> Any:
    """XLA's own, with jax's gradients."""
    return convolution.plain(x, kernel, _window(x, kernel))


def ordered(x: Any, kernel: Any) -> Any:
    """XLA's own, with gradients in the order that its CPU backend is fast at."""
    return convolution.ordered(x, kernel, _window(x, kernel))


def chosen(x: Any, kernel: Any) -> Any:
    """What every architecture calls."""
    return convolution.convolve(x, kernel, (1, 1), "SAME")


def _window(x: Any, kernel: Any) -> Any:
    return convolution.window(x.shape, kernel.shape, (1, 1), EDGES)


def offset_by_offset(x: Any, kernel: Any) -> Any:
    """The sum, over the kernel's offsets, of products with shifted images."""
    flat = kernel.reshape(-1, *kernel.shape[-2:])
    terms = [part @ flat[place] for place, part in enumerate(_shifts(x))]
    return sum(terms[1:], terms[0])


def all_offsets_at_once(x: Any, kernel: Any) -> Any:
    """One product, with every pixel's surroundings side by side."""
    around = jnp.concatenate(list(_shifts(x)), axis=-1)
    return around @ kernel.reshape(-1, kernel.shape[-1])


def _shifts(x: Any) -> Iterator[Any]:
    """What each of the nine offsets sees: [batch, side, side, channels]."""
    _, height, width, _ = x.shape
    padded = jnp.pad(x, [(0, 0), *EDGES, (0, 0)])
    for i, j in itertools.product(range(3), range(3)):
        yield padded[:, i : i + height, j : j + width]


def _input_in_order(x: Any, kernel: Any) -> Any:
    """A convolution whose transpose for x has XLA's fast order; itself it has not."""
    names = ("NHWC", "HWOI", "NHWC")
    return jax.lax.conv_general_dilated(
        x, jnp.swapaxes(kernel, 2, 3), (1, 1), EDGES, dimension_numbers=names
    )


def _kernel_in_order(x: Any, kernel: Any) -> Any:
    """The same for the kernel. Under vmap both become convolutions of groups."""
    x, kernel = jnp.transpose(x, (3, 1, 2, 0)), jnp.transpose(kernel, (2, 0, 1, 3))
    names = ("CHWN", "IHWO", "HWNC")
    y = jax.lax.conv_general_dilated(x, kernel, (1, 1), EDGES, dimension_numbers=names)
    return jnp.transpose(y, (2, 0, 1, 3))


def mixture(
    forward: Convolution, for_input: Convolution, for_kernel: Convolution
) -> Convolution:
    """`forward`, whose gradients are the transposes of two other forms."""

    def mixed(x, kernel):
        conv = jax.custom_jvp(forward)

        @conv.defjvp
        def tangent(primals, tangents):
            (x, kernel), (x_dot, kernel_dot) = primals, tangents
            change = for_input(x_dot, kernel) + for_kernel(x, kernel_dot)
            return forward(x, kernel), change

        return conv(x, kernel)

    return functools.wraps(forward)(mixed)


products = mixture(xla, offset_by_offset, all_offsets_at_once)
ordered_groups = mixture(xla, _input_in_order, _kernel_in_order)
kernel_by_products = mixture(xla, _input_in_order, all_offsets_at_once)
