"""n-gram models against counts by hand, and against a chain whose entropy is known."""

import numpy as np
import pytest

from depthbench.research.datasets import find, sequences
from depthbench.research.learning import ngrams


def test_chances_of_all_symbols_are_one():
    windows = np.random.RandomState(0).randint(0, 5, (40, 12))
    model = ngrams.fit(windows, 5, 4)
    asked = np.random.RandomState(1).randint(0, 5, (20, 8))
    each = [
        model.chances(np.concatenate([asked, np.full((20, 1), s)], axis=1), 8)
        for s in range(5)
    ]
    # Sums of five numbers in double precision.
    np.testing.assert_allclose(np.sum(each, axis=0), 1, rtol=1e-12)


def test_a_bigram_model_is_that_of_the_formula():
    """a b a c a b: after a twice b and once c, and 0.5 is taken off each count."""
    model = ngrams.fit(np.array([[0, 1, 0, 2, 0, 1]]), 3, 2)
    single = model.levels[0]  # a follows b and c, b follows a, c follows a
    assert dict(zip(single.grams, single.counts, strict=True)) == {0: 2, 1: 1, 2: 1}
    of_b = (1 - 0.5) / 4 + (3 * 0.5 / 4) / 3
    wanted = (2 - 0.5) / 3 + (2 * 0.5 / 3) * of_b
    (given,) = model.chances(np.array([[0, 1]]), 1)[0]
    assert given == pytest.approx(wanted, rel=1e-12)


def test_discounts_are_those_of_counts_of_counts():
    counts = np.repeat([1, 2, 3, 4], [40, 20, 10, 5])
    share = 40 / (40 + 2 * 20)
    wanted = [1 - 2 * share / 2, 2 - 3 * share / 2, 3 - 4 * share / 2]
    np.testing.assert_allclose(ngrams._discounts(counts), wanted)


def test_the_grammar_is_learned_to_its_entropy():
    """Its state follows from three symbols, so four at a time are all there is."""
    train, test = find("grammar").split()
    windows = [np.concatenate([p.x, p.y[:, -1:]], axis=1) for p in (train, test)]
    model, nats = ngrams.best(windows[0][:2000], windows[0][-300:], 5, range(1, 7), 16)
    assert model.order == 4
    # 98,000 symbols, whose surprise deviates by 0.48: three standard errors are 0.005.
    lost = model.nats(windows[1], 16)
    assert lost == pytest.approx(sequences.GRAMMAR_ENTROPY, abs=0.006)
    assert nats[1] > nats[2] > nats[3] > nats[4]


def test_what_cannot_be_is_refused():
    windows = np.zeros((2, 20), int)
    with pytest.raises(ValueError, match="64 bits"):
        ngrams.fit(windows, 97, 10)
    with pytest.raises(ValueError, match="are read"):
        ngrams.fit(windows, 3, 4).chances(windows, 2)
