"""A ball that flies straight and bounces off four walls, in a few small pictures."""

from typing import NamedTuple

import numpy as np

SIDE = 16  # pixels
WALLS = (2.0, 13.0)  # between which the ball's centre is
RADIUS = 1.2  # standard deviation of its brightness, in pixels
SPEEDS = (0.5, 2.0)  # pixels from one picture to the next


class Balls(NamedTuple):
    """frames: [balls, pictures, SIDE, SIDE] float32, the latest last. path: where the
    ball is [balls, pictures + ahead, 2], row and column in pixels; its end is asked."""

    frames: np.ndarray
    path: np.ndarray

    @property
    def asked(self) -> np.ndarray:
        """Where each ball is in the end [balls, 2]."""
        return self.path[:, -1]


def folded(place: np.ndarray) -> np.ndarray:
    """Where a ball is between the walls, if it would be at `place` without them.

    >>> folded(np.array([3.0, 14.0, 1.0, 25.0])).tolist()
    [3.0, 12.0, 3.0, 3.0]
    """
    low, high = WALLS
    length = high - low
    return high - np.abs(np.mod(place - low, 2 * length) - length)


def balls(count: int, pictures: int, ahead: int, noise: float, seed: int) -> Balls:
    """So many balls, all different. ahead: pictures from the last one to what is asked.

    noise: standard deviation of what is added to every pixel; a ball is 1 bright.
    """
    random = np.random.RandomState(seed)
    start = random.uniform(*WALLS, (count, 1, 2))
    angle = random.uniform(0, 2 * np.pi, (count, 1))
    speed = random.uniform(*SPEEDS, (count, 1))
    velocity = np.stack([speed * np.sin(angle), speed * np.cos(angle)], axis=2)
    time = np.arange(1 - pictures, ahead + 1)[None, :, None]
    path = folded(start + time * velocity)
    at = np.arange(SIDE)
    square = (at - path[:, :pictures, :, None]) ** 2  # [balls, pictures, 2, SIDE]
    bright = np.exp(-square / (2 * RADIUS**2))
    frames = bright[:, :, 0, :, None] * bright[:, :, 1, None, :]
    frames += noise * random.standard_normal(frames.shape)
    return Balls(frames.astype(np.float32), path)
