"""Mixtures of independent bits, by expectation and maximisation: a baseline for densities.

Dempster, Laird & Rubin 1977, J. R. Stat. Soc. B 39:1. One component is the model in which
all bits are independent.
"""

from typing import Any, NamedTuple

import numpy as np
import scipy.special as special

PRIOR = 0.5  # ones and zeros of each bit that a component has seen before any example
ROUNDS = 200
STILL = 1e-5  # nats an example: less is no progress


class BitMixture(NamedTuple):
    """weights [components]; ones: how likely each bit is of each, [components, bits]."""

    weights: np.ndarray
    ones: np.ndarray

    def joint(self, x: np.ndarray) -> np.ndarray:
        """log P(component, x) of examples x [examples, bits], [examples, components]."""
        bits = x @ np.log(self.ones).T + (1 - x) @ np.log1p(-self.ones).T
        return bits + np.log(self.weights)

    def log_likelihood(self, x: np.ndarray) -> np.ndarray:
        """log P(x) of each example in nats, [examples]."""
        return np.asarray(special.logsumexp(self.joint(x), axis=1))


def fit(x: Any, components: int, seed: int = 0) -> BitMixture:
    """The mixture of so many components, from a random division of x [examples, bits].

    Bits have a prior of PRIOR ones and as many zeros, so that none is impossible.

    >>> one = fit([[1.0, 0.0], [1.0, 1.0]], components=1)
    >>> one.ones.round(3).tolist()
    [[0.833, 0.5]]
    """
    x = np.asarray(x, np.float64)
    draw = np.random.RandomState(seed)
    shares = draw.dirichlet(np.full(components, 0.1), len(x))
    before = -np.inf
    for _ in range(ROUNDS):
        found = _maximised(x, shares)
        joint = found.joint(x)
        each = np.asarray(special.logsumexp(joint, axis=1))
        if each.mean() - before < STILL:
            break
        before, shares = each.mean(), np.exp(joint - each[:, None])
    return found


def _maximised(x: np.ndarray, shares: np.ndarray) -> BitMixture:
    """The best mixture where each example belongs to components in these shares."""
    counts = shares.sum(axis=0)
    ones = (shares.T @ x + PRIOR) / (counts[:, None] + 2 * PRIOR)
    return BitMixture((counts + PRIOR) / (counts + PRIOR).sum(), ones)
