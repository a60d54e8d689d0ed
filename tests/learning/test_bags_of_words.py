"""The linear model of words on sentences of a generator."""

import numpy as np

from depthbench.research.datasets import opinions
from depthbench.research.learning import bags_of_words


def test_pairs_see_negations_that_words_do_not():
    read = opinions.parts("opinions")
    texts, good = read.train.texts[:1500], read.train.good[:1500].astype(int)
    learned, choosing = (texts[:1200], good[:1200]), (texts[1200:], good[1200:])
    chosen = bags_of_words.fit(learned, choosing, opinions.split)
    right = {
        n: np.mean(model.predict(read.test.texts) == read.test.good)
        for n, model in chosen.of_length.items()
    }
    # 800 sentences: a standard error is 0.017. Two in five clauses are negated.
    assert chosen.longest == 2 and right[2] > right[1] + 0.05
    assert chosen.model is chosen.of_length[2]
