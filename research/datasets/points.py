"""Generated points: spirals and a ring to tell apart, and a teacher to imitate."""

import math

import numpy as np

from depthbench.research.datasets.contract import Data, Splits

INPUTS, HIDDEN = 32, 8  # of the teacher
TRAIN, TEST = 8192, 2048
ROUND, SPREAD = 8, 0.05  # Gaussians of the ring, and their deviation


def two_spirals() -> Splits:
    """The benchmark's 194 points, three turns each, and 192 half-way between them.

    x: [examples, 2], of mean square 1 over the training points. y: which spiral.
    Source: Lang & Witbrock 1988; angle iπ/16, radius 6.5 (104 − i)/104, i = 0 … 96.
    """
    train, test = _spirals(np.arange(97.0)), _spirals(np.arange(96.0) + 0.5)
    size = np.sqrt(np.mean(train**2))
    return Splits(*(_labelled(points / size) for points in (train, test)))


def _spirals(i: np.ndarray) -> np.ndarray:
    radius, angle = 6.5 * (104 - i) / 104, i * np.pi / 16
    one = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    return np.concatenate([one, -one])


def _labelled(points: np.ndarray) -> Data:
    y = np.arange(2, dtype=np.int32).repeat(len(points) // 2)
    return Data(points.astype(np.float32), y, 2)


def ring() -> Splits:
    """Points of eight Gaussians on a circle, and which: what generators lose modes of.

    x: [examples, 2], of mean square 1 but for the Gaussians' own. Centres are 1.08 apart,
    some 22 deviations: the nearest centre is always right.
    Source: Metz et al. 2017, arXiv:1611.02163, section 3.1 (deviation 0.02 there).
    """
    random = np.random.RandomState(0)

    def drawn(count: int) -> Data:
        y = random.randint(0, ROUND, count)
        angle = 2 * np.pi * y / ROUND
        centres = 2**0.5 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        x = centres + SPREAD * random.standard_normal((count, 2))
        return Data(x.astype(np.float32), y.astype(np.int32), ROUND)

    return Splits(drawn(2048), drawn(1024))


def teacher_student() -> Splits:
    """Gaussian inputs [examples, 32] and a random net's answers [examples, 1].

    The teacher is √(3/K) Σ_k erf(w_k·x / √2) with K = 8 orthogonal w_k of length 1, so
    that answers have mean 0 and variance 1: a constant loses 1.
    Source: Saad & Solla 1995, Physical Review Letters 74:4337.
    """
    random = np.random.RandomState(0)
    weights, _ = np.linalg.qr(random.standard_normal((INPUTS, HIDDEN)))
    x = random.standard_normal((TRAIN + TEST, INPUTS))
    erf = np.vectorize(math.erf, otypes=[float])
    answers = (3 / HIDDEN) ** 0.5 * erf(x @ weights / 2**0.5).sum(axis=1)
    x, y = x.astype(np.float32), answers.astype(np.float32)[:, None]
    return Splits(Data(x[:TRAIN], y[:TRAIN], 1), Data(x[TRAIN:], y[TRAIN:], 1))
