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
