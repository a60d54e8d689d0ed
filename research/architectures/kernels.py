"""Kernels of a device's library that jax calls as one primitive."""

from typing import Any

# jax's names of cuDNN's attention, forwards: its results are as large as its inputs.
# What a softmax's scores would be, [time, time], is nowhere.
ATTENTION = frozenset(
    ("dot_product_attention_fwd", "dot_product_attention_fwd_wrapper")
)


def fused(primitive: Any, *operands: Any, **params: Any) -> bool:
    """Whether it is a fused kernel, as a policy of `jax.checkpoint`: its results are kept.

    A layer that keeps nothing but products for the gradient would run it twice.
    """
    return primitive.name in ATTENTION
