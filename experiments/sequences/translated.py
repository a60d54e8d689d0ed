"""The sentences that nets and counts translate, and what counts alone make of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from depthbench.experiments.once import once
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.datasets import translations
from depthbench.research.lazy import lazily

with lazily():
    import numpy as np
    import sacrebleu

    from depthbench.research.learning import phrase_table, translation

CORPORA = choices(
    "corpus",
    numbers="numbers below 10⁹ in words, by num2words",
    django="texts of Django's user interface, where it is installed",
    plone="texts of Plone's, where plone.app.locales is installed",
)
LANGUAGES = choices("language", **translations.LANGUAGES)
SHORT, LONG = 6, 12  # words up to which, and from which on, a source is called so
WEIGHINGS = [  # of language, and back
    *((0.0, 0.0), (0.25, 1.0), (0.5, 0.5), (0.5, 1.0), (0.5, 2.0)),
    *((1.0, 1.0), (1.0, 2.0), (1.0, 3.0), (2.0, 4.0)),
]
LENGTHS = (2, 3, 5, 7)  # of the longest phrase
STEEPNESS = (0.0, 4.0)  # of the diagonal that words are aligned along


class Sentences(NamedTuple):
    """The parts as words, as numbers, and what numbers mean."""

    pairs: translations.Parallel
    code: Any
    train: dict[str, Any]
    valid: dict[str, Any]
    test: dict[str, Any]

    @property
    def lengths(self) -> Any:
        """Words of each source of the test part [pairs]."""
        return np.array([len(pair.source) for pair in self.pairs.test])


class Counted(NamedTuple):
    """What a translation by counts says of the test part.

    right: whether exactly [pairs]. bleu: of all.
    """

    right: Any
    bleu: float


@once
def sentences(corpus: str, language: str, train: int, held: int) -> Sentences:
    """The parts of a corpus."""
    if corpus == "numbers":
        pairs = translations.numbers(language, train, held)
        worth = 1
    else:
        pairs = translations.software(corpus, language, train, held)
        worth = translation.WORTH
    every = [*pairs.train, *pairs.valid, *pairs.test]
    code = translation.coded(pairs.train, every, worth)
    return Sentences(pairs, code, *(code.arrays(part) for part in pairs))


@once
def by_counts(*which: Any) -> dict[str, Counted]:
    """What needs no net, of a corpus' training part: the dictionary (trivial), the phrase
    table (strong), and the nearest sentence's translation (nearest).

    Words are aligned in the way that is best, and then phrases weighed.
    """
    pairs = sentences(*which).pairs
    tables = [phrase_table.fitted(pairs.train, steepness) for steepness in STEEPNESS]
    exact = lambda table: phrase_table.exactly(table, pairs.valid)
    weigh = phrase_table.Weighing
    grid = [weigh(*weights, most) for weights in WEIGHINGS for most in LENGTHS]
    strong = phrase_table.tuned([max(tables, key=exact)], pairs.valid, grid)
    words = max(map(phrase_table.by_word, tables), key=exact)
    asked = [pair.source for pair in pairs.test]
    said = {
        "trivial": [phrase_table.translate(words, source) for source in asked],
        "strong": [phrase_table.translate(strong, source) for source in asked],
        "nearest": [nearest(pairs.train, source) for source in asked],
    }
    return {name: _counted(each, pairs.test) for name, each in said.items()}


def nearest(
    known: Sequence[translations.Pair], source: translations.Sentence
) -> translations.Sentence:
    """The translation of the sentence that shares most words, of all words in both.

    >>> pairs = [translations.Pair(("a", "b"), ("x",)), translations.Pair(("c",), ("y",))]
    >>> nearest(pairs, ("b",))
    ('x',)
    """
    words = set(source)

    def shared(pair):
        both = words.intersection(pair.source)
        return len(both) / (len(words.union(pair.source)) or 1)

    return max(known, key=shared).target


def _counted(said: Any, pairs: Sequence[translations.Pair]) -> Counted:
    right = [s == pair.target for s, pair in zip(said, pairs, strict=True)]
    return Counted(np.array(right), bleu(said, pairs))


def bleu(said: Any, pairs: Any) -> float:
    """BLEU of sentences in words, in percent, as sacrebleu counts it."""
    joined = [" ".join(words) for words in said]
    asked = [" ".join(pair.target) for pair in pairs]
    # Words are as they are to be compared: none is cut again.
    return float(
        sacrebleu.corpus_bleu(joined, [asked], tokenize="none", force=True).score
    )


def by_length(right: Any, lengths: Any) -> Any:
    """The share right of each length from 1 on [lengths]; nan where there is none."""
    return np.array(
        [
            np.mean(right[lengths == n]) if np.any(lengths == n) else np.nan
            for n in range(1, int(lengths.max()) + 1)
        ]
    )
