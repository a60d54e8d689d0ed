"""Mistakes of the nets beside those of windows, in the same scenes."""

import math

import numpy as np
import pytest

from depthbench.experiments.vision import detection
from depthbench.research.signal import interval
from depthbench.research.study import estimates

ROW = {"ground": 0.02, "ground_se": 0.003, "seeds": 3, "windows_ground": 0.06}


def test_scenes_that_all_seeds_share_are_no_error_of_the_seeds():
    found = detection.more_mistakes("ground")(
        {**ROW, "windows_ground_se": 0.01, "windows_ground_test_se": 0.008}
    )
    assert found == estimates.mean(0.02 - 0.06, 0.003, 3, 0.008)


def test_of_older_rows_both_shares_have_the_error_of_as_few_objects():
    error = interval.of_few(0.06, 600)
    found = detection.more_mistakes("ground")({**ROW, "windows_ground_se": error})
    assert found.error == 0.003
    # The number of objects, from an error that counts two more of them.
    both = math.hypot(error, interval.of_few(0.02, 600))
    assert found.fixed == pytest.approx(both, rel=0.01)
    assert math.isnan(detection.more_mistakes("ground")({**ROW, "ground": None}).value)
    older = {name: value for name, value in ROW.items() if "windows" not in name}
    assert math.isnan(detection.more_mistakes("ground")(older).value)


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
