"""Scenes with a sentence each: "red circle top left".

A sentence names the object of a scene among strokes: its colour, its shape and the
quarter that its middle is in.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from depthbench.research.datasets.scenes import COLOURS, SHAPES, scenes

STROKES = 3  # of the objects' colours, which no sentence names
END, START = 0, 1
WORDS = ("<end>", "<start>", *COLOURS, *SHAPES, "top", "bottom", "left", "right")
LENGTH = 5  # words of a sentence, with its end
ASPECTS = {"colour": slice(0, 1), "shape": slice(1, 2), "place": slice(2, 4)}


class Captioned(NamedTuple):
    """x: scenes [scenes, side, side, 3] float32. colour, shape: numbers in COLOURS and
    SHAPES [scenes]. quarter: 0 to 3, row by row [scenes]. words: of the sentence, numbers
    of WORDS [scenes, LENGTH]."""

    x: np.ndarray
    colour: np.ndarray
    shape: np.ndarray
    quarter: np.ndarray
    words: np.ndarray


def captioned(
    count: int, seed: int, side: int = 16, strokes: int = STROKES
) -> Captioned:
    """So many scenes of one object among strokes, with their sentences.

    >>> made = captioned(2, seed=3)
    >>> made.x.shape, sentence(made.words[0]).split()[0] in COLOURS
    ((2, 16, 16, 3), True)
    """
    drawn = scenes(count, seed, side, most=1, sizes=(5, 7), clutter=strokes)
    middles = (drawn.boxes[:, 0, :2] + drawn.boxes[:, 0, 2:]) / side
    quarter = (middles[:, 1] >= 1) * 2 + (middles[:, 0] >= 1)
    kinds = drawn.colour[:, 0], drawn.shape[:, 0], quarter
    return Captioned(drawn.x, *kinds, written(*kinds))


def written(colour: np.ndarray, shape: np.ndarray, quarter: np.ndarray) -> np.ndarray:
    """The sentences of objects, as of Captioned [scenes, LENGTH].

    >>> sentence(written(np.array([0]), np.array([1]), np.array([1]))[0])
    'red square top right'
    """
    first = 2 + len(COLOURS)
    place = first + len(SHAPES)
    down, across = np.divmod(quarter, 2)
    said = 2 + colour, first + shape, place + down, place + 2 + across
    return np.stack([*said, np.full_like(colour, END)], axis=1).astype(np.int32)


def alike(
    known: np.ndarray, asked: np.ndarray, random: np.random.RandomState
) -> np.ndarray:
    """Of each sentence asked [sentences, LENGTH] the number of a known one that has most
    of its words, one drawn of those that are as near.

    >>> known = written(*np.array([[0, 1, 1], [0, 0, 0], [3, 3, 2]]))
    >>> alike(known, known[:1], np.random.RandomState(0)).tolist()
    [0]
    """
    kinds, place = np.unique(asked, axis=0, return_inverse=True)
    found = np.empty(len(asked), int)
    for number, words in enumerate(kinds):
        same = np.sum(known == words, axis=1)
        own = place.reshape(-1) == number
        found[own] = random.choice(np.flatnonzero(same == same.max()), own.sum())
    return found


def shares(said: np.ndarray, part: Captioned) -> dict[str, float]:
    """By each of ASPECTS the share of sentences [scenes, LENGTH] that have it right."""
    same = said == part.words
    return {
        name: float(np.mean(np.all(same[:, own], axis=1)))
        for name, own in ASPECTS.items()
    }


def right(said: np.ndarray, part: Captioned) -> float:
    """The share of sentences [scenes, LENGTH] that are right word for word."""
    return float(np.mean(np.all(said == part.words, axis=1)))


def sentence(words: Sequence[int]) -> str:
    """The words before the end, as text."""
    said = [int(word) for word in words]
    said = said[: said.index(END)] if END in said else said
    return " ".join(WORDS[word] for word in said)
