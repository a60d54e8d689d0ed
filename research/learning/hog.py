"""Histograms of oriented gradients: features that were made by hand.

Dalal & Triggs 2005, CVPR 1:886: in each cell gradients vote for their orientation, and
cells are normalised within overlapping blocks. It is scikit-image's `hog`.
"""

from typing import Any

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.catalogues.packages import need
from depthbench.research.lazy import lazily

with lazily():
    import numpy as np
    import skimage.feature as feature

ORIENTATIONS, BLOCK = 9, 2
EACH_PIXEL = 12  # operations: two differences, a length, an angle and a vote


def features(x: Any, cell: int) -> Any:
    """[images, numbers] of x [images, height, width] or with channels, float32.

    cell: pixels of a cell's side; blocks are of 2 × 2 cells. Raises DataError for images
    that have no block, and without scikit-image.

    >>> features(np.eye(8)[None], cell=4).shape
    (1, 36)
    """
    need("histograms of oriented gradients", "skimage")
    x = np.asarray(x, np.float64)
    x = x.mean(axis=-1) if x.ndim == 4 else x
    if x.ndim != 3 or min(x.shape[1:]) < BLOCK * cell:
        raise DataError(
            f"cells of {cell} pixels: images are {list(x.shape[1:])}, and have no block "
            f"of {BLOCK} × {BLOCK} cells"
        )
    how = {"pixels_per_cell": (cell, cell), "cells_per_block": (BLOCK, BLOCK)}
    each = [feature.hog(one, orientations=ORIENTATIONS, **how) for one in x]
    return np.asarray(each, np.float32)


def operations(side: int, cell: int) -> float:
    """About how many operations an image of side × side pixels takes.

    Of each pixel EACH_PIXEL, and three of each number of each block, to normalise it.
    """
    cells = side // cell
    blocks = max(cells - BLOCK + 1, 0) ** 2
    return float(EACH_PIXEL * side**2 + 3 * blocks * BLOCK**2 * ORIENTATIONS)
