"""Histograms of gradients, as they are asked for here."""

import numpy as np
import pytest

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.learning import hog

pytest.importorskip("skimage", reason="scikit-image makes the histograms")


def test_an_edge_votes_for_its_own_orientation_alone():
    x = np.zeros((2, 8, 8))
    x[0, :, 4:], x[1, 4:] = 1.0, 1.0  # upright, and lying
    upright, lying = hog.features(x, 4).reshape(2, 4, hog.ORIENTATIONS)
    for histogram, other in ((upright, lying), (lying, upright)):
        place = np.argmax(histogram.sum(axis=0))
        assert np.delete(histogram, place, axis=1).max() == 0
        assert other[:, place].max() == 0


def test_brightness_and_contrast_hardly_count():
    x = np.random.RandomState(0).normal(size=(3, 12, 12))
    # The norm of a block has a constant of 1e-5 added, beside sums of about 10.
    np.testing.assert_allclose(
        hog.features(x, 4), hog.features(5 * x + 2, 4), atol=1e-4
    )


def test_colours_are_read_as_their_mean():
    x = np.random.RandomState(0).normal(size=(2, 8, 8, 3))
    np.testing.assert_array_equal(hog.features(x, 4), hog.features(x.mean(axis=-1), 4))


def test_an_image_without_a_block_is_refused():
    with pytest.raises(DataError, match=r"images are \[6, 6\], and have no block"):
        hog.features(np.zeros((1, 6, 6)), 4)
