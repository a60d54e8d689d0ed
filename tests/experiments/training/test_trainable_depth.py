"""`trainable_depth`: which side of theory a net is on, and its map."""

import numpy as np

from depthbench.experiments.training import trainable_depth
from depthbench.research.study.claims import judge


def verdicts(accuracy, depth_over, rate=trainable_depth.SLOW, **more):
    """Of "shallow nets train" and of "deep nets do not"."""
    row = {"status": "ok", "sigma_w2": 1.0, "depth": 40, "learning_rate": rate}
    row |= {"train_accuracy": accuracy, "train_accuracy_se": 0.01, "seeds": 3}
    row |= {"depth_over": depth_over, **more}
    return [judge(claim, [row]).word for claim in trainable_depth.STUDY.claims]


def test_nets_on_the_wrong_side_of_theory():
    assert verdicts(0.65, 0.5) == ["holds", "untested"]
    assert verdicts(0.45, 0.5) == ["fails", "untested"]
    assert verdicts(0.65, 2.0) == ["untested", "fails"]
    assert verdicts(0.45, 2.0) == ["untested", "holds"]
    assert verdicts(0.45, 2.0, unfinished=True) == ["untested", "undecided"]
    assert verdicts(0.65, 2.0, rate=10 * trainable_depth.SLOW) == ["untested"] * 2
    lost = {"status": "oom", "reason": "too large"}
    assert verdicts(None, None, **lost) == ["undecided"] * 2


def test_borders_of_a_map():
    np.testing.assert_allclose(trainable_depth.edges([1, 2, 4]), [0.5, 1.5, 3, 5])
    borders = trainable_depth.edges([10, 40], log=True)
    np.testing.assert_allclose(borders, [5, 20, 80])
