"""Blobs of colours: what is one, and what a machine makes of their forms."""

import numpy as np
import pytest

from depthbench.research.datasets.scenes import RGB, scenes
from depthbench.research.learning import blobs, detections, overlaps

GROUND = 0.4


def drawn(*rectangles):
    """A scene [12, 12, 3] with rectangles of rows and columns, of the first colour."""
    image = np.full((12, 12, 3), GROUND)
    for rows, columns in rectangles:
        image[rows, columns] = RGB[0]
    return image


def test_a_stroke_is_taken_off_a_shape_and_what_it_hides_is_not():
    """A square of 6, and from it a stroke of one pixel's width, of the same colour."""
    shape, stroke = (slice(1, 7), slice(1, 7)), (slice(3, 4), slice(7, 12))
    (alone,) = blobs.of_scene(drawn(shape), RGB, 0.0, 4, opened=2)
    (whole,) = blobs.of_scene(drawn(shape, stroke), RGB, 0.0, 4)
    (opened,) = blobs.of_scene(drawn(shape, stroke), RGB, 0.0, 4, opened=2)
    assert alone.inside.sum() == 36 and whole.inside.sum() == 41
    # The stroke's first pixel is next to the square, and is of its blob.
    assert opened.inside.sum() == 37 and opened.box[0] == slice(1, 7)


def test_a_scene_without_a_blob_is_read_as_ground():
    reader = blobs.BlobReader(None, RGB, 0.0, 2, 4)
    read = reader.read(drawn()[None])
    assert not read.mask((1, 12, 12)).any() and len(read.boxes().scene) == 0


def test_forms_do_not_depend_on_size_but_for_their_sides():
    small, large = (
        blobs.of_scene(drawn((slice(1, n), slice(1, n))), RGB, 0.0, 4)[0]
        for n in (6, 9)
    )
    one, other = blobs.form(small), blobs.form(large)
    np.testing.assert_allclose(one[:-2], other[:-2], atol=1e-12)
    assert one[-1] == pytest.approx(5 / 8) and other[-1] == 1.0


@pytest.fixture(scope="module")
def read():
    """What a reader of 200 scenes says of 60 others; it is chosen on 40 more."""
    parts = [
        scenes(n, s, clutter=6, sizes=(6, 10)) for s, n in enumerate((200, 40, 60))
    ]
    train, valid, test = parts
    reader = blobs.fit(
        *(train.x, train.mask, valid.x),
        lambda one: overlaps.mean_of_masks(one.mask(valid.mask.shape), valid.mask, 4),
        RGB,
        4,
    )
    return test, reader.read(test.x)


def test_masks_and_boxes_of_blobs_are_most_of_what_there_is(read):
    """Of 3,000 scenes it learns 0.94 of either; a trivial mask has 0.2, a box 0.001."""
    test, said = read
    true = detections.truth(test.shape, test.boxes)
    assert overlaps.mean_of_masks(said.mask(test.mask.shape), test.mask, 4) > 0.7
    assert detections.mean_average_precision(said.boxes(), true) > 0.7


def test_the_surest_class_of_a_blob_is_what_it_is_said_to_be(read):
    _, said = read
    np.testing.assert_array_equal(said.score.argmax(axis=1), said.kind)
