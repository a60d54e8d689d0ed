"""Mistakes of the nets beside those of windows, in the same scenes."""

import math

import numpy as np
import pytest

from depthbench.experiments.vision import detection
from depthbench.research.study import estimates

ROW = {"ground": 0.02, "ground_se": 0.003, "seeds": 3, "windows_ground": 0.06}


def test_scenes_that_all_seeds_share_are_no_error_of_the_seeds():
    found = detection.more_mistakes("ground")(
        {**ROW, "windows_ground_se": 0.01, "windows_ground_test_se": 0.008}
    )
    assert found == estimates.mean(0.02 - 0.06, 0.003, 3, 0.008)


def test_nothing_is_known_without_a_share_or_an_error_over_scenes():
    estimate = detection.more_mistakes("ground")
    known = {"windows_ground_test_se": 0.01}
    assert not math.isnan(estimate({**ROW, **known}).value)
    assert math.isnan(estimate({**ROW, **known, "ground": None}).value)
    assert math.isnan(estimate(ROW).value)  # of rows from before


def test_mistakes_in_the_same_scenes_are_no_error_of_their_difference():
    """Two of three objects are mistaken in each second scene: by both, or by the net
    where windows are right."""
    windows = np.tile([2, 0], 50)
    objects = 3 * len(windows)
    same = detection.more_test_error([windows] * 3, windows, objects)
    assert same == pytest.approx(math.sqrt(2) / (objects + 2))
    apart = detection.more_test_error([windows[::-1]] * 3, windows, objects)
    # Shares of a scene differ by 2 / 3 one way or the other.
    assert apart == pytest.approx(2 / 3 / math.sqrt(100), rel=0.01)
