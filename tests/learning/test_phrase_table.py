"""Translation by counts: alignments, phrases and search by hand."""

import math

import pytest

from depthbench.research.learning import phrase_table
from depthbench.research.learning.phrase_table import Weighing

PAIRS = [
    (("a", "house"), ("une", "maison")),
    (("a", "car"), ("une", "voiture")),
    (("a", "red", "house"), ("une", "maison", "rouge")),
    (("a", "red", "car"), ("une", "voiture", "rouge")),
    (("house",), ("maison",)),
]


def test_words_are_aligned_with_those_that_come_with_them():
    links = phrase_table.aligned(PAIRS, steepness=0.0)
    assert links[0] == {(0, 0), (1, 1)} and links[4] == {(0, 0)}
    assert links[2] == {(0, 0), (1, 2), (2, 1)}  # the adjective changes places


def test_phrases_are_those_that_no_link_leaves():
    source, target = PAIRS[2]
    found = set(phrase_table.phrases(source, target, {(0, 0), (1, 2), (2, 1)}))
    assert found == {
        (("a",), ("une",)),
        (("red",), ("rouge",)),
        (("house",), ("maison",)),
        (("red", "house"), ("maison", "rouge")),
        (("a", "red", "house"), ("une", "maison", "rouge")),
    }
    # A word without a link may be nothing, or be said with its neighbour.
    free = set(phrase_table.phrases(("one", "thousand"), ("mille",), {(1, 0)}))
    assert free == {
        (("one",), ()),
        (("thousand",), ("mille",)),
        (("one", "thousand"), ("mille",)),
    }


def test_a_phrase_changes_places_and_a_dictionary_cannot():
    table = phrase_table.fitted(PAIRS, steepness=0.0)
    asked = ("a", "red", "house")
    assert phrase_table.translate(table, asked) == ("une", "maison", "rouge")
    words = phrase_table.by_word(table)
    assert phrase_table.translate(words, asked) == ("une", "rouge", "maison")
    assert phrase_table.translate(table, ("a", "boat")) == ("une", "boat")
    tuned = phrase_table.tuned([table], PAIRS, [Weighing(0.0, 0.0, 1), Weighing()])
    assert tuned.weighing == Weighing() and phrase_table.exactly(tuned, PAIRS) == 1


def test_the_language_model_is_a_mixture_of_shares():
    following = phrase_table.language([("b",), ("b", "c")])
    two, one, none = phrase_table.SHARES
    expected = two * 1.0 + one * 1.0 + none * 2 / 5 + phrase_table.FLOOR
    assert following(phrase_table.EDGE, "b") == pytest.approx(math.log(expected))
    assert following(("x", "y"), "zzz") == pytest.approx(math.log(phrase_table.FLOOR))
