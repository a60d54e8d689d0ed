"""Linear threshold rules on truth tables: which there are, and how well the best does.

Rosenblatt's perceptron (1958, Psychol. Rev. 65:386) can be nothing else: Minsky & Papert
1969, Perceptrons, MIT Press.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

from depthbench.research.lazy import lazily

with lazily():
    import numpy as np
    import scipy.optimize as optimize

MOST_ROWS = 8  # of a table all of whose sign patterns are tried: 256


def table(bits: int) -> tuple[Any, Any]:
    """(x [2^bits, bits] of ±1 float32, parity [2^bits] of 0 and 1 int32).

    >>> [part.tolist() for part in table(1)]
    [[[1.0], [-1.0]], [0, 1]]
    """
    x = np.array(list(itertools.product((1.0, -1.0), repeat=bits)), np.float32)
    return x, ((x < 0).sum(axis=1) % 2).astype(np.int32)


def separable(x: Any, positive: Sequence[bool]) -> bool:
    """Whether w·x + b > 0 for these rows of x [rows, inputs], and < 0 for the others.

    By linear programming: whether ±(w·x + b) ≥ 1 has a solution.

    >>> x = [[0, 0], [0, 1], [1, 0], [1, 1]]
    >>> separable(x, [0, 1, 1, 1]), separable(x, [0, 1, 1, 0])
    (True, False)
    """
    x = np.asarray(x, np.float64)
    sides = np.where(np.asarray(positive, bool), 1.0, -1.0)[:, None]
    rows = sides * np.hstack([x, np.ones((len(x), 1))])
    found = optimize.linprog(
        np.zeros(rows.shape[1]), A_ub=-rows, b_ub=-np.ones(len(x)), bounds=(None, None)
    )
    return found.status == 0


def exhaustive_share(x: Any, y: Any) -> float:
    """The largest share of labels y [rows] that a linear rule gets right, by trying all.

    Of each of the 2^rows ways to divide the rows it is asked whether it is linear.
    Raises ValueError for more than MOST_ROWS rows.

    >>> exhaustive_share([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0])
    0.75
    """
    if len(x) > MOST_ROWS:
        raise ValueError(f"{len(x)} rows; must be at most {MOST_ROWS}")
    patterns = itertools.product((False, True), repeat=len(x))
    ranked = sorted(patterns, key=lambda p: -np.mean(np.equal(p, np.asarray(y) == 1)))
    best = next(pattern for pattern in ranked if separable(x, pattern))
    return float(np.mean(np.equal(best, np.asarray(y) == 1)))


def parity_share(bits: int) -> float:
    """The largest share of n-bit parity that a linear rule gets right, for any n.

    ½ + C(n − 1, ⌊(n − 1)/2⌋) / 2ⁿ. No rule f has more: a pair of inputs that differ in bit
    i counts only if f differs on it, so |E[f·parity]| is at most the influence of every
    bit, and so at most their mean; of all monotone functions, as a linear rule is up to
    signs, majority's total influence is the largest, n C(n − 1, ⌊(n − 1)/2⌋) / 2ⁿ⁻¹
    (O'Donnell 2014, Analysis of Boolean Functions, chapter 2). To ask whether more
    than ⌊(n − 1)/2⌋ bits are 1 has as much.

    >>> [parity_share(bits) for bits in (2, 3, 4)]
    [0.75, 0.75, 0.6875]
    """
    return 0.5 + math.comb(bits - 1, (bits - 1) // 2) / 2**bits
