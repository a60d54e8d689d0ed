"""Translation by counts: aligned words, phrases that were seen, a model of the language.

Words are aligned by Brown et al. 1993's first model (Computational Linguistics 19:263),
whose places keep near the diagonal (Dyer, Chahuneau & Smith 2013, NAACL: fast_align);
both directions are joined as in Och & Ney 2003 (Computational Linguistics 29:19), and
phrases are what is aligned within itself (Koehn, Och & Marcu 2003, NAACL). They are put
one after the other in the source's order, by beam search: what changes places further
apart than a phrase is long is beyond this.

>>> pairs = [(("one",), ("un",)), (("two",), ("deux",)), (("two", "one"), ("deux", "un"))]
>>> translate(fitted(pairs), ("one", "two"))
('un', 'deux')
"""

import collections
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

Sentence = tuple[str, ...]
Links = set[tuple[int, int]]  # (place in the source, place in the target)
ROUNDS = 6  # of expectation and maximisation
STEEPNESS = 4.0  # of the diagonal, fast_align's
NOWHERE = 0.08  # chance that a word comes from none, fast_align's
LONGEST = 7  # words of a phrase, as in Koehn et al. 2003
OPTIONS, BEAM = 6, 8
SHARES = (0.9, 0.09, 0.009)  # of three, two and one words in the language model
FLOOR = 1e-4
EDGE = ("<s>", "<s>")
END = "</s>"


class Weighing(NamedTuple):
    """What the logarithms are multiplied by, and the longest phrase that is used.

    language: of the words' order in the target. back: of the source given the target.
    """

    language: float = 1.0
    back: float = 1.0
    longest: int = LONGEST


class PhraseTable(NamedTuple):
    """phrases: by source, [(target, log p of it, log p back)], likeliest first."""

    phrases: Mapping[Sentence, Sequence[tuple[Sentence, float, float]]]
    following: Callable[[Sentence, str], float]
    weighing: Weighing = Weighing()


def fitted(
    pairs: Iterable[tuple[Sentence, Sentence]], steepness: float = STEEPNESS
) -> PhraseTable:
    """The phrases of pairs (source, target), and the model of their targets.

    steepness: how near the diagonal words are aligned; 0 for wherever they are.
    """
    pairs = [(tuple(source), tuple(target)) for source, target in pairs]
    counts = collections.Counter()
    for (source, target), links in zip(pairs, aligned(pairs, steepness), strict=True):
        counts.update(phrases(source, target, links))
    totals = [collections.Counter(), collections.Counter()]
    for phrase, count in counts.items():
        for side in (0, 1):
            totals[side][phrase[side]] += count
    table = collections.defaultdict(list)
    for (source, target), count in sorted(counts.items()):
        there, back = (
            math.log(count / totals[n][s]) for n, s in enumerate((source, target))
        )
        table[source].append((target, there, back))
    best = {
        s: sorted(each, key=lambda one: -one[1])[:OPTIONS] for s, each in table.items()
    }
    return PhraseTable(best, language([target for _, target in pairs]))


# ----------------------------------------------------------------------- which words


def aligned(
    pairs: Sequence[tuple[Sentence, Sentence]], steepness: float = STEEPNESS
) -> list[Links]:
    """Of each pair the words that are each other's translation."""
    there = _likeliest(pairs, steepness)
    turned = _likeliest([(target, source) for source, target in pairs], steepness)
    back = [{(j, i) for i, j in one} for one in turned]
    return [_grown(one, other) for one, other in zip(there, back, strict=True)]


def _likeliest(
    pairs: Sequence[tuple[Sentence, Sentence]], steepness: float
) -> list[Links]:
    """Of each word of a target the likeliest word of its source, if it has any."""
    source, target = (_numbered([pair[side] for pair in pairs]) for side in (0, 1))
    prior = _diagonal(source, target, steepness)
    words = source.max() + 1, target.max() + 1
    place = (
        source[:, None, :] * words[1] + target[:, :, None]
    )  # [pairs, target, source]
    chance = np.full(words[0] * words[1], 1.0 / words[1])
    for _ in range(ROUNDS):
        share = _shares(prior, chance[place])
        counts = np.bincount(place.ravel(), share.ravel(), len(chance))
        table = counts.reshape(words)
        chance = (table / np.maximum(table.sum(1, keepdims=True), 1e-30)).ravel()
    best = _shares(prior, chance[place]).argmax(axis=2)
    return [
        {
            (int(at) - 1, j)
            for j, at in enumerate(best[n, 1 : 1 + len(pair[1])])
            if at > 0
        }
        for n, pair in enumerate(pairs)
    ]


def _shares(prior: np.ndarray, chance: np.ndarray) -> np.ndarray:
    joint = prior * chance
    return joint / np.maximum(joint.sum(axis=2, keepdims=True), 1e-30)


def _numbered(sentences: Sequence[Sentence]) -> np.ndarray:
    """Numbers of words from 2 on [sentences, 1 + longest]; 0 fills up, 1 is no word."""
    known: dict[str, int] = {}
    rows = np.zeros((len(sentences), 1 + max(map(len, sentences))), np.int64)
    rows[:, 0] = 1
    for row, sentence in zip(rows, sentences, strict=True):
        row[1 : 1 + len(sentence)] = [
            known.setdefault(w, len(known) + 2) for w in sentence
        ]
    return rows


