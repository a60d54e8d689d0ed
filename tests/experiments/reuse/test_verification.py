"""Which pairs are asked, which drawings are of a font never seen, and the hardest pairs."""

import numpy as np
import pytest

from depthbench.experiments.reuse import verification
from depthbench.research.datasets import glyphs


def test_pairs_are_half_of_one_letter_and_never_of_one_drawing():
    which, drawn, same = verification.asked(9, seen=4, seed=0)
    assert same.sum() == verification.PAIRS and len(same) == 2 * verification.PAIRS
    np.testing.assert_array_equal(which[:, 0] == which[:, 1], same)
    assert (drawn[:, 0] != drawn[:, 1]).all() and drawn.max() == 3


def test_the_second_of_an_unseen_font_is_of_one():
    _, drawn, _ = verification.asked(9, seen=4, seed=0, others=3)
    assert drawn[:, 0].max() == 3
    assert set(drawn[:, 1]) == {4, 5, 6}


def test_serifs_lie_last(monkeypatch):
    """Where a drawing is of its font's number, in any order."""
    font = np.stack([np.random.RandomState(n).permutation(12) for n in range(3)])
    font = np.concatenate([font, font], axis=1)
    x = font[..., None, None, None].astype(np.uint8)
    monkeypatch.setattr(verification.letters, "drawn", lambda drawings: (x, font))
    shown = verification.drawings()[..., 0, 0, 0]
    serif = np.array(["Serif" in name for name in glyphs.FONTS])[shown]
    assert not serif[:, : verification.SEEN].any()
    assert serif[:, verification.SEEN :].all()


def test_the_error_is_0_where_letters_are_apart_and_a_half_by_chance():
    pairs = verification.asked(50, seen=4, seed=0)
    apart = np.arange(50.0)[:, None, None] + np.zeros((50, 4, 1))
    assert verification.error(apart, pairs) == 0
    chance = np.random.RandomState(0).normal(size=(50, 4, 8))
    # 4,000 pairs of 200 drawings: a standard error of some 0.02.
    assert verification.error(chance, pairs) == pytest.approx(0.5, abs=0.08)


def test_hardest_pairs_share_no_letter():
    which = np.array([[0, 1], [1, 2], [3, 3], [0, 4], [5, 6]])
    assert verification._once(np.arange(5), which) == [0, 2, 4]
