"""Forward models of photographs, and what is made without a net."""

import numpy as np
import pytest

from depthbench.experiments.generation import translations

pytest.importorskip("skimage", reason="scikit-image, of the extra `systems`")

X = np.random.RandomState(0).randint(0, 256, (6, 16, 16, 3)).astype(np.uint8)


def part(name, x=X):
    return translations.part_of(name, x, np.zeros(len(x), np.int32))


def test_grey_has_the_luminance_of_the_colours():
    given, asked = ((a + 1) / 2 for a in part("colour")[:2])
    luminance = asked @ np.array(translations.LUMA)
    np.testing.assert_allclose(given, luminance[..., None].repeat(3, -1), atol=1e-5)


def test_a_plane_is_enlarged_exactly_away_from_its_border():
    """Bicubic interpolation has no error on straight lines; float32 elsewhere."""
    ramp = np.arange(32) * 8.0 - 0.5 * 31 * 8 / 31
    plane = np.broadcast_to(ramp[None, :, None, None], (1, 32, 32, 3))
    rise = translations.bicubic(8, 32)
    small = ramp.reshape(8, 4).mean(axis=1)
    np.testing.assert_allclose((rise @ small)[8:-8], plane[0, 8:-8, 0, 0], atol=1e-3)
    np.testing.assert_allclose(rise.sum(axis=1), 1.0, atol=1e-5)


def test_a_hole_is_filled_and_nothing_else_is_touched():
    """Biharmonic filling continues a plane; its solver is exact to 1e-4 or so."""
    rows, columns = np.mgrid[:16, :16]
    plane = (4 * rows + 6 * columns)[None, ..., None].repeat(3, -1).astype(np.uint8)
    held = part("fill", plane)
    restore = translations._masked(translations.OF["fill"].without(None, None))
    made = restore(held)
    np.testing.assert_allclose(made, held.asked, atol=0.02)
    known = ~translations.hole(16)
    np.testing.assert_array_equal(made[:, known], held.given[:, known])
    assert held.psnr(held.given) < held.psnr(made)


def test_the_night_without_noise_is_undone_by_its_inverse(monkeypatch):
    """And a total variation of next to nothing; dark values are clipped at 0."""
    monkeypatch.setattr(translations, "GRAIN", 0.0)
    monkeypatch.setattr(translations, "WEIGHTS", (1e-6,))
    held = part("day")
    restore = translations.OF["day"].without(None, held)
    np.testing.assert_allclose(restore(held.given), held.asked, atol=2e-3)


def test_psnr_is_that_of_the_pixels_that_are_asked_for():
    held = part("fill")
    wrong = held.asked + 0.2 * held.mask + 5 * (1 - held.mask)
    inside = np.clip(wrong, -1, 1)[:, translations.hole(16)]
    error = np.mean((inside - held.asked[:, translations.hole(16)]) ** 2)
    expected = 10 * np.log10(4 / error)  # of means in float32
    assert held.psnr(wrong) == pytest.approx(expected, abs=1e-4)


def test_shown_regions_are_put_together_again():
    held, tiled = translations.shown("colour", 16, 2)
    again = tiled(held.asked)
    whole = translations.photographs.photograph("chelsea", 2)
    top = (whole.shape[0] - 48) // 2
    np.testing.assert_array_equal(again[3], whole[top : top + 48, -32:])
