"""Windows of photographs: none holds a face, and no photograph is in two parts."""

import numpy as np
import pytest

from depthbench.research.datasets import face_windows

pytest.importorskip("skimage", reason="scikit-image has the faces and photographs")


def test_no_photograph_is_in_two_parts():
    names = [name for part in face_windows.PHOTOGRAPHS.values() for name in part]
    assert len(names) == len(set(names))


def test_a_scan_is_of_windows_where_their_boxes_say():
    x, boxes = face_windows.scan("chelsea", stride=25, heights=(75,))
    whole = face_windows.photograph("chelsea")
    scale = 75 / len(whole)
    assert len(x) == len(boxes) and x.shape[1:] == (25, 25)
    left, top, side = np.round(boxes[4]).astype(int)
    assert side == round(25 / scale)
    mean = whole[top : top + side, left : left + side].mean()
    # Shrinking blurs over the border of the box.
    np.testing.assert_allclose(x[4].mean(), mean, atol=0.03)


def test_the_share_of_a_box_within_another():
    boxes = np.array([[0, 0, 10], [5, 5, 10], [20, 0, 10]])
    assert face_windows.shared(boxes, (0, 0, 10, 10)).tolist() == [1.0, 0.25, 0.0]


def test_windows_on_the_astronauts_face_are_left_out(monkeypatch):
    """Were none left out, some drawn from that photograph alone would touch it."""
    parts = {"test": ("astronaut",)}
    monkeypatch.setattr(face_windows, "PHOTOGRAPHS", parts)
    every = face_windows.negatives.__wrapped__("test", 10**6)
    whole, boxes = face_windows.scan("astronaut")
    top, bottom, left, right = (512 * edge for edge in face_windows.FACE)
    clear = face_windows.shared(boxes, (left, top, right, bottom)) == 0
    assert len(every) == np.sum(clear) < len(whole)
    assert (
        face_windows.shared(np.array([[190, 70, 100]]), (left, top, right, bottom))
        > 0.9
    )


def test_normal_windows_have_mean_0_and_deviation_1_but_where_there_is_nothing():
    x = np.stack([np.random.RandomState(0).random((25, 25)), np.full((25, 25), 0.3)])
    normal = face_windows.normal(x)
    np.testing.assert_allclose(normal[0].std(), 1, rtol=1e-5)  # float32
    assert np.abs(normal[1]).max() < 1e-5