def _diagonal(source: np.ndarray, target: np.ndarray, steepness: float) -> np.ndarray:
    """Chances [pairs, target, source] of places alone; the first is that of no word.

    The place before the first word of the target has none.
    """
    lengths = [(side > 1).sum(axis=1)[:, None, None] for side in (source, target)]
    at_source = np.arange(source.shape[1])[None, None, :] / np.maximum(lengths[0], 1)
    at_target = np.arange(target.shape[1])[None, :, None] / np.maximum(lengths[1], 1)
    near = np.exp(-steepness * np.abs(at_source - at_target))
    near = near * (source > 1)[:, None, :] * (target > 1)[:, :, None]
    near *= (1 - NOWHERE) / np.maximum(near.sum(axis=2, keepdims=True), 1e-30)
    near[:, :, 0] = NOWHERE * (target > 1)
    return near


def _grown(there: Links, back: Links) -> Links:
    """What both directions say, and what one says beside it of words not linked yet."""
    links, every = there & back, there | back
    around = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
    found = True
    while found:
        found = False
        for (i, j), (di, dj) in itertools.product(sorted(links), around):
            new = (i + di, j + dj)
            if new in every and new not in links:
                sides = [{link[side] for link in links} for side in (0, 1)]
                if new[0] not in sides[0] or new[1] not in sides[1]:
                    links.add(new)
                    found = True
    return links


# --------------------------------------------------------------------- which phrases


def phrases(
    source: Sentence, target: Sentence, links: Links
) -> list[tuple[Sentence, Sentence]]:
    """All phrases whose words are linked to none outside, with words beside them that
    are linked to nothing; a single word that has no link may be nothing."""
    linked = {j for _, j in links}
    found: list[tuple[Sentence, Sentence]] = [
        ((w,), ()) for i, w in enumerate(source) if all(a != i for a, _ in links)
    ]
    for first in range(len(source)):
        for last in range(first, min(len(source), first + LONGEST)):
            inner = [j for i, j in links if first <= i <= last]
            if not inner:
                continue
            low, high = min(inner), max(inner)
            if any(low <= j <= high and not first <= i <= last for i, j in links):
                continue
            said = source[first : last + 1]
            while True:
                end = high
                while True:
                    found.append((said, target[low : end + 1]))
                    end += 1
                    if end in linked or end >= len(target):
                        break
                low -= 1
                if low in linked or low < 0:
                    break
    return found


def language(sentences: Iterable[Sentence]) -> Callable[[Sentence, str], float]:
    """log p(word | the two words before it), mixed of three, two and one of them."""
    counts = [collections.Counter() for _ in range(3)]
    before = [collections.Counter() for _ in range(3)]
    for sentence in sentences:
        whole = (*EDGE, *sentence, END)
        for place in range(2, len(whole)):
            for size in range(3):
                counts[size][whole[place - size : place + 1]] += 1
                before[size][whole[place - size : place]] += 1

    @functools.cache
    def following(last: Sentence, word: str) -> float:
        chance = FLOOR
        for size, share in zip((2, 1, 0), SHARES, strict=True):
            known = last[2 - size :]
            if before[size][known]:
                chance += share * counts[size][(*known, word)] / before[size][known]
        return math.log(chance)

    return following


# ------------------------------------------------------------------------ how it is said


def translate(table: PhraseTable, source: Sentence) -> Sentence:
    """The likeliest translation of a sentence; words never seen are left as they are."""
    weighing = table.weighing
    kept: list[dict] = [{} for _ in range(len(source) + 1)]
    kept[0][EDGE] = (0.0, ())
    for first in range(len(source)):
        best = sorted(kept[first].items(), key=lambda one: -one[1][0])[:BEAM]
        for last, options in _continuations(table, source, first):
            for target, own in options:
                for recent, (score, said) in best:
                    gain, end = _read(table, recent, target)
                    total = score + own + weighing.language * gain
                    if total > kept[last].get(end, (-math.inf,))[0]:
                        kept[last][end] = (total, (*said, *target))
    last = [
        (score + weighing.language * table.following(recent, END), said)
        for recent, (score, said) in kept[-1].items()
    ]
    return max(last)[1]


def _continuations(table: PhraseTable, source: Sentence, first: int):
    """(where it ends, [(target, log p)]) of all phrases that begin at a word."""
    weighing = table.weighing
    for last in range(first + 1, min(len(source), first + weighing.longest) + 1):
        said = source[first:last]
        options = table.phrases.get(said, ())
        if not options and len(said) == 1:
            options = ((said, 0.0, 0.0),)
        if options:
            yield (
                last,
                [(t, there + weighing.back * back) for t, there, back in options],
            )


def _read(
    table: PhraseTable, recent: Sentence, words: Sentence
) -> tuple[float, Sentence]:
    """(log p of words after the two last ones, the two last ones then)."""
    total = 0.0
    for word in words:
        total += table.following(recent, word)
        recent = (recent[1], word)
    return total, recent


def tuned(
    tables: Iterable[PhraseTable],
    pairs: Sequence[tuple[Sentence, Sentence]],
    grid: Sequence[Weighing],
) -> PhraseTable:
    """The table and the weighing of the grid that say most of the pairs exactly."""
    tried = [table._replace(weighing=each) for table in tables for each in grid]
    return max(tried, key=lambda one: exactly(one, pairs))


def exactly(table: PhraseTable, pairs: Sequence[tuple[Sentence, Sentence]]) -> float:
    """The share of pairs whose translation is said word for word."""
    return sum(translate(table, s) == t for s, t in pairs) / len(pairs)


def by_word(table: PhraseTable) -> PhraseTable:
    """The dictionary: of each word its likeliest translation, wherever it stands."""
    single = {s: best[:1] for s, best in table.phrases.items() if len(s) == 1}
    return PhraseTable(single, table.following, Weighing(0.0, 0.0, 1))
