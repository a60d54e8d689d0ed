"""Scikit-learn's 1,797 real handwritten digits, 8 × 8 pixels; part of the package."""

import numpy as np

from research.datasets.contract import Data


def load() -> Data:
    """The digits, centred by the mean image, each scaled to mean square 1."""
    from sklearn.datasets import load_digits  # takes a second to import

    x, y = load_digits(return_X_y=True)
    x = x - x.mean(axis=0)
    x /= np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    x = x.reshape(-1, 8, 8, 1)
    return Data(x.astype(np.float32), y.astype(np.int32), classes=10)


def load_32() -> Data:
    """The digits at 32 × 32, each pixel repeated."""
    return _enlarged(4)


def load_64() -> Data:
    """The digits at 64 × 64, each pixel repeated."""
    return _enlarged(8)


def _enlarged(times: int) -> Data:
    data = load()
    return data._replace(x=data.x.repeat(times, axis=1).repeat(times, axis=2))
