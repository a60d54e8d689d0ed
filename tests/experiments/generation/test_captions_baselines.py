"""Baselines of captions: scenes that were seen are said, and blobs are where they are."""

import numpy as np

from depthbench.experiments.generation import captions_baselines
from depthbench.research.datasets import captions

TRAIN, TEST = (captions.captioned(n, seed) for n, seed in ((300, 0), (100, 1)))


def test_the_nearest_scene_of_a_known_one_is_itself():
    known = captions_baselines.pixels(TRAIN.x, 0.5, True)
    near = captions_baselines.Neighbours(known, TRAIN.words, 0.5, True, 1)
    np.testing.assert_array_equal(near.nearest(TRAIN.x)[:, 0], np.arange(len(TRAIN.x)))
    np.testing.assert_array_equal(near.sentences(TRAIN.x), TRAIN.words)


def test_neighbours_say_what_most_of_them_say_and_the_nearest_of_as_many():
    said = [[[1, 2], [1, 3], [1, 3]], [[4, 4], [5, 5], [6, 6]]]
    voted = captions_baselines.voted(np.array(said))
    np.testing.assert_array_equal(voted, [[1, 3], [4, 4]])


def test_the_way_to_neighbours_is_the_best_on_held_out_scenes():
    chosen = captions_baselines.neighbours(TRAIN, TEST)
    right = lambda way: captions.right(way.sentences(TEST.x), TEST)
    every = []
    for blur in captions_baselines.BLURS:
        for centred in (False, True):
            known = captions_baselines.pixels(TRAIN.x, blur, centred)
            for most in captions_baselines.NEAREST:
                way = (known, TRAIN.words, blur, centred, most)
                every.append(right(captions_baselines.Neighbours(*way)))
    assert right(chosen) == max(every) > min(every)


def test_a_template_says_colours_and_places_and_most_shapes():
    """300 scenes are few for shapes; three in four is far above one in three."""
    fitted = captions_baselines.template(TRAIN, TEST)
    shares = captions.shares(fitted.sentences(TEST.x), TEST)
    assert shares["colour"] > 0.95 and shares["place"] > 0.9
    assert shares["shape"] > 0.75


def test_a_scene_without_a_blob_has_a_sentence():
    found = captions_baselines.blobs(np.full((1, 16, 16, 3), 0.4), 0.0, 1)
    assert found.read.shape == (1, (2 * captions_baselines.WINDOW + 1) ** 2)
