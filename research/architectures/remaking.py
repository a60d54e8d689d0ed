"""What the gradient keeps of the way forward, and what is made again on the way back.

What takes a pass over all of a layer's inputs is kept: products, convolutions, kernels of
a device's library, and the moments that normalisers divide by. The rest is arithmetic
number by number: where it is made again, in the loop that reads it, it takes no memory and
hardly any time.
Source: Chen et al. 2016, arXiv:1604.06174, section 3.
"""

import contextvars
from collections.abc import Callable
from typing import Any

import jax
from jax.ad_checkpoint import checkpoint_name

MOMENTS = "moments"
CONVOLUTIONS = ("conv_general_dilated", "ordered_convolution")
# jax's names of cuDNN's attention, forwards: its results are as large as its inputs.
# What a softmax's scores would be, [time, time], is nowhere.
ATTENTION = ("dot_product_attention_fwd", "dot_product_attention_fwd_wrapper")

_products = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
_moments = jax.checkpoint_policies.save_only_these_names(MOMENTS)
_within = contextvars.ContextVar("within a frugal function", default=False)


def moments(statistics: Callable, h: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The (mean, variance) that `statistics` has of h; they are kept."""
    return checkpoint_name(statistics(h), MOMENTS)


def remade(function: Callable) -> Callable:
    """The function, of which nothing is kept but its arguments and moments.

    Within a frugal one it is left alone: what is remade twice is kept twice.
    """
    if _within.get():
        return function
    return jax.checkpoint(function, policy=_moments, prevent_cse=False)


def frugal(function: Callable) -> Callable:
    """The function, of which arguments, products, convolutions, attention and moments stay.

    Where no loop is in the way, XLA finds what is made twice, and chooses itself.
    """

    def run(*arguments: Any) -> Any:
        token = _within.set(True)
        try:
            return function(*arguments)
        finally:
            _within.reset(token)

    return jax.checkpoint(run, policy=_kept, prevent_cse=False)


def _kept(primitive: Any, *operands: Any, **params: Any) -> Any:
    return (
        primitive.name in (*CONVOLUTIONS, *ATTENTION)
        or _products(primitive, *operands, **params)
        or _moments(primitive, *operands, **params)
    )
