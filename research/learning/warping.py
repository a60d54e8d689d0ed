"""Distances between series that may be stretched: dynamic time warping in a band.

Sakoe & Chiba 1978, IEEE Trans. ASSP 26:43. Series of several channels are warped as one,
where the distance of two steps is that of their vectors, squared, or each channel alone,
and the distances added: which is better depends on the series (Shokoohi-Yekta et al.
2017, Data Min. Knowl. Discov. 31:1).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

BANDS = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)  # of the length, by which steps may be apart
PAIRS = 20_000  # that are gone through at once
CHOOSING = 300  # series, at most, that a band is chosen on
MOST = 3e9  # entries in the tables of all pairs of series, at most, of what is tried


def distances(
    x: np.ndarray, others: np.ndarray, band: int, alone: bool = False
) -> np.ndarray:
    """Squared distances [series, others] of [series, time, channels], all of one length.

    band: steps that are set beside each other are at most so far apart; with 0 each is
    set beside its own, and distances are Euclidean. alone: whether each channel is warped
    by itself.

    >>> one = np.array([[[0.0], [1.0], [0.0], [0.0]]])
    >>> later = np.array([[[0.0], [0.0], [1.0], [0.0]]])
    >>> float(distances(one, later, 0)[0, 0]), float(distances(one, later, 1)[0, 0])
    (2.0, 0.0)
    """
    if alone:
        pairs = ((x[..., [c]], others[..., [c]]) for c in range(x.shape[2]))
        return np.sum([distances(*pair, band) for pair in pairs], axis=0)
    rows = max(1, PAIRS // len(others))
    parts = [_warped(x[n : n + rows], others, band) for n in range(0, len(x), rows)]
    return np.concatenate(parts)


def _warped(x: np.ndarray, others: np.ndarray, band: int) -> np.ndarray:
    """Row by row of the table of steps; kept are the least sums of the row before."""
    time = x.shape[1]
    shape = (len(x), len(others))
    before = np.full((time + 1, *shape), np.inf)
    before[0] = 0
    for one in range(time):
        row = np.full((time + 1, *shape), np.inf)
        for other in range(max(0, one - band), min(time, one + band + 1)):
            apart = _square(x[:, one], others[:, other])
            least = np.minimum(before[other], before[other + 1])
            row[other + 1] = apart + np.minimum(least, row[other])
        before = row
    return before[time]


def among(x: np.ndarray, band: int, alone: bool = False) -> np.ndarray:
    """`distances` [series, series] of each of x to the others: each pair is warped once."""
    apart = np.zeros((len(x), len(x)))
    rows = max(1, PAIRS // len(x))
    for n in range(0, len(x), rows):
        apart[n : n + rows, n:] = distances(x[n : n + rows], x[n:], band, alone)
        apart[n:, n : n + rows] = apart[n : n + rows, n:].T
    return apart


def _square(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances [a, b] of vectors [.., channels]."""
    if a.shape[1] == 1:
        apart = a - b[:, 0]
        return apart * apart
    cross = a @ b.T
    square = np.sum(a * a, axis=1)[:, None] + np.sum(b * b, axis=1)[None] - 2 * cross
    return np.maximum(square, 0)


class Nearest(NamedTuple):
    """The label of the nearest series that was learned from."""

    x: np.ndarray
    y: np.ndarray
    band: int
    alone: bool = False

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Labels [series] of [series, time, channels]."""
        given = np.asarray(x, np.float64)
        apart = distances(given, self.x, self.band, self.alone)
        return self.y[apart.argmin(axis=1)]


def fit(x: np.ndarray, y: np.ndarray, bands: Sequence[float] = BANDS) -> Nearest:
    """Nearest neighbour, warped in the way that is best where each series is left out once.

    bands: shares of the length. Of several that are as good, the narrowest, and channels
    together. It is chosen on the first CHOOSING series, as every pair of them is compared;
    ways beyond MOST are not tried.
    """
    x = np.asarray(x, np.float64)
    count, time, channels = x.shape
    some, labels = x[:CHOOSING], y[:CHOOSING]
    right = {}
    for band in sorted({round(share * time) for share in bands}):
        entries = count**2 * time * min(2 * band + 1, time)
        for alone in (False, True) if band and channels > 1 else (False,):
            if band and entries * (channels if alone else 1) > MOST:
                continue
            apart = among(some, band, alone)
            np.fill_diagonal(apart, np.inf)
            right[band, alone] = np.mean(labels[apart.argmin(axis=1)] == labels)
    return Nearest(x, y, *max(right, key=lambda way: right[way]))
