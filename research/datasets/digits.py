"""1,797 real handwritten digits, 8 × 8 pixels, in digits.npz beside this file.

They are the test part of the UCI set (Alpaydin & Kaynak 1998, CC BY 4.0), which
scikit-learn hands on as `load_digits`: pixels from 0 to 16, as bytes. So no study needs
scikit-learn for its data.
"""

from pathlib import Path

import numpy as np

from depthbench.research.datasets.contract import Data


def load() -> Data:
    """The digits, centred by the mean image, each scaled to mean square 1."""
    with np.load(Path(__file__).with_name("digits.npz")) as held:
        x, y = held["x"].reshape(-1, 64).astype(np.float64), held["y"]
    x = x - x.mean(axis=0)
    x /= np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    x = x.reshape(-1, 8, 8, 1)
    return Data(x.astype(np.float32), y.astype(np.int32), classes=10)


def mean() -> np.ndarray:
    """The mean image [8, 8, 1], which examples are centred by, on their scale: what a
    picture of them adds.

    >>> mean().shape
    (8, 8, 1)
    """
    with np.load(Path(__file__).with_name("digits.npz")) as held:
        x = held["x"].reshape(-1, 64).astype(np.float64)
    middle = x.mean(axis=0)
    scale = np.sqrt(np.mean((x - middle) ** 2, axis=1)).mean()
    return (middle / scale).reshape(8, 8, 1)


def load_32() -> Data:
    """The digits at 32 × 32, each pixel repeated."""
    return _enlarged(4)


def load_64() -> Data:
    """The digits at 64 × 64, each pixel repeated."""
    return _enlarged(8)


def _enlarged(times: int) -> Data:
    data = load()
    return data._replace(x=data.x.repeat(times, axis=1).repeat(times, axis=2))
