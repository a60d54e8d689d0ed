"""`trainable_depth`: which side of theory a net is on, and its map."""

import numpy as np
import pytest

from experiments.training import trainable_depth


def test_nets_on_the_wrong_side_of_theory():
    row = {"train_accuracy": 0.65, "depth_over": 0.5}
    assert trainable_depth.missing(row) == 0
    assert trainable_depth.missing({**row, "depth_over": 2.0}) == pytest.approx(0.1)
    assert trainable_depth.missing({**row, "train_accuracy": 0.5}) == pytest.approx(
        0.05
    )


def test_borders_of_a_map():
    np.testing.assert_allclose(trainable_depth.edges([1, 2, 4]), [0.5, 1.5, 3, 5])
    borders = trainable_depth.edges([10, 40], log=True)
    np.testing.assert_allclose(borders, [5, 20, 80])
