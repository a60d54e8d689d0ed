"""Scenes for sentences without a net: of the sentence, and with a mixture's moments."""

import numpy as np
import pytest

from depthbench.experiments.generation import captions_rivals
from depthbench.research.datasets import captions as sentences

TRAIN, TEST = (sentences.captioned(n, seed) for n, seed in ((400, 0), (50, 1)))


def test_a_picked_scene_is_a_known_one_of_the_sentence():
    made = captions_rivals.picked(TRAIN, TRAIN.words[:20])
    for x, words in zip(made, TRAIN.words, strict=False):
        place = int(np.argmax(np.all(TRAIN.x == x, axis=(1, 2, 3))))
        np.testing.assert_array_equal(TRAIN.words[place], words)


def test_principal_components_and_the_rest_are_all_of_the_variance():
    found = captions_rivals.directions(TRAIN.x)
    flat = TRAIN.x.reshape(len(TRAIN.x), -1)
    kept = ((flat - found.middle) @ found.ways.T).var(axis=0, ddof=1).sum()
    left = found.grain**2 * (flat.shape[1] - len(found.ways))
    total = flat.var(axis=0, ddof=1).sum()
    assert kept + left == pytest.approx(total, rel=1e-4)  # pixels are float32


def test_a_mixtures_scenes_are_bright_where_the_sentence_has_its_object():
    """Mean scenes of a sentence's samples and of its scenes; 1 of 3 deviations is far
    from what an unlike sentence has."""
    fitted = captions_rivals.fitted(TRAIN, 2)
    words, count = np.unique(TRAIN.words, axis=0, return_counts=True)
    asked = np.repeat(words[count.argmax()][None], 300, axis=0)
    made = fitted.scenes(asked, TRAIN.x.shape[1:]).mean(axis=0)
    own = np.all(TRAIN.words == asked[0], axis=1)
    true, other = (TRAIN.x[part].mean(axis=0) for part in (own, ~own))
    assert np.abs(made - true).mean() < np.abs(made - other).mean() / 2
