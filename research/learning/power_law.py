"""Power laws of learning curves: exponents over seeds, and where a law holds.

Hestness et al. 2017, arXiv:1712.00409: an error ε(m) = α m^β of m examples.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

LEAST = 1e-4  # what an error of 0, of some thousand examples, is taken for


def exponents(sizes: Sequence[float], errors: Any) -> np.ndarray:
    """β of each seed [seeds]: the slope of log error over log size, by least squares.

    errors: [sizes, seeds]. All sizes count alike.

    >>> exponents([10, 100, 1000], [[0.1], [0.01], [0.001]]).round(9).tolist()
    [-1.0]
    """
    x = np.log(sizes) - np.mean(np.log(sizes))
    return x @ _logs(errors) / (x @ x)


def line(sizes: Sequence[float], errors: Any) -> np.ndarray:
    """The fitted law at these sizes [sizes], its mean over seeds.

    >>> line([10, 100], [[0.1, 0.1], [0.01, 0.01]]).round(9).tolist()
    [0.1, 0.01]
    """
    x = np.log(sizes) - np.mean(np.log(sizes))
    return np.exp(np.mean(_logs(errors)) + np.mean(exponents(sizes, errors)) * x)


def straight_from(sizes: Sequence[int], errors: Any) -> int | None:
    """The least size from which all mean log errors lie on one line, or None.

    Within two standard errors over seeds of it, at three sizes or more.

    >>> errors = np.array([[0.3, 0.31], [0.1, 0.11], [0.01, 0.011], [0.001, 0.0011]])
    >>> straight_from([1, 10, 100, 1000], errors)
    10
    """
    logs = _logs(errors)
    spread = np.std(logs, axis=1, ddof=min(1, logs.shape[1] - 1)) / logs.shape[1] ** 0.5
    for first in range(len(sizes) - 2):
        some, part = sizes[first:], np.asarray(errors)[first:]
        apart = np.abs(np.mean(_logs(part), axis=1) - np.log(line(some, part)))
        if np.all(apart <= 2 * spread[first:]):
            return sizes[first]
    return None


def _logs(errors: Any) -> np.ndarray:
    return np.log(np.maximum(errors, LEAST))
