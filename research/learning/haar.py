"""Haar features: differences of sums over rectangles, read off an integral image.

Viola & Jones 2001, CVPR, "Rapid object detection using a boosted cascade of simple
features": two, three or four rectangles side by side; a sum over a rectangle is four
numbers of the integral image, whatever its size. Which features there are is scikit-image's
`haar_like_feature_coord`.
"""

import functools
from typing import Any, NamedTuple

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.catalogues.packages import need
from depthbench.research.lazy import lazily

with lazily():
    import numpy as np
    import skimage.feature as feature

KINDS = ("type-2-x", "type-2-y", "type-3-x", "type-3-y", "type-4")
GRID = 2  # pixels: features begin and end at every second one


class HaarFeatures(NamedTuple):
    """Haar features of windows of one size.

    rectangles: of each feature (sign, top, left, bottom, right), the last two not
    included. weights: of the integral image's numbers [features, (side + 1)²].
    """

    rectangles: tuple[tuple[tuple[int, ...], ...], ...]
    weights: Any

    def some(self, places: Any) -> "HaarFeatures":
        """Those at these places, in their order."""
        return HaarFeatures(
            tuple(self.rectangles[int(n)] for n in places), self.weights[places]
        )

    def values(self, integrals: Any) -> Any:
        """[windows, features] of integral images [windows, (side + 1)²]."""
        return integrals @ self.weights.T

    @property
    def reads(self) -> Any:
        """How many numbers of the integral image each feature reads [features]."""
        return np.count_nonzero(self.weights, axis=1)


def integrals(x: Any) -> Any:
    """The integral images [windows, (side + 1)²] of x [windows, side, side], float32.

    The number at (row, column) is the sum of all pixels above it and to its left.

    >>> integrals(np.ones((1, 2, 2))).reshape(3, 3).tolist()
    [[0.0, 0.0, 0.0], [0.0, 1.0, 2.0], [0.0, 2.0, 4.0]]
    """
    sums = np.cumsum(np.cumsum(np.asarray(x, np.float32), axis=1), axis=2)
    return np.pad(sums, ((0, 0), (1, 0), (1, 0))).reshape(len(sums), -1)


@functools.lru_cache(maxsize=8)
def features(side: int, most: int, seed: int = 0) -> HaarFeatures:
    """Haar features of windows side × side: all on a grid of two pixels, or `most` of them.

    Raises DataError for windows too small, and without scikit-image.

    >>> features(4, 3).weights.shape
    (3, 25)
    """
    need("Haar features", "skimage")
    cells = side // GRID
    if cells < 2:
        raise DataError(f"Haar features of {side} pixels; must be {2 * GRID} or more")
    every: list[Any] = []
    for kind in KINDS:
        if kind[5] == "3" and cells < 3:
            continue
        coordinates, _ = feature.haar_like_feature_coord(cells, cells, kind)
        every += [_rectangles(one) for one in coordinates]
    order = np.random.RandomState(seed).permutation(len(every))
    kept = tuple(every[n] for n in order[:most])
    weights = np.zeros((len(kept), side + 1, side + 1), np.float32)
    for row, rectangles in zip(weights, kept, strict=True):
        for sign, top, left, bottom, right in rectangles:
            row[bottom, right] += sign
            row[top, left] += sign
            row[top, right] -= sign
            row[bottom, left] -= sign
    return HaarFeatures(kept, weights.reshape(len(kept), -1))


def _rectangles(corners: Any) -> tuple[tuple[int, ...], ...]:
    """scikit-image's corners (both included, in cells), with signs in turn, in pixels."""
    return tuple(
        (
            -1 if n % 2 == 0 else 1,
            *(GRID * int(at) for at in first),
            *(GRID * (int(at) + 1) for at in last),
        )
        for n, (first, last) in enumerate(corners)
    )
