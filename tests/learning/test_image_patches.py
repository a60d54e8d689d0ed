"""k-means of patches against definitions written out."""

import numpy as np
import pytest

from depthbench.research.datasets import DataError
from depthbench.research.learning import image_patches


def images(count=12, side=6, channels=2):
    return np.random.RandomState(0).normal(size=(count, side, side, channels))


def test_patches_are_the_windows_of_an_image():
    x = images()
    cut = image_patches.cut_out(x, 3)
    assert cut.shape == (12, 4, 4, 18)
    np.testing.assert_array_equal(cut[5, 1, 2], x[5, 1:4, 2:5].ravel())


def test_triangle_is_how_much_nearer_than_the_average():
    random = np.random.RandomState(0)
    each, centroids = random.normal(size=(7, 5)), random.normal(size=(4, 5))
    got = image_patches.triangle(each, centroids)
    for one, values in zip(each, got, strict=True):
        apart = [np.linalg.norm(one - centroid) for centroid in centroids]
        wanted = [max(0.0, np.mean(apart) - distance) for distance in apart]
        # Squares are expanded there: some 1e-15 of squares near 10, under a root.
        np.testing.assert_allclose(values, wanted, atol=1e-7)


def test_whitened_patches_are_uncorrelated():
    each = np.random.RandomState(0).normal(size=(500, 6)) @ np.diag([9, 5, 3, 1, 1, 1])
    mean, whitening = image_patches.whitener(each)
    covariance = np.cov((each - mean) @ whitening, rowvar=False, bias=True)
    own = np.linalg.eigvalsh(np.cov(each, rowvar=False, bias=True))
    wanted = np.sort(own / (own + image_patches.SMALL))
    np.testing.assert_allclose(np.linalg.eigvalsh(covariance), wanted, rtol=1e-9)


def test_features_are_sums_over_four_quarters():
    x = images(channels=1)
    learned = image_patches.learn(x, side=3, count=5)
    got = learned.features(x)
    cut = image_patches.cut_out(x, 3)[3].reshape(4, 4, 9)
    each = image_patches.contrast(cut.reshape(16, 9)) - learned.mean
    near = image_patches.triangle(each @ learned.whitening, learned.centroids)
    near = near.reshape(4, 4, 5)
    quarters = [near[:2, :2], near[:2, 2:], near[2:, :2], near[2:, 2:]]
    wanted = np.concatenate([quarter.sum(axis=(0, 1)) for quarter in quarters])
    np.testing.assert_allclose(got[3], wanted, rtol=1e-5)  # float32


def test_patches_must_fit_and_be_enough():
    with pytest.raises(DataError, match="do not fit"):
        image_patches.learn(images(), side=6, count=2)
    with pytest.raises(DataError, match="must be fewer"):
        image_patches.learn(images(count=1), side=5, count=50)
