"""Dtypes: what activations, their gradients and products are computed in.

One catalogue for all: each user takes the entries that mean something to it. Parameters
and what an update rule keeps are float32 whatever is computed in.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.lazy import lazily

with lazily():
    import jax
    import jax.numpy as jnp

SCALING = "Micikevicius et al. 2018, arXiv:1710.03740, sections 3.2 and 5"


class Dtype(NamedTuple):
    """What is computed in. array: jax's name of it; bytes: of one number.

    matmul: jax's name for the precision of products.
    scaled: the loss is multiplied by a power of two, as large as nothing overflows with,
      and the gradient divided by it: dynamic loss scaling.
    absent: why it cannot be had on this device; "" if it can.
    """

    name: str
    source: str
    array: str
    bytes: int
    matmul: str = "default"
    scaled: bool = False
    absent: Callable[[], str] = lambda: ""

    @property
    def dtype(self) -> Any:
        """jax's dtype of arrays."""
        return jnp.dtype(self.array)


def _no_tf32() -> str:
    device = jax.devices()[0]
    capability = getattr(device, "compute_capability", None)
    if capability is not None and float(capability) >= 8:
        return ""
    return f"{device.device_kind} has no TF32"


DTYPES: Catalogue[Dtype] = Catalogue(
    "dtype",
    [
        Dtype(
            "float32", "IEEE 754; products at jax's highest", "float32", 4, "highest"
        ),
        Dtype(
            "tf32",
            "NVIDIA Ampere: factors of products rounded to 10 bits; jax's default there",
            "float32",
            4,
            "tensorfloat32",
            absent=_no_tf32,
        ),
        Dtype("bfloat16", "8 of float32's 24 bits, its exponents", "bfloat16", 2),
        Dtype("float16", "IEEE 754, binary16: 11 bits, 6e-8 to 65,504", "float16", 2),
        Dtype(
            "float16_scaled",
            f"float16, the loss scaled: {SCALING}",
            "float16",
            2,
            scaled=True,
        ),
    ],
)


def some(*names: str) -> Catalogue[Dtype]:
    """The dtypes of these names, as a catalogue of their own.

    >>> list(some("float32", "float16"))
    ['float32', 'float16']
    """
    return Catalogue(DTYPES.noun, [DTYPES[name] for name in names])


# Of nets: TF32 is a precision of products alone, which the device chooses.
ACTIVE = some("float32", "bfloat16", "float16", "float16_scaled")
# Of a user's model, whose loss is the user's: nothing of it is scaled.
CAST = some("float32", "bfloat16", "float16")
