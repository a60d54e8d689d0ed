"""Symbols after others, from counts alone: n-grams, smoothed as Kneser and Ney have it.

What follows a context is counted; a discount is taken off each count, and goes to what
follows the context without its last column. Shorter contexts count not how often a symbol
is there but in how many of the longer ones. Kneser & Ney 1995, ICASSP 1:181; three
discounts, and interpolation: Chen & Goodman 1999, Computer Speech & Language 13:359.

A context's columns are the most telling first: the last n − 1 symbols, nearest first, give
an n-gram (`preceding`), and another order of them another model.

>>> windows = np.array([[0, 1, 0, 1, 0, 1, 0, 1]])
>>> model = fit(*preceding(windows, 1, 1), symbols=2)
>>> bool(model.nats(*preceding(np.array([[0, 1, 0]]), 1, 1)) < 0.2)
True
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

LEAST = 0.05  # what is taken off a count at least, so that nothing is impossible
UNKNOWN = 0.5  # the discount, of that count, where there are none to estimate it from


class ContextCounts(NamedTuple):
    """Counts after the first k columns of a context, by its number; keys are sorted.

    keys: of the contexts that there are, from their parent's number and last column.
    pairs, counts: context × symbols + symbol, and how often. totals, freed: of each
    context, how often anything follows, and what the discounts leave for the shorter
    one. discounts: of counts 1, 2, and more.
    """

    keys: np.ndarray
    pairs: np.ndarray
    counts: np.ndarray
    totals: np.ndarray
    freed: np.ndarray
    discounts: np.ndarray


class NGrams(NamedTuple):
    """A fitted model; `levels` from no column up to all of them.

    base: beyond the largest value that a column was seen to have.
    """

    symbols: int
    base: int
    levels: tuple[ContextCounts, ...]

    @property
    def order(self) -> int:
        """How many symbols a sequence has that is counted: the columns, and one more."""
        return len(self.levels)

    def chances(self, contexts: Any, follows: Any) -> np.ndarray:
        """Of each symbol in its context [examples]. contexts: [examples, columns]."""
        contexts, follows = np.asarray(contexts), np.asarray(follows)
        number = np.zeros(len(follows), np.int64)  # of its context; −1 of none
        chances = np.full(len(follows), 1 / self.symbols)
        for place, level in enumerate(self.levels):
            if place:
                column = contexts[:, place - 1]
                unseen = (number < 0) | (column >= self.base)
                found = _found(level.keys, number * self.base + column)
                number = np.where(unseen, -1, found)
            pair = _found(level.pairs, number * self.symbols + follows)
            count = np.where(pair < 0, 0, level.counts[pair])
            kept = np.maximum(count - _discount(level.discounts, count), 0)
            known = (kept + level.freed[number] * chances) / level.totals[number]
            chances = np.where(number < 0, chances, known)
        return chances

    def nats(self, contexts: Any, follows: Any) -> float:
        """The mean of −ln of the chances of what is there."""
        return float(np.mean(self.surprises(contexts, follows)))

    def surprises(self, contexts: Any, follows: Any) -> np.ndarray:
        """−ln of the chance of what is there [places]."""
        return -np.log(self.chances(contexts, follows))


def sampled(
    model: NGrams,
    read: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    length: int,
    never: Iterable[int] = (),
    seed: int = 0,
) -> np.ndarray:
    """Symbols [sequences, length] that go on from `start`, drawn one after the other.

    read: from symbols so far to the contexts of the next [sequences, columns]. never:
    symbols that are not drawn.

    >>> windows = np.array([[0, 1, 0, 1, 0, 1, 0, 1]])
    >>> model = fit(*preceding(windows, 1, 1), symbols=2)
    >>> sampled(model, lambda made: made[:, -1:], np.array([[0], [1]]), 4).shape
    (2, 4)
    """
    random, made = np.random.RandomState(seed), np.asarray(start)
    count = len(made)
    while made.shape[1] < length:
        contexts = np.repeat(read(made), model.symbols, axis=0)
        follows = np.tile(np.arange(model.symbols), count)
        chances = model.chances(contexts, follows).reshape(count, model.symbols)
        chances[:, list(never)] = 0
        up_to = np.cumsum(chances, axis=1)
        drawn = random.random_sample((count, 1)) * up_to[:, -1:]
        made = np.concatenate([made, np.sum(up_to <= drawn, axis=1)[:, None]], axis=1)
    return made


def preceding(
    windows: np.ndarray, columns: int, first: int
) -> tuple[np.ndarray, np.ndarray]:
    """(the symbols before each, nearest first [examples, columns], the symbols).

    windows: [windows, places]. first: the place of the first that is asked for; examples
    are window by window.
    Raises ValueError where places have fewer symbols before them.

    >>> [each.tolist() for each in preceding(np.array([[5, 6, 7, 8]]), 2, 2)]
    [[[6, 5], [7, 6]], [7, 8]]
    """
    if first < columns:
        raise ValueError(f"{first} symbols before the first; {columns} are read")
    places = windows.shape[1]
    back = [windows[:, first - n : places - n] for n in range(1, columns + 1)]
    follows = windows[:, first:]
    every = np.stack(back, axis=-1) if back else np.zeros((*follows.shape, 0), int)
    return every.reshape(follows.size, columns), follows.reshape(-1)


def fit(contexts: Any, follows: Any, symbols: int) -> NGrams:
    """Counts of symbols after contexts [examples, columns], of whole numbers."""
    return nested(contexts, follows, symbols)[-1]


def nested(contexts: Any, follows: Any, symbols: int) -> tuple[NGrams, ...]:
    """The models that read no column, the first, and so on up to all of them.

    contexts: [examples, columns], of whole numbers. What the models have in common is
    counted once: all but the counts of each one's longest contexts.

    >>> models = nested(*preceding(np.array([[0, 1, 0, 1, 0, 1]]), 2, 2), symbols=2)
    >>> [model.order for model in models]
    [1, 2, 3]
    """
    contexts, follows = np.asarray(contexts, np.int64), np.asarray(follows, np.int64)
    base = int(contexts.max(initial=0)) + 1
    number = np.zeros(len(follows), np.int64)
    longest, shared = _level(np.zeros(1, np.int64), follows, symbols), ()
    models = [NGrams(symbols, base, (longest,))]
    for column in contexts.T:
        keys, number = np.unique(number * base + column, return_inverse=True)
        longer = _level(keys, number * symbols + follows, symbols)
        # Of what is not the longest: in how many longer contexts, not how often.
        parents = keys[longer.pairs // symbols] // base
        pairs = parents * symbols + longer.pairs % symbols
        shared += (_level(longest.keys, pairs, symbols),)
        models.append(NGrams(symbols, base, (*shared, longer)))
        longest = longer
    return tuple(models)


def _level(keys: np.ndarray, every: np.ndarray, symbols: int) -> ContextCounts:
    """The counts of pairs, of which each context of `keys` has one at least."""
    pairs, counts = np.unique(every, return_counts=True)
    context, discounts = pairs // symbols, _discounts(counts)
    totals = np.bincount(context, counts, minlength=len(keys))
    taken = np.minimum(_discount(discounts, counts), counts)
    freed = np.bincount(context, taken, minlength=len(keys))
    return ContextCounts(keys, pairs, counts, totals, freed, discounts)


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


def _found(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The place of each in sorted keys; −1 where it is not among them."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)
