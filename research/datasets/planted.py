"""Images whose evidence lies in a known place: the object, among shuffled objects.

An image is set into one cell of a grid of cells. Each other cell holds an image of the
same data set with its pixels in random order: as bright, as large, and of no class. What
tells the label is in one known cell alone, and no brightness tells which.
"""

from typing import NamedTuple

import numpy as np


class Planted(NamedTuple):
    """Pictures, and where the evidence of each lies.

    x: [examples, height, width, channels]. y: labels [examples]. place: the cell in which
    the object lies, counted row by row [examples]. grid: cells along a side.
    """

    x: np.ndarray
    y: np.ndarray
    place: np.ndarray
    grid: int

    def cells(self, maps: np.ndarray) -> np.ndarray:
        """maps [examples, height, width], in cells [examples, cells, pixels of a cell]."""
        count, height, width = maps.shape
        side = self.grid
        cut = maps.reshape(count, side, height // side, side, width // side)
        return cut.transpose(0, 1, 3, 2, 4).reshape(count, side * side, -1)


def planted(
    x: np.ndarray, y: np.ndarray, seed: int, copies: int = 1, grid: int = 2
) -> Planted:
    """Each image so many times, always elsewhere and among others.

    x: [examples, height, width, channels]. grid: cells along a side.

    >>> images = np.arange(1.0, 17.0, dtype=np.float32).reshape(4, 2, 2, 1)
    >>> made = planted(images, np.arange(4), seed=0, copies=3)
    >>> made.x.shape, made.cells(made.x[..., 0]).shape
    ((12, 4, 4, 1), (12, 4, 4))
    """
    random = np.random.RandomState(seed)
    count, cells = len(x) * copies, grid * grid
    which = np.tile(np.arange(len(x)), copies)
    others = x[random.randint(len(x), size=(count, cells))]
    shape = others.shape[2:]
    pixels = others.reshape(count, cells, shape[0] * shape[1], shape[2])
    order = np.argsort(random.random_sample(pixels.shape[:3]), axis=2)
    board = np.take_along_axis(pixels, order[..., None], axis=2).reshape(others.shape)
    place = random.randint(cells, size=count)
    board[np.arange(count), place] = x[which]
    board = board.reshape(count, grid, grid, *shape).transpose(0, 1, 3, 2, 4, 5)
    whole = board.reshape(count, grid * shape[0], grid * shape[1], shape[2])
    return Planted(whole, y[which], place, grid)
