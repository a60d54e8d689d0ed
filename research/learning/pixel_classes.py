"""A class for each pixel: the loss of nets, and features of pixels for other methods."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

from depthbench.research.catalogues.losses import ACCURACY, Loss

REACH = 8  # pixels to each side of one
ALIKE = 0.25  # distance of colours at which likeness is 1/e


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


def likeness(x: Any, places: Any) -> np.ndarray:
    """How alike the pixels around are to a pixel itself [pixels, (2 REACH + 1)²] float32.

    x [images, height, width, channels]; places: of so many pixels the image, row and
    column [3, pixels]. Their colours' distance d gives exp(−(d / ALIKE)²): of a shape of
    one colour, where it reaches to. Beyond an edge the image goes on as it ends.

    >>> likeness(np.zeros((1, 24, 24, 3)), ([0, 0], [3, 4], [5, 6])).shape
    (2, 289)
    """
    image, row, column = (np.asarray(place) for place in places)
    x, side = np.asarray(x, np.float32), 2 * REACH + 1
    wide = np.pad(x, ((0, 0), (REACH, REACH), (REACH, REACH), (0, 0)), mode="edge")
    views = np.lib.stride_tricks.sliding_window_view(wide, (side, side), axis=(1, 2))
    around, own = views[image, row, column], x[image, row, column]
    squares = np.sum((around - own[:, :, None, None]) ** 2, axis=1)
    return np.exp(-squares / ALIKE**2).reshape(len(own), -1)
