"""How much what was found covers what is there: intersection over union (IoU)."""

from collections.abc import Callable
from typing import Any

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.lazy import lazily

with lazily():
    import numpy as np


def of_boxes(one: Any, other: Any) -> Any:
    """IoU of each box with each other one [boxes, others].

    one [boxes, 4], other [others, 4]: left, top, right, bottom, right and bottom not
    included. Boxes without an area have 0 with all. Everingham et al. 2010, Int. J.
    Comput. Vis. 88:303, equation 4. Raises DataError for other shapes, and for what is
    not finite.

    >>> of_boxes([[0, 0, 2, 2]], [[0, 0, 2, 2], [1, 0, 3, 2], [2, 0, 4, 2]]).round(3)
    array([[1.   , 0.333, 0.   ]])
    """
    one, other = _boxes(one)[:, None], _boxes(other)[None]
    low = np.maximum(one[..., :2], other[..., :2])
    high = np.minimum(one[..., 2:], other[..., 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    union = _area(one) + _area(other) - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1.0), 0.0)


def of_masks(found: Any, true: Any, classes: int) -> Any:
    """IoU of each class [classes], of all pixels together; nan of a class in neither.

    found, true: numbers of classes, of any one shape. Everingham et al. 2015, Int. J.
    Comput. Vis. 111:98, section 5.2.3. Raises DataError for different shapes, and for
    numbers that are no class.

    >>> of_masks([0, 0, 1, 1], [0, 1, 1, 1], 2).round(3)
    array([0.5  , 0.667])
    """
    return _shares(tables(np.asarray(found)[None], np.asarray(true)[None], classes)[0])


def tables(found: Any, true: Any, classes: int) -> Any:
    """How many pixels of each class were given each one [images, classes, classes].

    found, true: numbers of classes [images, …]. Raises DataError as `of_masks` does.
    """
    found, true = np.asarray(found), np.asarray(true)
    if found.shape != true.shape or not true.size:
        shapes = f"{list(found.shape)} and {list(true.shape)}"
        raise DataError(f"masks are {shapes}; must be of one shape, not empty")
    for mask in (found, true):
        if mask.dtype.kind not in "biu" or mask.min() < 0 or mask.max() >= classes:
            raise DataError(f"a mask has other numbers than whole ones below {classes}")
    count = len(true)
    places = true.astype(int).reshape(count, -1) * classes
    places += found.astype(int).reshape(count, -1)
    places += np.arange(count)[:, None] * classes**2
    counted = np.bincount(places.ravel(), minlength=count * classes**2)
    return counted.reshape(count, classes, classes)


def by_images(found: Any, true: Any, classes: int) -> Callable[[Any], float]:
    """From how often each image counts [images] to `mean_of_masks`.

    >>> masks = np.array([[0, 1], [1, 1]])
    >>> by_images(masks, np.array([[0, 1], [0, 1]]), 2)(np.array([1, 0]))
    1.0
    """
    each = tables(found, true, classes)
    return lambda times: float(np.nanmean(_shares(np.tensordot(times, each, 1))))


def _shares(table: Any) -> Any:
    """IoU of each class, of a table of pixels [classes, classes]."""
    shared = np.diag(table).astype(float)
    union = table.sum(axis=0) + table.sum(axis=1) - shared
    return np.where(union > 0, shared / np.maximum(union, 1), np.nan)


def mean_of_masks(found: Any, true: Any, classes: int) -> float:
    """The mean of `of_masks` over the classes that are in either.

    >>> round(mean_of_masks([0, 0, 1, 1], [0, 1, 1, 1], 3), 3)
    0.583
    """
    return float(np.nanmean(of_masks(found, true, classes)))


def _boxes(boxes: Any) -> Any:
    """[boxes, 4] float64. Raises DataError."""
    boxes = np.asarray(boxes, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise DataError(f"boxes are {list(boxes.shape)}; must be [boxes, 4]")
    if not np.isfinite(boxes).all():
        raise DataError("a box has a side that is not finite")
    return boxes


def _area(boxes: Any) -> Any:
    return np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=-1)
