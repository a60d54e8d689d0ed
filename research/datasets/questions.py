"""Questions about scenes: one needs an object that is named, the other all objects.

After Sort-of-CLEVR, Santoro et al. 2017, arXiv:1706.01427: every object of a scene has a
colour of its own and a question names one, "which shape is the red one?" or "which shape
is nearest to the red one?". A scene is read as pixels, or as what is known of its objects,
which is the source's state description.
"""

from typing import NamedTuple

import numpy as np

from depthbench.research.datasets import scenes

OBJECTS = 3
KINDS = ("own", "nearest")  # whose shape is asked for
CLEAR = 1.0  # pixels by which the nearest object is nearer than the next one
FEATURES = 2 + len(scenes.SHAPES) + OBJECTS  # of an object
WORDS = OBJECTS + len(KINDS)  # of a question


class Asked(NamedTuple):
    """Scenes, each asked all KINDS about one colour.

    objects [scenes, OBJECTS, FEATURES] float32, in the order of colours: middle across
    and down from −1 to 1, shape and colour as one of several. colour [scenes]: that is
    named. nearest [scenes]: the place in objects of what is nearest to it. answers
    [scenes, kinds]: shapes.
    """

    scenes: scenes.Scenes
    objects: np.ndarray
    colour: np.ndarray
    nearest: np.ndarray
    answers: np.ndarray

    @property
    def words(self) -> np.ndarray:
        """Each question, its colour and kind [scenes, kinds, WORDS] float32."""
        colours = np.eye(OBJECTS, dtype=np.float32)[self.colour]
        kinds = np.eye(len(KINDS), dtype=np.float32)
        named = np.repeat(colours[:, None], len(kinds), axis=1)
        return np.concatenate([named, np.tile(kinds, (len(colours), 1, 1))], axis=-1)

    @property
    def margin(self) -> np.ndarray:
        """Pixels by which the nearest object is nearer than the next one [scenes]."""
        apart = np.sort(_apart(self.scenes)[np.arange(len(self.colour)), self.colour])
        return apart[:, 1] - apart[:, 0]

    @property
    def pixels(self) -> np.ndarray:
        """Each question's scene, the words as further channels of all pixels
        [scenes, kinds, side, side, 3 + WORDS] float32."""
        return _beside(self.scenes.x, self.words)

    @property
    def known(self) -> np.ndarray:
        """Each question's objects, the words as further features of all objects
        [scenes, kinds, OBJECTS, FEATURES + WORDS] float32."""
        return _beside(self.objects, self.words)

    @property
    def from_named(self) -> np.ndarray:
        """Each scene as one would describe it who was asked [scenes, features]: the
        named object first, the others with their places as seen from it, in the
        order of colours after it."""
        steps = (self.colour[:, None] + np.arange(OBJECTS)) % OBJECTS
        seen = np.take_along_axis(self.objects, steps[..., None], axis=1)
        place = seen[..., :2] - seen[:, :1, :2]
        return np.concatenate([place, seen[..., 2:-OBJECTS]], axis=-1).reshape(
            len(seen), -1
        )[:, 2:]


def _beside(things: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Things [scenes, …, features] for each of the questions, with its words."""
    count, kinds, many = words.shape
    within = things.shape[1:-1]
    each = np.broadcast_to(things[:, None], (count, kinds, *things.shape[1:]))
    wide = words.reshape(count, kinds, *(1 for _ in within), many)
    said = np.broadcast_to(wide, (count, kinds, *within, many))
    return np.concatenate([each, said], axis=-1, dtype=np.float32)


def asked(
    count: int, seed: int, side: int = 24, sizes: tuple[int, int] = (5, 7)
) -> Asked:
    """So many scenes with their questions and answers.

    Scenes without a colour of which it is clear what is nearest are left out; so are those
    in which an object found no place.

    >>> made = asked(5, seed=0)
    >>> made.known.shape, made.pixels.shape, made.answers.shape
    ((5, 2, 3, 13), (5, 2, 24, 24, 8), (5, 2))
    """
    random = np.random.RandomState(seed)
    kept: list[tuple[np.ndarray, ...]] = []
    while sum(len(part[0]) for part in kept) < count:
        drawn = scenes.scenes(
            max(count // 4, 8),
            random.randint(2**31),
            side=side,
            most=OBJECTS,
            least=OBJECTS,
            sizes=sizes,
            distinct=True,
        )
        drawn = _sorted(drawn)
        near = np.sort(_apart(drawn), axis=-1)
        clear = (near[..., 1] - near[..., 0] >= CLEAR) & np.all(
            drawn.there, axis=1, keepdims=True
        )
        chance = np.where(clear, random.random_sample(clear.shape), -1.0)
        found = clear.any(axis=1)
        kept.append(tuple(a[found] for a in (*drawn, chance.argmax(axis=1))))
    *parts, colour = (np.concatenate(each)[:count] for each in zip(*kept, strict=True))
    made, rows = scenes.Scenes(*parts), np.arange(count)
    nearest = _apart(made)[rows, colour].argmin(axis=1)
    answers = np.stack([made.shape[rows, n] for n in (colour, nearest)], axis=1)
    return Asked(made, _objects(made, side), colour, nearest, answers)


def _sorted(made: scenes.Scenes) -> scenes.Scenes:
    """The scenes with their objects in the order of colours."""
    order = np.argsort(made.colour, axis=1, kind="stable")
    shape, colour = (np.take_along_axis(a, order, 1) for a in (made.shape, made.colour))
    boxes = np.take_along_axis(made.boxes, order[..., None], 1)
    return made._replace(shape=shape, colour=colour, boxes=boxes)


def _middles(made: scenes.Scenes) -> np.ndarray:
    """Of each object, across and down in pixels [scenes, objects, 2]."""
    return (made.boxes[..., :2] + made.boxes[..., 2:]) / 2


def _apart(made: scenes.Scenes) -> np.ndarray:
    """Pixels between each two objects [scenes, objects, objects]; no object is near
    itself."""
    middles = _middles(made)
    apart = np.linalg.norm(middles[:, :, None] - middles[:, None], axis=-1)
    return apart + np.diag(np.full(OBJECTS, np.inf))


def _objects(made: scenes.Scenes, side: int) -> np.ndarray:
    place = 2 * _middles(made) / side - 1
    shape = np.eye(len(scenes.SHAPES))[made.shape]
    colour = np.eye(OBJECTS)[made.colour]
    return np.concatenate([place, shape, colour], axis=-1).astype(np.float32)
