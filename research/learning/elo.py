"""Ratings of players from their games: Bradley & Terry 1952, on Elo's scale.

A player 400 points above another is expected to score 10 for each of the other's.
"""

import numpy as np
from scipy import optimize

SCALE = 400 / np.log(10)  # points of a natural log odds


def ratings(points: np.ndarray, prior: float = 1.0) -> np.ndarray:
    """The most likely ratings [players], the first's 0.

    points: [players, players], what each row's player scored against each column's; a
    draw is half for both. prior: drawn games that each two who met are given beside, so
    that one who won all has a rating too.

    >>> won = np.array([[0, 30.0], [10.0, 0]])
    >>> np.round(ratings(won, prior=0.0))  # 400 log10(1/3)
    array([   0., -191.])
    """
    points = np.asarray(points, np.float64)
    met = (points + points.T) > 0
    points = points + np.where(met, prior / 2, 0.0)
    count = len(points)

    def unlikely(free):
        rated = np.concatenate([[0.0], free])
        apart = rated[:, None] - rated[None]
        expected = np.exp(-np.logaddexp(0.0, -apart))
        loss = np.sum(points * np.logaddexp(0.0, -apart))
        missing = points * (1 - expected)
        slope = missing.sum(axis=0) - missing.sum(axis=1)
        return loss, slope[1:]

    found = optimize.minimize(unlikely, np.zeros(count - 1), jac=True, method="BFGS")
    return SCALE * np.concatenate([[0.0], found.x])
