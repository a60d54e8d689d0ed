"""What a fixed judge says of pieces that were made: how many of their chords Bach wrote.

A chord is what three voices are above the bass, in semitones within an octave, so that it
is the same in every key. The judge knows those of the chorales that nets learn from; what
it says of the test's own chorales is as much as a piece can be expected to have.
"""

import hashlib

from depthbench.experiments.once import once
from depthbench.research.datasets import chorales
from depthbench.research.lazy import lazily

with lazily():
    import numpy as np

    from depthbench.research.learning import music

SILENT, STEPS = 12, 13  # of a voice that rests; values of a voice
PIECES, LONG = 24, 24  # that are judged, and their eighths


def chords(notes):
    """Each eighth's chord as a whole number. notes: [..., voices], of MIDI."""
    notes = np.asarray(notes)
    upper, bass = notes[..., :-1], notes[..., -1:]
    rests = (upper == chorales.REST) | (bass == chorales.REST)
    above = np.where(rests, SILENT, (upper - bass) % 12)
    return above @ STEPS ** np.arange(above.shape[-1])


@once
def known():
    """(the chords of the chorales to learn from, sorted; their SHA-256)."""
    each = [chords(notes) for notes in chorales.chorales("train")]
    found = np.unique(np.concatenate(each)).astype(np.int64)
    return found, hashlib.sha256(found.tobytes()).hexdigest()[:16]


def share(notes):
    """The share of chords that are known. notes: [pieces, eighths, voices]."""
    return float(np.mean(np.isin(chords(notes), known()[0])))


@once
def begun():
    """The first eighths of chorales of the test, as long as judged pieces [pieces, …]."""
    long = [notes[:LONG] for notes in chorales.chorales("test") if len(notes) >= LONG]
    return np.stack(long[:PIECES])


def judged(tokens, given):
    """The share of known chords after the first `given` eighths of pieces of tokens."""
    pieces = np.asarray(tokens).reshape(-1, LONG, chorales.VOICES)
    return share([chorales.notes(piece)[given:] for piece in pieces])


def by_net(run, given):
    """The share of known chords in what a net writes after Bach's first notes."""
    bach = begun()[:, :given]
    start = np.stack([chorales.tokens(notes).reshape(-1) for notes in bach])
    return judged(music.sampled(run, start, LONG, seed=0), given)
