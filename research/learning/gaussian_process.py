"""Classes by a Gaussian process, as regression of one number for each class.

Source: Lee et al. 2018, arXiv:1711.00165, section 3: targets are 0.9 for the label and
−0.1 for the others, the noise is chosen by held-out examples.
"""

from typing import NamedTuple

import numpy as np
from scipy import linalg


def targets(y: np.ndarray, classes: int) -> np.ndarray:
    """[examples, classes], of mean 0 over ten classes.

    >>> targets(np.array([1]), 3)
    array([[-0.1,  0.9, -0.1]], dtype=float32)
    """
    return np.eye(classes, dtype=np.float32)[y] - np.float32(0.1)


class Posterior(NamedTuple):
    """mean: [examples, classes]. variance: of each of them [examples], without noise."""

    mean: np.ndarray
    variance: np.ndarray


def posterior(
    learned: np.ndarray, beside: np.ndarray, y: np.ndarray, noise: float
) -> Posterior:
    """What is known at new inputs.

    learned: covariance of the examples [n, n]. beside: of new inputs with them [m, n]; of
    a new input with itself it is 1. y: targets [n, classes]. noise: variance of a target.
    Raises LinAlgError where the covariance is not positive.
    """
    held = linalg.cho_factor(learned + noise * np.eye(len(learned)), lower=True)
    mean = beside @ linalg.cho_solve(held, np.asarray(y, np.float64))
    explained = linalg.solve_triangular(held[0], beside.T, lower=True)
    return Posterior(mean, 1 - np.sum(explained**2, axis=0))
