"""Interpolated Kneser–Ney: probabilities of a symbol after others, from counts alone.

Kneser & Ney 1995, ICASSP 1:181; Chen & Goodman 1999, Comput. Speech Lang. 13:359. What a
symbol depends on is given as columns, the most telling first: its n − 1 predecessors give
an n-gram, and another order of them another model. Where a context was never seen the
last column is left out, and so on.

>>> contexts, follows = np.array([[0], [0], [1], [1]]), np.array([0, 1, 1, 1])
>>> model = fit(contexts, follows, 2, discount=0.5)
>>> [round(float(p), 3) for p in model.probability([[0], [0]], [0, 1])]
[0.417, 0.583]
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np


class ContextCounts(NamedTuple):
    """Counts after the first k columns of a context, by number; keys are sorted.

    keys: of the contexts that there are, from their parent's number and last column.
    pairs, counts: context × classes + symbol, and how often. total, kinds: of each
    context, how often anything and how many symbols follow.
    """

    keys: np.ndarray
    pairs: np.ndarray
    counts: np.ndarray
    total: np.ndarray
    kinds: np.ndarray


class KneserNey(NamedTuple):
    """A fitted model. columns: beyond the largest value that a column was seen to have."""

    levels: tuple[ContextCounts, ...]
    classes: int
    columns: int
    discount: float

    def probability(self, contexts: Any, follows: Any) -> np.ndarray:
        """Of each symbol in its context [examples]. contexts: [examples, columns]."""
        contexts, follows = np.asarray(contexts), np.asarray(follows)
        number = np.zeros(len(follows), np.int64)  # of its context; −1 of none
        probability = np.full(len(follows), 1 / self.classes)
        for place, level in enumerate(self.levels):
            if place:
                column = contexts[:, place - 1]
                key = number * self.columns + column
                unseen = (number < 0) | (column >= self.columns)
                number = np.where(unseen, -1, _found(level.keys, key))
            pair = _found(level.pairs, number * self.classes + follows)
            count = np.where(pair < 0, 0, level.counts[pair])
            kept = np.maximum(count - self.discount, 0)
            freed = self.discount * level.kinds[number] * probability
            known = (kept + freed) / level.total[number]
            probability = np.where(number < 0, probability, known)
        return probability

    def nats(self, contexts: Any, follows: Any) -> float:
        """The mean of −log p."""
        return float(-np.mean(np.log(self.probability(contexts, follows))))


def _found(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The place of each in sorted keys; −1 where it is not among them."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)


def fit(contexts: Any, follows: Any, classes: int, discount: float) -> KneserNey:
    """Counts of symbols after contexts [examples, columns], of whole numbers.

    discount: taken off each count, in (0, 1). classes: how many symbols there are.
    """
    contexts, follows = np.asarray(contexts, np.int64), np.asarray(follows, np.int64)
    columns = int(contexts.max(initial=0)) + 1
    numbers, keys = [np.zeros(len(follows), np.int64)], [np.zeros(1, np.int64)]
    for column in contexts.T:
        known, number = np.unique(numbers[-1] * columns + column, return_inverse=True)
        keys.append(known)
        numbers.append(number)
    levels = []
    for place, number in enumerate(numbers):
        pairs = number * classes + follows
        if place + 1 < len(numbers):  # in how many longer contexts, not how often
            longer = numbers[place + 1] * classes + follows
            _, first = np.unique(longer, return_index=True)
            pairs = pairs[first]
        pairs, counts = np.unique(pairs, return_counts=True)
        context = pairs // classes
        size = len(keys[place])
        total = np.bincount(context, counts, minlength=size)
        kinds = np.bincount(context, minlength=size)
        levels.append(ContextCounts(keys[place], pairs, counts, total, kinds))
    return KneserNey(tuple(levels), classes, columns, discount)


class Best(NamedTuple):
    """A model, how many columns it reads, and what it gives on what it was chosen by."""

    model: KneserNey
    columns: int
    nats: float


def tuned(
    read: Callable[[int], tuple[tuple[Any, Any], tuple[Any, Any]]],
    classes: int,
    columns: Sequence[int],
    discounts: Sequence[float] = (0.5, 0.7, 0.8, 0.9, 0.95),
) -> Best:
    """The best count of columns and discount, by pairs that are held out.

    read: from a count of columns to (contexts, follows) to learn from, and to choose by.
    """
    best = None
    for count in columns:
        learned, held = read(count)
        model = fit(*learned, classes, discounts[0])
        for discount in discounts:
            tried = model._replace(discount=discount)
            nats = tried.nats(*held)
            if math.isfinite(nats) and (best is None or nats < best.nats):
                best = Best(tried, count, nats)
    assert best is not None
    return best
