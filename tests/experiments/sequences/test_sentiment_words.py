"""By how much each word of a probe moves a verdict on it."""

import numpy as np
import pytest

from depthbench.experiments.sequences import sentiment_shown
from depthbench.research.datasets import opinions


def worth(word):
    """Of a judge that adds up its words."""
    return len(word) - 3.5


def test_a_word_moves_the_verdict_by_what_it_is_worth():
    calls = []

    def margin(texts):
        calls.append(texts)
        return np.array([sum(map(worth, opinions.split(text))) for text in texts])

    table = sentiment_shown.moved(margin)
    assert len(calls) == 1  # a program would be compiled for each other number of texts
    every = [opinions.split(probe) for probe in sentiment_shown.PROBES]
    scale = np.mean([abs(worth(word)) for words in every for word in words])
    for row, words in zip(table, every, strict=True):
        each = [worth(word) / scale for word in words]
        assert row[0] == pytest.approx(sum(each))
        assert row[1 : 1 + len(each)] == pytest.approx(each)
        assert not row[1 + len(each) :].any()
