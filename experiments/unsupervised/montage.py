"""Small images side by side, as one picture."""

from collections.abc import Sequence
from typing import Any

from depthbench.research.lazy import lazily

with lazily():
    import numpy as np

GAP = 1  # pixels between images, which are left blank


def square(flat: Any) -> Any:
    """Images [count, side, side] of vectors [count, pixels], if pixels are a square.

    Others are one row each: [count, 1, pixels].
    """
    count, pixels = np.shape(flat)
    side = round(pixels**0.5)
    shape = (side, side) if side * side == pixels else (1, pixels)
    return np.reshape(flat, (count, *shape))


def rows_of(images: Sequence[Any], alike: bool = False) -> Any:
    """One picture [height, width] of rows of images [count, height, width] each.

    alike: all on one scale; otherwise each image goes from −1 to 1, 0 staying 0.
    """
    strips = []
    for row in images:
        row = np.asarray(row, np.float32)
        if not alike:
            size = np.abs(row).max(axis=(1, 2), keepdims=True)
            row = row / np.maximum(size, 1e-12)
        row = np.pad(row, ((0, 0), (0, GAP), (0, GAP)), constant_values=np.nan)
        strips.append(np.concatenate(list(row), axis=1))
    return np.concatenate(strips, axis=0)[:-GAP, :-GAP]


def show(axes: Any, rows: Sequence[tuple[str, Any]], title: str, **style: Any) -> None:
    """Rows of images, each with its name at the left.

    rows: (name, images [count, height, width]), as many images each. style: of imshow;
    `alike` as of `rows_of`.
    """
    alike = style.pop("alike", False)
    picture = rows_of([images for _, images in rows], alike)
    limits = {} if alike else {"vmin": -1.0, "vmax": 1.0}
    axes.imshow(picture, interpolation="nearest", **{**limits, **style})
    height = np.shape(rows[0][1])[1]
    middles = [(height + GAP) * n + (height - 1) / 2 for n in range(len(rows))]
    axes.set_yticks(middles, [name for name, _ in rows])
    axes.set_xticks([])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(title, loc="left")
