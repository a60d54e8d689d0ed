"""Scenes: a few shapes on a noisy ground, with all that is asked about them.

One generator for boxes, masks, captions and questions: what is in a picture is known
exactly. Shapes do not overlap by more than a little, so that each can be seen.
"""

from typing import NamedTuple

import numpy as np

SHAPES = ("circle", "square", "triangle")
COLOURS = ("red", "green", "blue", "yellow")
RGB = np.array(
    [[0.9, 0.2, 0.2], [0.2, 0.75, 0.3], [0.25, 0.35, 0.95], [0.9, 0.85, 0.2]],
    np.float32,
)
NONE = -1  # of a place in the list of objects that is empty
TRIES = 40  # places that an object is tried at before it is left out
OVERLAP = 0.1  # of the smaller box, at most


class Scenes(NamedTuple):
    """Pictures, and what is in them.

    x: [scenes, side, side, 3] float32, about 0 to 1. shape, colour: of each object, its
    number in SHAPES and COLOURS, NONE where there is none [scenes, most]. boxes: left,
    top, right, bottom in pixels, right and bottom not included [scenes, most, 4]; 0
    where there is none. mask: of each pixel 0, or 1 + the shape's number [scenes, side,
    side].
    """

    x: np.ndarray
    shape: np.ndarray
    colour: np.ndarray
    boxes: np.ndarray
    mask: np.ndarray

    @property
    def there(self) -> np.ndarray:
        """Which places hold an object [scenes, most]."""
        return self.shape != NONE


def scenes(
    count: int,
    seed: int,
    side: int = 24,
    most: int = 3,
    least: int = 1,
    sizes: tuple[int, int] = (6, 10),
    noise: float = 0.1,
    clutter: int = 0,
    distinct: bool = False,
) -> Scenes:
    """So many scenes, with `least` to `most` objects each.

    sizes: of an object's side, in pixels, the smallest and the largest. noise: standard
    deviation of what is added to each pixel. clutter: short strokes of the objects'
    colours, that are no objects. distinct: each of the first `most` colours has one
    object at most.

    >>> made = scenes(4, seed=0)
    >>> made.x.shape, made.boxes.shape, bool(made.there.any(axis=1).all())
    ((4, 24, 24, 3), (4, 3, 4), True)
    """
    random = np.random.RandomState(seed)
    every = [
        _scene(
            random,
            side,
            random.randint(least, most + 1),
            most,
            sizes,
            clutter,
            random.permutation(most) if distinct else None,
        )
        for _ in range(count)
    ]
    made = Scenes(*(np.stack(part) for part in zip(*every, strict=True)))
    grain = noise * random.standard_normal(made.x.shape).astype(np.float32)
    return made._replace(x=made.x + grain)


def _scene(
    random: np.random.RandomState,
    side: int,
    count: int,
    most: int,
    sizes: tuple[int, int],
    clutter: int,
    colours: np.ndarray | None = None,
) -> Scenes:
    ground = 0.25 + 0.3 * random.random_sample(3).astype(np.float32)
    x = np.tile(ground, (side, side, 1))
    for _ in range(clutter):
        _stroke(random, x)
    shape, colour = np.full((2, most), NONE, np.int32)
    boxes = np.zeros((most, 4), np.int32)
    mask = np.zeros((side, side), np.int32)
    places = _places(random, side, count, sizes)
    for n, box in enumerate(places):
        shape[n] = random.randint(len(SHAPES))
        colour[n] = random.randint(len(COLOURS)) if colours is None else colours[n]
        boxes[n] = box
        inside = _inside(side, SHAPES[shape[n]], box)
        x[inside], mask[inside] = RGB[colour[n]], 1 + shape[n]
    return Scenes(x, shape, colour, boxes, mask)


def _places(
    random: np.random.RandomState, side: int, count: int, sizes: tuple[int, int]
) -> list[np.ndarray]:
    """Boxes of up to so many objects, which hardly overlap; at least one."""
    found: list[np.ndarray] = []
    for _ in range(TRIES):
        size = random.randint(sizes[0], sizes[1] + 1)
        left, top = random.randint(0, side - size + 1, size=2)
        box = np.array([left, top, left + size, top + size], np.int32)
        if all(_shared(box, other) <= OVERLAP for other in found):
            found.append(box)
        if len(found) == count:
            break
    return found


def _shared(one: np.ndarray, other: np.ndarray) -> float:
    """The boxes' common area, as a share of the smaller one."""
    across = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    areas = [np.prod(box[2:] - box[:2]) for box in (one, other)]
    return float(np.prod(np.maximum(across, 0)) / min(areas))


def _inside(side: int, shape: str, box: np.ndarray) -> np.ndarray:
    """Which pixels a shape covers [side, side]; it touches all sides of its box."""
    left, top, right, bottom = box
    rows, columns = np.mgrid[:side, :side] + 0.5
    across = (columns - left) / (right - left)  # 0 to 1 within the box
    down = (rows - top) / (bottom - top)
    within = (across > 0) & (across < 1) & (down > 0) & (down < 1)
    if shape == "circle":
        return within & ((across - 0.5) ** 2 + (down - 0.5) ** 2 <= 0.26)
    if shape == "triangle":  # one corner above
        return within & (np.abs(across - 0.5) <= 0.08 + 0.45 * down)
    return within


def _stroke(random: np.random.RandomState, x: np.ndarray) -> None:
    """Draws a stroke of one pixel's width, across or down."""
    side = len(x)
    length = random.randint(2, 6)
    row, column = random.randint(0, side - length, size=2)
    colour = RGB[random.randint(len(RGB))]
    if random.randint(2):
        x[row, column : column + length] = colour
    else:
        x[row : row + length, column] = colour
