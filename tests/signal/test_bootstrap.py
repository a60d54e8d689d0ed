"""Errors over examples that were drawn again, beside formulas where there are some."""

import numpy as np
import pytest

from depthbench.research.signal import bootstrap


def test_the_error_of_a_mean_is_the_deviation_over_the_root():
    """200 draws know an error to 1/√400 = 5 %; four times that is allowed."""
    x = np.random.RandomState(1).standard_normal(400)
    error = bootstrap.error(lambda times: times @ x / times.sum(), len(x))
    assert error == pytest.approx(x.std() / 20, rel=0.2)


def test_what_two_share_is_no_error_of_their_difference():
    x = np.random.RandomState(1).standard_normal(50)
    apart = bootstrap.error(lambda times: (times @ (x + 1) - times @ x) / 50, len(x))
    assert apart < 1e-12  # 1 for any draw, up to rounding
