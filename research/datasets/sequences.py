"""Generated sequences with known targets, and known losses of trivial predictions.

All are drawn by numpy's RandomState, whose streams are frozen (NEP 19): the same bits
with every version. No sequence is in both parts.
"""

import math

import numpy as np

from depthbench.research.datasets.contract import Data, Splits

TRAIN, TEST = 20_000, 2_000
SPARE = 200  # drawn beyond those, as a few are drawn twice

# Loss of always answering 1: the variance of a sum of two uniform numbers.
ADDING_BASELINE = 1 / 6

# Reber's graph: from each state two ways on, a token and a state each. The first is
# taken with probability 3/4, so that no token, in whatever state, has another entropy.
WAYS = ((("T", 1), ("P", 2)), (("S", 1), ("X", 3)), (("T", 2), ("V", 4)))
WAYS += ((("X", 2), ("S", 0)), (("P", 3), ("V", 0)))
TOKENS = "TPSXV"
FIRST_WAY = 0.75
GRAMMAR_ENTROPY = -sum(p * math.log(p) for p in (FIRST_WAY, 1 - FIRST_WAY))


def copy_baseline(gap: int) -> float:
    """Nats per step of a net without memory: 10 ln 8 / (T + 20).

    Source: Arjovsky et al. 2016, arXiv:1511.06464, section 4.1.
    """
    return 10 * math.log(8) / (gap + 20)


def adding(time: int) -> Splits:
    """Numbers in [0, 1) and two marks, one in each half; asked: the marked ones' sum.

    x: [examples, time, 2], the number and whether it is marked. y: [examples, 1].
    Source: Arjovsky et al. 2016, arXiv:1511.06464, section 4.2.
    """
    random = np.random.RandomState(0)
    count = TRAIN + TEST
    x = np.zeros((count, time, 2), np.float32)
    x[:, :, 0] = random.random_sample((count, time))
    rows = np.arange(count)
    marks = random.randint(0, time // 2, count), random.randint(time // 2, time, count)
    y = np.zeros(count, np.float32)
    for mark in marks:
        x[rows, mark, 1] = 1
        y += x[rows, mark, 0]
    return _parts(x, y[:, None], 1)


def copy_memory(gap: int) -> Splits:
    """Ten symbols of eight, to be said again after `gap` steps; 8 is blank, 9 says go.

    x: ten symbols, gap − 1 blanks, go, ten blanks. y: gap + 10 blanks, the symbols.
    Source: Arjovsky et al. 2016, arXiv:1511.06464, section 4.1.
    """
    random = np.random.RandomState(0)
    symbols = _distinct(random.randint(0, 8, (TRAIN + TEST + SPARE, 10)))
    x = np.full((len(symbols), gap + 20), 8, np.int32)
    y = x.copy()
    x[:, :10] = y[:, -10:] = symbols
    x[:, gap + 9] = 9
    return _parts(x, y, 10)


def parity() -> Splits:
    """Thirty-two signs ±1 [examples, 32, 1]; asked: is the number of −1 odd?

    Source: Bengio et al. 1994, IEEE Transactions on Neural Networks 5:157.
    """
    random = np.random.RandomState(0)
    bits = _distinct(random.randint(0, 2, (TRAIN + TEST + SPARE, 32)))
    signs = (1 - 2 * bits[:, :, None]).astype(np.float32)
    return _parts(signs, (bits.sum(axis=1) % 2).astype(np.int32), 2)


def sorting() -> Splits:
    """Ten symbols of sixteen, then ten times "now" (16): the targets are they, sorted.

    Nothing is asked while the symbols are read.
    """
    random = np.random.RandomState(0)
    symbols = _distinct(random.randint(0, 16, (TRAIN + TEST + SPARE, 10)))
    x = np.full((len(symbols), 20), 16, np.int32)
    y = np.full_like(x, -1)
    x[:, :10] = symbols
    y[:, 10:] = np.sort(symbols, axis=1)
    return _parts(x, y, 17)


def grammar() -> Splits:
    """Walks of 64 tokens through Reber's graph from its first state; asked: the next.

    Whoever knows the graph loses GRAMMAR_ENTROPY nats a token, and nobody less.
    """
    random = np.random.RandomState(0)
    count = TRAIN + TEST + SPARE
    tokens = np.array([[TOKENS.index(token) for token, _ in ways] for ways in WAYS])
    states = np.array([[state for _, state in ways] for ways in WAYS])
    state = np.zeros(count, np.int64)
    walk = np.zeros((count, 65), np.int32)
    for step in range(65):
        way = (random.random_sample(count) >= FIRST_WAY).astype(np.int64)
        walk[:, step] = tokens[state, way]
        state = states[state, way]
    walk = _distinct(walk)
    return _parts(walk[:, :-1], walk[:, 1:], len(TOKENS))


def _distinct(rows: np.ndarray) -> np.ndarray:
    """The rows that were not there before, in order; as many as are used."""
    _, first = np.unique(rows, axis=0, return_index=True)
    distinct = rows[np.sort(first)][: TRAIN + TEST]
    assert len(distinct) == TRAIN + TEST
    return distinct


def _parts(x: np.ndarray, y: np.ndarray, classes: int) -> Splits:
    return Splits(
        Data(x[:TRAIN], y[:TRAIN], classes), Data(x[TRAIN:], y[TRAIN:], classes)
    )
