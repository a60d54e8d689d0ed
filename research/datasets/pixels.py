"""Pixels of images as they are stored: bytes."""

import numpy as np


def scale_of(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean, standard deviation), each [channels] float32, of uint8 images.

    From counts of the 256 values, so exact, and the same bits everywhere. A channel that
    never changes has deviation 1. images: [examples, height, width, channels].
    """
    value = np.arange(256, dtype=np.float64)
    means, deviations = [], []
    for channel in range(images.shape[-1]):
        # In pieces: to count them, numpy makes eight bytes of each.
        pieces = np.array_split(images[..., channel], len(images) // 4096 + 1)
        counts = np.sum([np.bincount(p.ravel(), minlength=256) for p in pieces], axis=0)
        mean = counts @ value / counts.sum()
        variance = counts @ (value - mean) ** 2 / counts.sum()
        means.append(mean)
        deviations.append(variance**0.5 or 1.0)
    return np.asarray(means, np.float32), np.asarray(deviations, np.float32)
