"""Which units are compared with a net's is no matter of the test part."""

import numpy as np

from depthbench.experiments.unsupervised import unlabelled_features
from depthbench.experiments.unsupervised.unlabelled_features import Found
from depthbench.research.learning.single_units import Detectors


def test_pixels_or_components_are_chosen_by_validation():
    def one(valid, test):
        chosen = Detectors(np.array([0]), np.array([1]), np.array([valid]))
        return Found(None, np.array([test]), chosen, None)

    pair = one(0.9, 0.7), one(0.8, 0.95)
    assert unlabelled_features.better_units(pair) is pair[0]
