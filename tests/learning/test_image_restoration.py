"""Simple restorers: against closed forms and scikit-learn."""

import numpy as np
from sklearn import linear_model

from depthbench.research.learning import image_restoration
from depthbench.research.learning.image_restoration import Pairs

RANDOM = np.random.RandomState(0)


def test_ridge_is_scikit_learns_in_both_of_its_forms():
    """More examples than inputs, and fewer; equal but for rounding of 1e-8 or so."""
    for examples in (60, 12):
        x, y = RANDOM.normal(size=(examples, 20)), RANDOM.normal(size=(examples, 3))
        one = image_restoration.Ridge(x, y)
        other = linear_model.Ridge(alpha=0.1 * one.unit).fit(x, y)
        new = RANDOM.normal(size=(7, 20))
        found = one.mapped(new, one.map(0.1))
        np.testing.assert_allclose(found, other.predict(new), rtol=1e-6, atol=1e-8)


def test_a_window_is_what_is_around_a_pixel():
    x = RANDOM.rand(2, 6, 6, 3)
    cut = image_restoration.windows(x, 3)
    np.testing.assert_array_equal(cut[1, 2, 4], x[1, 1:4, 3:6].ravel())
    np.testing.assert_array_equal(cut[0, 0, 0][:3], x[0, 0, 0])  # mirrored


def test_a_filter_is_found_where_there_is_one():
    """Asked for is a blur, of which a window of 3 has all that is needed."""
    x = RANDOM.rand(60, 8, 8, 1)
    blur = image_restoration.windows(x, 3).mean(axis=-1, keepdims=True)
    train, held = Pairs(x[:40], blur[:40]), Pairs(x[40:], blur[40:])
    found = image_restoration.filtered(train, held)
    assert found.error < 1e-3 * np.mean(held.wanting**2)
    np.testing.assert_allclose(found.restore(held.given), held.asked, atol=0.01)
    assert found.error < image_restoration.linear(train, held).error


def test_the_nearest_patch_gives_what_it_needed():
    given = RANDOM.rand(30, 4, 4, 1)
    pairs = Pairs(given, given + RANDOM.rand(30, 1, 1, 1))
    found = image_restoration.nearest(pairs, pairs)
    assert found.setting == {"neighbours": 1}
    assert found.error == 0
