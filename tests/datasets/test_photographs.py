"""Photographs' patches: parts lie apart, and the same pixels come in each process."""

import itertools

import numpy as np
import pytest

from depthbench.research.catalogues import packages
from depthbench.research.datasets import DataError, photographs

pytest.importorskip("skimage", reason="scikit-image, of the extra `systems`")


def test_parts_are_strips_of_a_photograph_with_a_gap_between():
    """Patches of a part, put in a blank photograph, stay within its columns."""
    whole = photographs.photograph("china", 2)
    width = whole.shape[1]
    ends = [(round(a * width), round(b * width)) for a, b in photographs.PARTS.values()]
    assert all(one[1] + 15 < other[0] for one, other in itertools.pairwise(ends))
    cut = photographs.patches(16, 2, 16)
    left, right = ends[2]
    first = cut.test.x[cut.test.photograph == 0][0]
    np.testing.assert_array_equal(first, whole[:16, left : left + 16])
    assert left + 16 <= right


def test_no_patch_of_an_unseen_photograph_is_learned_from():
    cut = photographs.patches(16, 2, 8)
    assert set(photographs.UNSEEN).isdisjoint(photographs.KNOWN)
    assert {len(photographs.KNOWN), len(photographs.UNSEEN)} == {
        cut.train.photograph.max() + 1,
        cut.unseen.photograph.max() + 1,
    }
    known = {patch.tobytes() for patch in cut.train.x}
    assert not known & {patch.tobytes() for patch in cut.unseen.x}


def test_a_smaller_photograph_has_means_of_blocks():
    whole, half = (photographs.photograph("rocket", n).astype(float) for n in (1, 2))
    np.testing.assert_allclose(half[3, 5], whole[6:8, 10:12].mean((0, 1)), atol=0.5)


def test_a_patch_that_does_not_fit_is_one_line():
    with pytest.raises(DataError, match=r"patches of 128 pixels: a part of china has"):
        photographs.patches(128, 2)


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda module: None)
    photographs.photograph.cache_clear()
    with pytest.raises(DataError, match=r"coffee: needs skimage.*pip install"):
        photographs.photograph("coffee")
