"""n-gram models of symbols, smoothed as Kneser and Ney have it.

What follows the last n − 1 symbols is counted; a discount is taken off each count, and
goes to what follows the last n − 2. Lower orders count not how often a sequence is there
but after how many different symbols. Kneser & Ney 1995, ICASSP 1:181; three discounts,
and interpolation: Chen & Goodman 1999, Computer Speech & Language 13:359.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LEAST = 0.05  # what is taken off a count at least, so that nothing is impossible
UNKNOWN = 0.5  # the discount, of that count, where there are none to estimate it from


class CountedOrder(NamedTuple):
    """What is known of one order's sequences, which are numbers in the base of symbols.

    grams, counts: sorted sequences, and how often each. contexts, totals: sequences
    without their last symbol, and how often any follows. freed: of each context, what
    the discounts leave for the order below. discounts: of counts 1, 2, and more.
    """

    grams: np.ndarray
    counts: np.ndarray
    contexts: np.ndarray
    totals: np.ndarray
    freed: np.ndarray
    discounts: np.ndarray


class NGrams(NamedTuple):
    """A fitted model; `levels` from single symbols up to its order."""

    symbols: int
    levels: tuple[CountedOrder, ...]

    @property
    def order(self) -> int:
        return len(self.levels)

    def chances(self, windows: np.ndarray, first: int) -> np.ndarray:
        """Of each symbol from place `first` on, given those before, [windows, places].

        Raises ValueError where places have fewer symbols before them than the model reads.
        """
        if first < self.order - 1:
            raise ValueError(f"{first} symbols before the first; {self.order} are read")
        chances = np.full(windows[:, first:].shape, 1 / self.symbols)
        for length, level in enumerate(self.levels, start=1):
            grams = _numbers(windows, length, self.symbols)[:, first - length + 1 :]
            count = _looked_up(level.grams, level.counts, grams)
            context = grams // self.symbols
            total = _looked_up(level.contexts, level.totals, context)
            freed = _looked_up(level.contexts, level.freed, context)
            kept = np.maximum(count - _discount(level.discounts, count), 0)
            known = (kept + freed * chances) / np.maximum(total, 1)
            chances = np.where(total > 0, known, chances)
        return chances

    def nats(self, windows: np.ndarray, first: int) -> float:
        """The mean of −ln of the chances of what is there."""
        return float(-np.mean(np.log(self.chances(windows, first))))


def fit(windows: np.ndarray, symbols: int, order: int) -> NGrams:
    """The model of so many symbols at a time, of windows [windows, places] of symbols.

    Raises ValueError where a sequence of that order is no 64-bit number.

    >>> model = fit(np.array([[0, 1, 0, 1, 0, 1, 0, 1]]), symbols=2, order=2)
    >>> bool(model.nats(np.array([[0, 1, 0]]), 1) < 0.2)
    True
    """
    if symbols**order >= 2**63:
        raise ValueError(f"order {order} of {symbols} symbols does not fit in 64 bits")
    levels, above = [], None
    for length in range(order, 0, -1):
        if above is None:
            every = _numbers(windows, length, symbols)
            grams, counts = np.unique(every, return_counts=True)
        else:  # after how many different symbols each is found
            grams, counts = np.unique(above % symbols**length, return_counts=True)
        levels.append(_level(grams, counts, symbols))
        above = grams
    return NGrams(symbols, tuple(reversed(levels)))


def best(
    train: np.ndarray,
    valid: np.ndarray,
    symbols: int,
    orders: Sequence[int],
    first: int,
) -> tuple[NGrams, dict[int, float]]:
    """(the model of the order that is best on `valid`, the nats there by order)."""
    models = {order: fit(train, symbols, order) for order in orders}
    nats = {order: model.nats(valid, first) for order, model in models.items()}
    return models[min(nats, key=lambda order: nats[order])], nats


def _numbers(windows: np.ndarray, length: int, symbols: int) -> np.ndarray:
    """Every sequence of so many symbols as a number, [windows, places]."""
    places = windows.shape[1] - length + 1
    numbers = np.zeros((len(windows), places), np.int64)
    for place in range(length):
        numbers = numbers * symbols + windows[:, place : place + places]
    return numbers


def _level(grams: np.ndarray, counts: np.ndarray, symbols: int) -> CountedOrder:
    discounts = _discounts(counts)
    contexts, which = np.unique(grams // symbols, return_inverse=True)
    totals = np.bincount(which, counts)
    freed = np.bincount(which, np.minimum(_discount(discounts, counts), counts))
    return CountedOrder(grams, counts, contexts, totals, freed, discounts)


def _discounts(counts: np.ndarray) -> np.ndarray:
    """Of counts 1, 2, and 3 or more: Chen & Goodman's equation 26."""
    of = [float(np.sum(counts == number)) for number in (1, 2, 3, 4)]
    if min(of) == 0:
        return UNKNOWN * np.ones(3)
    share = of[0] / (of[0] + 2 * of[1])
    each = [n - (n + 1) * share * of[n] / of[n - 1] for n in (1, 2, 3)]
    return np.clip(each, LEAST, (1, 2, 3))


def _discount(discounts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.where(counts > 0, discounts[np.clip(counts, 1, 3).astype(int) - 1], 0.0)


def _looked_up(keys: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The values of the keys that are asked for; 0 of what is no key."""
    place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[place] == asked, values[place], 0)
