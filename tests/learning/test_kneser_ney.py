"""Kneser–Ney: against counts in dictionaries, and probabilities that sum to 1."""

from collections import Counter

import numpy as np
import pytest

from depthbench.research.learning import kneser_ney

CLASSES, COLUMNS = 4, 2
RANDOM = np.random.RandomState(0)
CONTEXTS = RANDOM.randint(0, 3, (60, COLUMNS))
FOLLOWS = RANDOM.randint(0, CLASSES, 60)
NEW = RANDOM.randint(0, 4, (40, COLUMNS))  # with a value that was never seen


def by_dictionaries(context, symbol, discount):
    """Chen & Goodman 1999, equations of interpolated Kneser–Ney, without arrays."""
    pairs = list(zip(map(tuple, CONTEXTS.tolist()), FOLLOWS.tolist(), strict=True))
    probability = 1 / CLASSES
    for length in range(COLUMNS + 1):
        if length == COLUMNS:
            counts = Counter(pairs)
        else:  # in how many contexts one column longer
            counts = Counter(
                (c[:length], w) for c, w in {(c[: length + 1], w) for c, w in pairs}
            )
        here = {w: n for (c, w), n in counts.items() if c == context[:length]}
        if not here:
            return probability
        total, kinds = sum(here.values()), len(here)
        kept = max(here.get(symbol, 0) - discount, 0)
        probability = (kept + discount * kinds * probability) / total
    return probability


@pytest.mark.parametrize("discount", (0.3, 0.8))
def test_probabilities_are_those_of_counts_in_dictionaries(discount):
    model = kneser_ney.fit(CONTEXTS, FOLLOWS, CLASSES, discount)
    asked = np.concatenate([CONTEXTS, NEW])
    symbols = np.resize(np.arange(CLASSES), len(asked))
    wanted = [
        by_dictionaries(tuple(context), symbol, discount)
        for context, symbol in zip(asked.tolist(), symbols.tolist(), strict=True)
    ]
    np.testing.assert_allclose(model.probability(asked, symbols), wanted, rtol=1e-12)


def test_probabilities_of_all_symbols_sum_to_1():
    model = kneser_ney.fit(CONTEXTS, FOLLOWS, CLASSES, 0.7)
    each = [model.probability(NEW, np.full(len(NEW), w)) for w in range(CLASSES)]
    np.testing.assert_allclose(np.sum(each, axis=0), 1.0, rtol=1e-12)


def test_the_best_model_is_the_best_on_what_is_held_out():
    """What follows is the second column: a model that reads it is right."""
    first, second = RANDOM.randint(0, CLASSES, (2, 400))

    def read(count):
        columns = np.stack([first, second], axis=1)[:, :count]
        return (columns[:300], second[:300]), (columns[300:], second[300:])

    best = kneser_ney.tuned(read, CLASSES, (0, 1, 2))
    assert best.columns == 2 and best.nats < 0.1
