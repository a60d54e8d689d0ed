"""A class for each pixel: the loss of nets, and features of pixels for other methods."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

from depthbench.research.catalogues.losses import ACCURACY, Loss
from depthbench.research.catalogues.packages import need

SCALES = (
    0.5,
    8.0,
)  # standard deviations of the narrowest and the widest blur, in pixels


def _each(outputs: Any, batch: Mapping[str, Any]) -> Any:
    labels = batch["targets"]
    losses = optax.softmax_cross_entropy_with_integer_labels(outputs, labels)
    return jnp.mean(losses, axis=(1, 2))


def _right(outputs: Any, batch: Mapping[str, Any]) -> Any:
    same = jnp.argmax(outputs, axis=-1) == batch["targets"]
    return jnp.mean(same.astype(jnp.float32), axis=(1, 2))


LOSS = Loss(
    "pixels",
    _each,
    "Ronneberger, Fischer & Brox 2015, arXiv:1505.04597, equation 1, unweighted",
    others={"accuracy": _right},
    judged=ACCURACY,
)


def features(x: Any) -> np.ndarray:
    """What blurs of several widths say of each pixel [images, height, width, numbers].

    x [images, height, width, channels]: of each channel its blurs, how steep they are,
    and both eigenvalues of their Hessian: what scikit-image's trainable segmentation
    reads. Raises DataError where scikit-image is missing.

    >>> features(np.zeros((1, 8, 8, 3), np.float32)).shape  # 5 widths of 3 channels
    (1, 8, 8, 60)
    """
    need("features of pixels", "skimage")
    from skimage import feature

    low, high = SCALES
    return np.stack(
        [
            feature.multiscale_basic_features(
                image,
                sigma_min=low,
                sigma_max=high,
                channel_axis=-1,
            )
            for image in np.asarray(x, np.float32)
        ]
    )
