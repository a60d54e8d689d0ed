"""Mistakes of the nets beside those of windows, which were judged once."""

import math

import pytest

from depthbench.experiments.vision import detection


def test_a_share_of_the_windows_has_the_error_of_as_few_objects():
    row = {"ground": 0.02, "ground_se": 0.003, "strong_ground": 0.06, "seeds": 3}
    estimate = detection.more_mistakes("ground")
    alone, both = estimate(row), estimate({**row, "strong_ground_se": 0.01})
    assert alone.value == both.value == pytest.approx(-0.04)
    assert alone.error == 0.003 and both.error == pytest.approx(math.hypot(0.003, 0.01))
