"""Faces, and windows of photographs that hold none, 25 × 25 pixels each.

The faces are the first hundred of scikit-image's `lfw_subset`, from Labeled Faces in the
Wild (Huang et al. 2007), cut so that eyes and mouth lie alike. Its other hundred images
are left out: many are half black, from the borders of their photographs, which no window
of a photograph is. The photographs are those inside scikit-image and scikit-learn, as
`photographs` reads them and says whose they are; of those that it does not name most are
in the public domain or CC0.

No photograph is in two parts. Windows that touch the astronaut's face are left out, and so
is `camera`, whose man's face is seen from the side.
"""

import functools
from typing import Any, NamedTuple

from depthbench.research.catalogues.packages import need
from depthbench.research.datasets import photographs
from depthbench.research.lazy import lazily

with lazily():
    import numpy as np
    import skimage.color as color
    import skimage.data as data
    import skimage.transform as transform

SIDE = 25
FACES = 100
# That a photograph is shrunk to: windows are a half to a tenth of it.
HEIGHTS = (50, 75, 110, 160, 240)
STRIDE = 2
PHOTOGRAPHS = {
    "train": ("china", "chelsea", "coffee", "coins", "page", "immunohistochemistry"),
    "valid": ("rocket", "text", "gravel"),
    "test": ("flower", "astronaut", "motorcycle", "brick", "moon"),
}
FACE = (0.03, 0.40, 0.30, 0.58)  # the astronaut's: top, bottom, left, right; head, too
FAINT = 0.02  # a deviation below which a window is not stretched any further


class Scan(NamedTuple):
    """Windows of a photograph. x: [windows, 25, 25], as they are. boxes: left, top and
    side of each in the photograph's own pixels [windows, 3]."""

    x: Any
    boxes: Any


def normal(x: Any) -> Any:
    """Windows [windows, 25, 25] of mean 0 and deviation 1, float32; faint ones of less."""
    x = np.asarray(x, np.float32)
    mean = x.mean(axis=(1, 2), keepdims=True)
    return (x - mean) / np.maximum(x.std(axis=(1, 2), keepdims=True), FAINT)


@functools.cache
def faces() -> Any:
    """The faces [100, 25, 25], 0 to 1. Raises DataError without scikit-image."""
    need("faces", "skimage")
    return np.asarray(data.lfw_subset()[:FACES], np.float32)


@functools.cache
def photograph(name: str) -> Any:
    """A photograph [height, width] in shades of grey, 0 to 1.

    Raises DataError without scikit-image.
    """
    need("faces", "skimage")  # colours are mixed by it
    x = photographs.whole(name)
    x = color.rgb2gray(x) if x.ndim == 3 else x / 255
    return np.asarray(x, np.float32)


def scan(name: str, stride: int = STRIDE, heights: tuple[int, ...] = HEIGHTS) -> Scan:
    """Every window of a photograph, at every height that it is shrunk to.

    stride: pixels from one window to the next, of the shrunken photograph.
    """
    cuts, boxes = _cuts(name, stride, heights)
    return Scan(_windows(cuts, np.arange(len(boxes))), boxes)


def _cuts(name: str, stride: int, heights: tuple[int, ...]) -> tuple[list[Any], Any]:
    """(views of a shrunken photograph, for each height [rows, columns, 25, 25], the boxes
    of all windows)."""
    whole = photograph(name)
    cuts, boxes = [], []
    for height in heights:
        scale = height / len(whole)
        small = transform.rescale(whole, scale, anti_aliasing=True)
        cut = np.lib.stride_tricks.sliding_window_view(small, (SIDE, SIDE))
        cut = cut[::stride, ::stride]
        down, right = np.indices(cut.shape[:2]).reshape(2, -1) * stride
        cuts.append(cut)
        corners = np.stack([right, down, np.full(len(right), SIDE)], axis=1)
        boxes.append(corners / scale)
    return cuts, np.concatenate(boxes)


def _windows(cuts: list[Any], which: Any) -> Any:
    """The windows [windows, 25, 25] of these numbers, in their order, float32.

    Of the tens of thousands that a photograph has, these alone are copied.
    """
    made, first = np.empty((len(which), SIDE, SIDE), np.float32), 0
    for cut in cuts:
        rows, columns = cut.shape[:2]
        own = (which >= first) & (which < first + rows * columns)
        made[own] = cut[np.divmod(which[own] - first, columns)]
        first += rows * columns
    return made


def shared(boxes: Any, box: tuple[float, float, float, float]) -> Any:
    """The share of each box [boxes, 3] that lies in left, top, right, bottom."""
    left, top, side = np.asarray(boxes).T
    across = np.minimum(left + side, box[2]) - np.maximum(left, box[0])
    down = np.minimum(top + side, box[3]) - np.maximum(top, box[1])
    return np.maximum(across, 0) * np.maximum(down, 0) / side**2


@functools.cache
def negatives(part: str, count: int) -> Any:
    """So many windows [count, 25, 25] of a part's photographs, drawn once and for all.

    Fewer where there are no more. Each photograph gives as many.
    """
    random, drawn = np.random.RandomState(len(part)), []
    names = PHOTOGRAPHS[part]
    for name in names:
        cuts, boxes = _cuts(name, STRIDE, HEIGHTS)
        free = np.arange(len(boxes))
        if name == "astronaut":
            height, width = photograph(name).shape
            top, bottom, left, right = FACE
            face = (left * width, top * height, right * width, bottom * height)
            free = free[shared(boxes, face) == 0]
        own = random.permutation(len(free))[: -(-count // len(names))]
        drawn.append(_windows(cuts, free[own]))
    every = np.concatenate(drawn)
    return every[random.permutation(len(every))[:count]]
