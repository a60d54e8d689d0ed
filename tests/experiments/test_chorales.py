"""Pieces that were made, before the judge that knows Bach's chords."""

import numpy as np

from depthbench.experiments.sequences import chorales, chorales_judged
from depthbench.research.datasets import chorales as bach


def test_a_chord_is_the_same_in_every_key_and_octave():
    chord = np.array([[72, 67, 64, 48]])  # C major over C
    assert chorales_judged.chords(chord + 5) == chorales_judged.chords(chord)
    assert chorales_judged.chords(chord + [12, 0, 0, 0]) == chorales_judged.chords(
        chord
    )
    assert chorales_judged.chords(chord - [0, 0, 1, 0]) != chorales_judged.chords(chord)
    rests = np.array([[72, 67, bach.REST, 48], [72, 67, 48, 48]])
    assert len(set(chorales_judged.chords(rests).tolist())) == 2


def test_the_judge_knows_what_nets_learn_from_and_not_noise():
    learned = np.stack([notes[:16] for notes in bach.chorales("train")[:8]])
    assert chorales_judged.share(learned) == 1
    test = chorales_judged.begun()
    assert 0.9 < chorales_judged.share(test) < 1  # most of Bach's chords, and not all
    random = np.random.default_rng(0)
    noise = random.integers(bach.LOWEST, bach.HIGHEST, test.shape)
    assert chorales_judged.share(noise) < 0.7


def test_counts_write_more_of_bachs_chords_than_chance():
    """And the same ones again; what is given is not judged."""
    found = chorales.judged(4, 8)
    assert found["chords_bach"] > found["chords_counts"] > 0.5
    assert len(found["judge"]) == 16


def test_counts_have_seen_windows_begin_anywhere():
    """As nets have: else a chord with nothing before it begins a chorale."""
    order, model = chorales.counted(4)["best"]
    windows = chorales.windows(4)["test"][:, : bach.VOICES]
    # From the beginnings of chorales alone it is over 2.2 nats.
    assert model.nats(*chorales.contexts(windows, order)) < 2.1
