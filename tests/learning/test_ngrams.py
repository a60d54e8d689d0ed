"""n-gram models against counts by hand, and against a chain whose entropy is known."""

from collections import Counter

import numpy as np
import pytest

from depthbench.research.datasets import find, sequences
from depthbench.research.learning import ngrams

SYMBOLS, COLUMNS = 4, 2
RANDOM = np.random.RandomState(0)
CONTEXTS = RANDOM.randint(0, 3, (60, COLUMNS))
FOLLOWS = RANDOM.randint(0, SYMBOLS, 60)
NEW = RANDOM.randint(0, 4, (40, COLUMNS))  # with a value that was never seen


def by_dictionaries(context, symbol):
    """Chen & Goodman 1999, equations 23 to 26, without arrays."""
    pairs = list(zip(map(tuple, CONTEXTS.tolist()), FOLLOWS.tolist(), strict=True))
    probability = 1 / SYMBOLS
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
        every = ngrams._discounts(np.array(list(counts.values())))
        taken = {w: min(n, every[min(n, 3) - 1]) for w, n in here.items()}
        kept = here.get(symbol, 0) - taken.get(symbol, 0)
        probability = (kept + sum(taken.values()) * probability) / sum(here.values())
    return probability


def test_chances_are_those_of_counts_in_dictionaries():
    model = ngrams.fit(CONTEXTS, FOLLOWS, SYMBOLS)
    asked = np.concatenate([CONTEXTS, NEW])
    symbols = np.resize(np.arange(SYMBOLS), len(asked))
    wanted = [
        by_dictionaries(tuple(context), symbol)
        for context, symbol in zip(asked.tolist(), symbols.tolist(), strict=True)
    ]
    # The same sums in double precision, in another order.
    np.testing.assert_allclose(model.chances(asked, symbols), wanted, rtol=1e-12)


def test_chances_of_all_symbols_are_one():
    model = ngrams.fit(CONTEXTS, FOLLOWS, SYMBOLS)
    each = [model.chances(NEW, np.full(len(NEW), w)) for w in range(SYMBOLS)]
    # Sums of four numbers in double precision.
    np.testing.assert_allclose(np.sum(each, axis=0), 1, rtol=1e-12)


def test_what_models_share_is_what_each_would_count():
    for columns, model in enumerate(ngrams.nested(CONTEXTS, FOLLOWS, SYMBOLS)):
        alone = ngrams.fit(CONTEXTS[:, :columns], FOLLOWS, SYMBOLS)
        asked = NEW, np.resize(np.arange(SYMBOLS), len(NEW))
        assert model.order == alone.order == columns + 1
        np.testing.assert_array_equal(model.chances(*asked), alone.chances(*asked))


def test_a_bigram_model_is_that_of_the_formula():
    """a b a c a b: after a twice b and once c, and 0.5 is taken off each count."""
    windows = np.array([[0, 1, 0, 2, 0, 1]])
    model = ngrams.fit(*ngrams.preceding(windows, 1, 1), 3)
    single = model.levels[0]  # a follows b and c, b follows a, c follows a
    assert dict(zip(single.pairs, single.counts, strict=True)) == {0: 2, 1: 1, 2: 1}
    of_b = (1 - 0.5) / 4 + (3 * 0.5 / 4) / 3
    wanted = (2 - 0.5) / 3 + (2 * 0.5 / 3) * of_b
    (given,) = model.chances([[0]], [1])
    assert model.order == 2 and given == pytest.approx(wanted, rel=1e-12)


def test_discounts_are_those_of_counts_of_counts():
    counts = np.repeat([1, 2, 3, 4], [40, 20, 10, 5])
    share = 40 / (40 + 2 * 20)
    wanted = [1 - 2 * share / 2, 2 - 3 * share / 2, 3 - 4 * share / 2]
    np.testing.assert_allclose(ngrams._discounts(counts), wanted)


def test_the_grammar_is_learned_to_its_entropy():
    """Its state follows from three symbols, so four at a time are all there is."""
    train, test = find("grammar").split()
    windows = [np.concatenate([p.x, p.y[:, -1:]], axis=1) for p in (train, test)]

    models = ngrams.nested(*ngrams.preceding(windows[0][:2000], 5, 5), 5)
    held = ngrams.preceding(windows[0][-300:], 5, 16)
    found = [model.nats(*held) for model in models]
    model = models[found.index(min(found))]
    assert model.order == 4
    # 98,000 symbols, whose surprise deviates by 0.48: three standard errors are 0.005.
    lost = model.nats(*ngrams.preceding(windows[1], 3, 16))
    assert lost == pytest.approx(sequences.GRAMMAR_ENTROPY, abs=0.006)
    assert found[0] > found[1] > found[2] > found[3]


def test_symbols_that_are_read_must_be_there():
    with pytest.raises(ValueError, match="3 are read"):
        ngrams.preceding(np.zeros((2, 20), int), 3, 2)
