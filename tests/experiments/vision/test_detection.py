"""Mistakes of the nets beside those of windows, which were judged once."""

import math

import pytest

from depthbench.experiments.vision import detection


def test_a_share_of_the_windows_has_the_error_of_as_few_objects():
    row = {"ground": 0.02, "ground_se": 0.003, "seeds": 3}
    estimate = detection.more_mistakes("ground")
    both = estimate({**row, "windows_ground": 0.06, "windows_ground_se": 0.01})
    assert both.value == pytest.approx(-0.04)
    assert both.error == pytest.approx(math.hypot(0.003, 0.01))
    assert math.isnan(estimate(row).value)  # of rows from before windows had columns
