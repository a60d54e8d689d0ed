"""Bach's chorales as notes of four voices, in chorales.npz beside this file.

382 chorales in the split of Boulanger-Lewandowski, Bengio & Vincent 2012 (arXiv:1206.6392):
229 to train on, 76 to choose by, 77 to test. A step is a sixteenth; which of soprano,
alto, tenor and bass are struck again and which are held is not told. Bach's notes are in
the public domain; the file is made of nothing else, by chorales_made.py, from
Jsb16thSeparated.npz of https://github.com/czhuang/JSB-Chorales-dataset.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np

VOICES = 4  # soprano, alto, tenor, bass, in this order
REST, LOWEST, HIGHEST = 0, 36, 81  # a silent voice; MIDI numbers of C2 and A5
START = 0  # the token before the first
TOKENS = HIGHEST - LOWEST + 3  # the start, silence, and each pitch
PARTS = ("train", "valid", "test")
SIXTEENTHS = 2  # of a step here: an eighth


class Excerpts(NamedTuple):
    """Pieces of chorales as sequences of tokens, chord by chord from soprano to bass.

    tokens: [windows, time] int32, of notes alone. first: whether a window begins its
    chorale [windows].
    """

    tokens: np.ndarray
    first: np.ndarray


@functools.cache
def chorales(part: str) -> tuple[np.ndarray, ...]:
    """MIDI numbers of each chorale of a part [eighths, voices] int8; REST is silence.

    >>> [len(chorales(part)) for part in PARTS]
    [229, 76, 77]
    """
    with np.load(Path(__file__).with_name("chorales.npz")) as held:
        steps, lengths, parts = (held[n] for n in ("steps", "lengths", "parts"))
    notes = np.cumsum(steps, axis=0, dtype=np.int8)
    each = np.split(notes, np.cumsum(lengths)[:-1])
    chosen = np.flatnonzero(parts == PARTS.index(part))
    return tuple(each[n][::SIXTEENTHS] for n in chosen)


def tokens(notes: np.ndarray) -> np.ndarray:
    """Tokens of MIDI numbers, of any shape: 1 for silence, 2 for the lowest pitch.

    >>> tokens(np.array([REST, LOWEST, HIGHEST])).tolist(), TOKENS
    ([1, 2, 47], 48)
    """
    return np.where(notes == REST, 1, notes.astype(np.int32) - LOWEST + 2)


def notes(tokens: np.ndarray) -> np.ndarray:
    """MIDI numbers of tokens, of any shape; REST where it is no pitch."""
    return np.where(tokens < 2, REST, np.asarray(tokens) + LOWEST - 2)


def windows(part: str, eighths: int, step: int | None = None) -> Excerpts:
    """Windows of so many eighths, without those that would end after their chorale.

    step: eighths from one window's start to the next's; windows do not overlap unless it
    is smaller.

    >>> windows("valid", 16).tokens.shape[1]
    64
    """
    step = step or eighths
    made, first = [], []
    for notes in chorales(part):
        whole = tokens(notes).reshape(-1)
        for start in range(0, len(notes) - eighths + 1, step):
            made.append(whole[VOICES * start : VOICES * (start + eighths)])
            first.append(start == 0)
    return Excerpts(np.stack(made).astype(np.int32), np.array(first))
