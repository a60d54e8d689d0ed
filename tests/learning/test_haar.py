"""Haar features against sums over pixels."""

import numpy as np
import pytest

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.learning import haar

pytest.importorskip("skimage", reason="scikit-image makes the features' coordinates")
X = np.random.RandomState(0).normal(size=(5, 8, 8)).astype(np.float32)


def test_features_are_differences_of_sums_over_their_rectangles():
    every = haar.features(8, 10_000)
    wanted = [
        sum(s * X[:, t:b, left:r].sum(axis=(1, 2)) for s, t, left, b, r in rectangles)
        for rectangles in every.rectangles
    ]
    found = every.values(haar.integrals(X))
    # Sums of 64 numbers of size 1 in float32, each rounded at 1e-7 of up to 20.
    np.testing.assert_allclose(found.T, wanted, atol=2e-5)


def test_all_kinds_are_there_and_each_reads_as_many_numbers_as_it_has_corners():
    every = haar.features(8, 10_000)
    counts = {len(rectangles) for rectangles in every.rectangles}
    assert counts == {2, 3, 4}
    by_kind = dict(zip(map(len, every.rectangles), every.reads, strict=True))
    # Viola & Jones 2001, section 2.1: six, eight and nine references.
    assert by_kind == {2: 6, 3: 8, 4: 9}


def test_some_features_are_the_same_ones_in_another_order():
    every = haar.features(8, 50)
    some = every.some(np.array([7, 3]))
    assert some.rectangles == (every.rectangles[7], every.rectangles[3])
    values = every.values(haar.integrals(X))[:, [7, 3]]
    # A product of another shape is another order of sums; the tolerance is as above.
    np.testing.assert_allclose(some.values(haar.integrals(X)), values, atol=2e-5)


def test_a_window_too_small_is_refused():
    with pytest.raises(DataError, match="3 pixels; must be 4 or more"):
        haar.features(3, 10)
