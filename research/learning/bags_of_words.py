"""Texts by what words are in them: the strong simple baseline of judging sentences.

Words, or words and pairs of neighbours, weighted by how few texts have them (Spärck Jones
1972, J. Documentation 28:11), and logistic regression on that. Wang & Manning 2012, ACL:
pairs help to tell good from bad.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from depthbench.research.learning import selection
from depthbench.research.machine import threads

PENALTIES = (0.1, 1.0, 10.0, 100.0)  # C, of which a smaller one is a larger penalty
LONGEST = (1, 2)  # words side by side


class Chosen(NamedTuple):
    """The model that is best on held-out texts, and the best of each length alone."""

    model: Pipeline
    penalty: float
    longest: int
    of_length: Mapping[int, Pipeline]
    at_edge: bool


@threads.single()
def fit(
    train: tuple[Sequence[str], Any],
    valid: tuple[Sequence[str], Any],
    words: Callable[[str], list[str]],
) -> Chosen:
    """The best of a grid of penalties and lengths, by the texts of `valid`.

    train, valid: (texts, labels). words: of a text.

    >>> texts, good = ["so good", "so bad", "good", "bad"], [1, 0, 1, 0]
    >>> fit((texts, good), (texts, good), str.split).model.predict(["good !"]).tolist()
    [1]
    """
    right = {}
    models = {}
    for longest, penalty in itertools.product(LONGEST, PENALTIES):
        model = make_pipeline(
            TfidfVectorizer(
                tokenizer=words,
                token_pattern=None,
                lowercase=False,
                ngram_range=(1, longest),
                sublinear_tf=True,
            ),
            LogisticRegression(C=penalty, max_iter=1000),
        )
        models[longest, penalty] = model.fit(*train)
        right[longest, penalty] = float(np.mean(model.predict(valid[0]) == valid[1]))
    best = {
        longest: max(PENALTIES, key=lambda penalty, n=longest: right[n, penalty])
        for longest in LONGEST
    }
    longest = max(LONGEST, key=lambda n: right[n, best[n]])
    outcomes = [selection.Outcome(accuracy=right[longest, p]) for p in PENALTIES]
    return Chosen(
        models[longest, best[longest]],
        best[longest],
        longest,
        {n: models[n, best[n]] for n in LONGEST},
        selection.at_edge(PENALTIES, outcomes, "accuracy"),
    )
