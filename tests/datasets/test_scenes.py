"""Scenes: boxes, masks and colours are those of what is drawn."""

import numpy as np

from depthbench.research.datasets.scenes import NONE, RGB, SHAPES, scenes

MADE = scenes(60, seed=1, noise=0.0, clutter=3)


def test_a_box_is_the_extent_of_its_shape():
    """Of scenes with one object each, so that nothing hides it; to a pixel."""
    for one in range(40):
        made = scenes(1, seed=one, most=1, noise=0.0)
        rows, columns = np.nonzero(made.mask[0])
        left, top, right, bottom = made.boxes[0, 0]
        assert (left, top, right, bottom) == (
            columns.min(),
            rows.min(),
            columns.max() + 1,
            rows.max() + 1,
        ), SHAPES[made.shape[0, 0]]


def test_a_mask_has_the_shapes_that_are_there_in_their_colours():
    for n in range(len(MADE.x)):
        there = MADE.there[n]
        assert set(np.unique(MADE.mask[n])) - {0} == set(1 + MADE.shape[n][there])
        for shape in MADE.shape[n][there]:
            pixels = MADE.x[n][MADE.mask[n] == 1 + shape]
            colours = {
                tuple(RGB[c])
                for s, c in zip(MADE.shape[n], MADE.colour[n], strict=True)
                if s == shape
            }
            assert set(map(tuple, pixels)) <= colours


def test_empty_places_are_none_and_come_last():
    count = MADE.there.sum(axis=1)
    assert count.min() >= 1 and count.max() == 3
    for n, many in enumerate(count):
        assert MADE.there[n, :many].all()
        assert (MADE.colour[n, many:] == NONE).all() and not MADE.boxes[n, many:].any()


def test_a_seed_is_a_set_and_others_are_others():
    again, other = scenes(60, seed=1, noise=0.0, clutter=3), scenes(60, seed=2)
    np.testing.assert_array_equal(again.x, MADE.x)
    assert not np.array_equal(other.boxes, MADE.boxes)
