"""Photographs that come with packages, cut into patches to learn from and to judge by.

`china` and `flower` are scikit-learn's (CC BY 2.0, by the photographers that its folder
of images names); the others come with scikit-image: `astronaut` and `rocket` (NASA and
SpaceX, public domain), `chelsea` (S. van der Walt, CC0), `coffee` (R. Michetti, CC0),
`motorcycle` (Scharstein et al. 2014, GCPR: the left view of a stereo pair). They are
read where those packages lie, and nothing is downloaded or copied.

Of each known photograph the left is learned from, a part of the middle chosen by, and the
right judged by; strips between them are left out. Two photographs are of neither kind:
nothing of them is learned or chosen by.
"""

import functools
from typing import NamedTuple

import numpy as np

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.catalogues.packages import need
from depthbench.research.lazy import lazily

with lazily():
    import skimage.data as skimage_data
    import sklearn.datasets as sklearn_datasets

KNOWN = ("china", "flower", "astronaut", "chelsea", "rocket")
UNSEEN = ("coffee", "motorcycle")
PARTS = {"train": (0.0, 0.6), "valid": (0.65, 0.8), "test": (0.85, 1.0)}  # of a width
BYTE = 255


class CutOut(NamedTuple):
    """Patches of photographs. x: [patches, side, side, 3] uint8. photograph: [patches],
    the number of the one that each is of, in KNOWN or UNSEEN."""

    x: np.ndarray
    photograph: np.ndarray


class PhotographParts(NamedTuple):
    """train, valid, test: patches of parts of the known photographs that lie apart.
    unseen: of photographs that no patch of the others is of."""

    train: CutOut
    valid: CutOut
    test: CutOut
    unseen: CutOut


def whole(name: str) -> np.ndarray:
    """A photograph as its package holds it, uint8 [height, width, 3], or [height, width]
    in shades of grey. Raises DataError where its package is missing."""
    if name in ("china", "flower"):
        return sklearn_datasets.load_sample_image(f"{name}.jpg")
    need(f"the photograph {name}", "skimage")
    if name == "motorcycle":
        return skimage_data.stereo_motorcycle()[0]
    return getattr(skimage_data, name)()


@functools.cache
def photograph(name: str, smaller: int = 1) -> np.ndarray:
    """A photograph [height, width, 3] uint8, of which each pixel is the mean of
    smaller × smaller. Raises DataError as `whole` does."""
    pixels = whole(name)
    height, width = (side // smaller for side in pixels.shape[:2])
    pixels = pixels[: height * smaller, : width * smaller].astype(np.float64)
    blocks = pixels.reshape(height, smaller, width, smaller, 3)
    return np.round(blocks.mean(axis=(1, 3))).astype(np.uint8)


@functools.lru_cache(maxsize=4)
def patches(
    side: int, smaller: int = 1, stride: int | None = None, most: int = 200
) -> PhotographParts:
    """Patches of side × side pixels of every photograph.

    smaller: as of `photograph`. stride: pixels from one patch to learn from to the next,
    half a side unless given, as it is for the others; of those at most so many are taken
    of a part, at equal distances. Raises DataError where a package is missing, or a part
    is smaller than a patch.
    """
    half = max(1, side // 2)
    strides = {"train": stride or half}
    parts = {
        part: _part(KNOWN, side, smaller, ends, strides.get(part, half))
        for part, ends in PARTS.items()
    }
    unseen = _part(UNSEEN, side, smaller, (0.0, 1.0), half)
    train = parts.pop("train")
    some = [_some(part, most) for part in (*parts.values(), unseen)]
    return PhotographParts(train, *some)


def _part(names, side, smaller, ends, stride) -> CutOut:
    """The patches of photographs between two shares of their width."""
    found, numbers = [], []
    for number, name in enumerate(names):
        pixels = photograph(name, smaller)
        left, right = (round(end * pixels.shape[1]) for end in ends)
        region = pixels[:, left:right]
        if min(region.shape[:2]) < side:
            raise DataError(
                f"patches of {side} pixels: a part of {name} has "
                f"{' × '.join(map(str, region.shape[:2]))}"
            )
        windows = np.lib.stride_tricks.sliding_window_view(region, (side, side), (0, 1))
        own = windows[::stride, ::stride].reshape(-1, 3, side, side)
        found.append(own.transpose(0, 2, 3, 1))
        numbers += [number] * len(own)
    return CutOut(np.concatenate(found), np.array(numbers, np.int32))


def _some(part: CutOut, most: int) -> CutOut:
    if len(part.x) <= most:
        return part
    places = np.linspace(0, len(part.x) - 1, most).round().astype(int)
    return CutOut(part.x[places], part.photograph[places])
