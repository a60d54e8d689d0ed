"""Data sets by name: one entry each; nothing is read until it is asked for."""

import hashlib
import importlib
from typing import NamedTuple

import numpy as np

from research.catalogue import Catalogue


class Data(NamedTuple):
    """Examples, inputs first.

    x: [examples, *shape] float32; each example has mean square 1. An image's shape is
      (height, width, channels), a sequence's (time, features).
    y: [examples] int32 class labels below `classes`.
    """

    x: np.ndarray
    y: np.ndarray
    classes: int


class Dataset(NamedTuple):
    """A data set that can be loaded; loader is "module:function" below this package.

    enlarges: the name of the one whose images these are, with every pixel repeated, for
      nets that pool small images away.
    """

    name: str
    loader: str
    shape: tuple[int, ...]
    classes: int
    source: str
    enlarges: str = ""

    def load(self) -> Data:
        """The whole data set, in memory."""
        module, function = self.loader.split(":")
        return getattr(importlib.import_module(f"{__name__}.{module}"), function)()


def fingerprint(data: Data) -> str:
    """SHA-256 of the examples and labels, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for array in (data.x, data.y):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


DATASETS: Catalogue[Dataset] = Catalogue(
    "dataset",
    [
        Dataset(
            "digits",
            "digits:load",
            (8, 8, 1),
            10,
            "Alpaydin & Kaynak 1998, UCI handwritten digits (scikit-learn load_digits)",
        ),
        Dataset(
            "digits_32",
            "digits:load_32",
            (32, 32, 1),
            10,
            "the same digits, each pixel 4 × 4",
            enlarges="digits",
        ),
        Dataset(
            "digits_64",
            "digits:load_64",
            (64, 64, 1),
            10,
            "the same digits, each pixel 8 × 8",
            enlarges="digits",
        ),
        Dataset(
            "noise",
            "noise:load",
            (8, 8, 1),
            10,
            "independent Gaussian inputs and labels: what mean-field theory assumes",
        ),
    ],
)
