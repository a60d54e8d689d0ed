"""Chorales: what is in the file, as tokens and back."""

import numpy as np
import pytest

from depthbench.research.datasets import chorales, chorales_made


def test_voices_lie_as_voices_do():
    """229, 76 and 77 chorales; a bass is below its soprano, and few voices are silent."""
    counts = {part: len(chorales.chorales(part)) for part in chorales.PARTS}
    assert counts == {"train": 229, "valid": 76, "test": 77}
    every = np.concatenate([c for p in chorales.PARTS for c in chorales.chorales(p)])
    sung = every[every != chorales.REST]
    assert sung.min() == chorales.LOWEST and sung.max() == chorales.HIGHEST
    means = [line[line > 0].mean() for line in every.T]
    assert means == sorted(means, reverse=True)
    assert np.mean(every == chorales.REST) < 0.01


def test_no_chorale_is_in_two_parts():
    marks = {
        part: {c[:16].tobytes() for c in chorales.chorales(part)}
        for part in chorales.PARTS
    }
    # Bach set some melodies twice, but not the same four voices.
    assert not marks["train"] & marks["test"] and not marks["train"] & marks["valid"]


def test_tokens_come_back_as_notes():
    notes = chorales.chorales("test")[0]
    assert np.array_equal(chorales.notes(chorales.tokens(notes)), notes)
    assert chorales.tokens(notes).max() < chorales.TOKENS


def test_windows_are_pieces_of_one_chorale():
    made = chorales.windows("test", 16)
    first = chorales.tokens(chorales.chorales("test")[0]).reshape(-1)
    assert np.array_equal(made.tokens[:2].reshape(-1), first[:128])
    assert made.first.sum() == 77
    more = chorales.windows("test", 16, 4)
    assert len(more.tokens) > 3 * len(made.tokens)


def test_another_file_is_not_opened(tmp_path):
    other = tmp_path / "other.npz"
    other.write_bytes(b"a pickle of a stranger")
    with pytest.raises(SystemExit, match="not the file that is meant"):
        chorales_made.main(str(other))
