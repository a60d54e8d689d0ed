"""Sentences say what is drawn, where a mask has it."""

import numpy as np
import pytest

from depthbench.research.datasets import captions, scenes


def test_sentences_say_what_the_generator_drew():
    made = captions.captioned(40, seed=5)
    drawn = scenes.scenes(40, 5, 16, most=1, sizes=(5, 7), clutter=captions.STROKES)
    np.testing.assert_array_equal(made.x, drawn.x)
    for n in range(40):
        rows, columns = np.nonzero(drawn.mask[n])  # where the object's pixels are
        down, across = (a.min() + a.max() + 1 >= 16 for a in (rows, columns))
        assert captions.sentence(made.words[n]) == " ".join(
            [
                scenes.COLOURS[drawn.colour[n, 0]],
                scenes.SHAPES[drawn.mask[n].max() - 1],
                "bottom" if down else "top",
                "right" if across else "left",
            ]
        )
    assert len(set(made.quarter)) == 4


def test_one_wrong_word_is_of_its_aspect_and_makes_a_sentence_wrong():
    made = captions.captioned(4, seed=1)
    said = made.words.copy()
    said[0, 3] = captions.WORDS.index("top")  # a place has two words
    assert captions.shares(said, made) == {"colour": 1, "shape": 1, "place": 0.75}
    assert captions.right(said, made) == pytest.approx(0.75)
    assert captions.right(made.words, made) == 1


def test_a_sentence_finds_those_that_are_the_same_or_have_most_of_its_words():
    random = np.random.RandomState(0)
    known = captions.written(*np.array([[0, 1, 1, 2], [0, 2, 2, 1], [0, 3, 3, 0]]))
    found = captions.alike(known, np.repeat(known[1:2], 40, axis=0), random)
    assert set(found) == {1, 2}  # the same sentence twice
    asked = captions.written(*np.array([[2], [1], [2]]))  # a place that no scene has
    assert captions.alike(known, asked, random).tolist() == [3]


def test_scenes_without_strokes_are_the_generators_without_clutter():
    made = captions.captioned(20, seed=3, strokes=0)
    drawn = scenes.scenes(20, 3, 16, most=1, sizes=(5, 7), clutter=0)
    np.testing.assert_array_equal(made.x, drawn.x)
    np.testing.assert_array_equal(made.shape, drawn.shape[:, 0])
