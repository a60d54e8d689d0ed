"""What a net reads of examples as a data set keeps them: on the device, in one place.

Import it by `lazy` where jax must not be imported yet.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from depthbench.research.datasets.contract import Dataset, Scale
from depthbench.research.datasets.images import normalised


def reader(dataset: Dataset, scale: Scale | None) -> Callable[[Any], Any]:
    """From examples as they are kept to the float32 that a net reads.

    What has a scale becomes normalised, tokens one-hot; other floats are read as they
    are. Arrays may be the host's. scale: of the part that is trained on.
    """
    assert scale is not None or dataset.stored != "uint8"
    if scale is not None:
        return lambda x: normalised(x, scale)
    if dataset.stored == "int32":
        # A lookup has the product's bits forwards, but its gradient adds in another
        # order: tokens become vectors here, where the net reads them, and not before.
        return lambda x: jax.nn.one_hot(x, dataset.shape[-1], dtype=jnp.float32)
    return lambda x: x
