"""Where something will be that flies straight between walls, from where it was seen."""

import numpy as np

FAINT = 1e-12  # of every pixel: where nothing is bright, the centre is the middle


def centres(frames: np.ndarray, threshold: float) -> np.ndarray:
    """The centre of what is brighter than the threshold [..., 2], row and column.

    frames: [..., side, side]. Where nothing is, the middle.

    >>> centres(np.eye(4)[None], 0.5).round(6).tolist()
    [[1.5, 1.5]]
    """
    bright = np.maximum(np.asarray(frames, np.float64) - threshold, 0.0) + FAINT
    total = bright.sum(axis=(-2, -1))
    at = np.arange(frames.shape[-1])
    rows = (bright.sum(axis=-1) * at).sum(axis=-1) / total
    columns = (bright.sum(axis=-2) * at).sum(axis=-1) / total
    return np.stack([rows, columns], axis=-1)


def ahead(
    places: np.ndarray, steps: int, walls: tuple[float, float], bounces: bool = True
) -> np.ndarray:
    """Where it is so many steps after the last of places [things, times, 2].

    A line by least squares through each coordinate; of three places or more the first
    few may be mirrored at a wall, if the line then fits better: it has bounced there.
    bounces: whether it does, before and after.

    >>> seen = np.array([[[4.0, 5.0], [3.0, 6.0]]])
    >>> ahead(seen, 2, (2.0, 13.0)).tolist()  # 1 is beyond the wall at 2
    [[3.0, 8.0]]
    """
    count = places.shape[1]
    time = np.arange(1 - count, 1)
    tried = [_line(time, places, steps)]
    if bounces and count > 2:
        for wall in walls:
            for first in range(1, count):
                unfolded = places.copy()
                unfolded[:, :first] = 2 * wall - unfolded[:, :first]
                tried.append(_line(time, unfolded, steps))
    errors = np.stack([error for _, error in tried])
    found = np.stack([place for place, _ in tried])
    best = np.take_along_axis(found, errors.argmin(axis=0)[None], axis=0)[0]
    if not bounces:
        return best
    low, high = walls
    length = high - low
    return high - np.abs(np.mod(best - low, 2 * length) - length)


def _line(time: np.ndarray, places: np.ndarray, steps: int):
    """(the line's place so many steps on, the sum of its squared errors) [things, 2]."""
    mean = places.mean(axis=1, keepdims=True)
    away = (time - time.mean())[None, :, None]
    slope = (away * (places - mean)).sum(axis=1, keepdims=True) / (away**2).sum()
    error = ((places - mean - slope * away) ** 2).sum(axis=1)
    return (mean + slope * (steps - time.mean()))[:, 0], error
