"""What the two kinds of features are given, and how they are set beside each other."""

import numpy as np
import pytest

from depthbench.experiments.vision import handmade
from depthbench.research.architectures.convolutional import placed
from depthbench.research.learning import baselines, fits
from depthbench.research.report import published

pytest.importorskip("skimage", reason="scikit-image finds gradients")
CELL = {
    **{"architecture": "cnn_same", "depth": 1, "width": 4},
    **{"dataset": "digits", "examples": 100},
}


def test_the_machine_learns_from_what_nets_learn_from_and_from_no_other(monkeypatch):
    """And reads the same features of the parts that it is asked about."""
    parts, seen = handmade.divided(CELL), []

    class Always:
        def predict(self, x):
            return np.full(len(x), 3)

    def fit(name, x, y):
        seen.append((name, x, y))
        return Always()

    monkeypatch.setattr(baselines, "fit", fit)
    valid, test = handmade._right(parts, lambda x: x + 1)
    ((name, x, y),) = seen
    assert name == "svm"
    np.testing.assert_array_equal(x, parts.train.x + 1)
    np.testing.assert_array_equal(y, parts.train.y)
    assert valid == np.mean(parts.valid.y == 3) and test == np.mean(parts.test.y == 3)


def test_the_size_of_cells_is_chosen_by_validation(monkeypatch):
    """Digits have 8 pixels a side: cells of 1 and of 2. The worse one in test is chosen."""
    found = iter([(0.5, 0.9), (0.6, 0.1)])
    monkeypatch.setattr(handmade, "_right", lambda parts, read: next(found))
    handmade.machine_of.cache_clear()
    assert handmade.machine_of("digits", 100, None, "hog") == 0.1
    handmade.machine_of.cache_clear()


def test_only_large_images_are_halved():
    """A quarter of the places is left of 28 × 28, and all of digits' 8 × 8."""
    assert placed.fitting((28, 28, 1)) is placed.placed
    net = handmade.net_of(CELL, handmade.divided(CELL))
    states = fits.fresh(net).states(np.zeros((2, 8, 8, 1), np.float32))
    assert {state.shape for state in states} == {(2, 8, 8, 4)}


def row(examples, gap, error, depth=1):
    """As a claim sees it; test images give another error, of 0.01."""
    ended = {"status": "ok", "rate_at_edge": False, "unfinished": False}
    lead = {"gap": gap, "gap_se": error, "gap_test_se": 0.01}
    return {**ended, **lead, "depth": depth, "examples": examples, "seeds": 3}


ROWS = [row(100, -0.1, 0.03), row(400, 0.5, 0.5), row(1600, 0.1, 0.04)]


def test_ends_are_the_fewest_and_the_most_images():
    marked = [(row["examples"], row["place"]) for row in handmade.ends(ROWS)]
    assert marked == [(100, "fewest"), (1600, "most")]
    assert handmade.ends(ROWS[:1]) == []


def test_what_learning_gains_is_of_one_depth_and_has_the_errors_of_both():
    (pair,) = handmade.closing([*ROWS, row(1600, 0.9, 0.01, depth=4)])
    assert (pair["depth"], pair["examples"]) == (1, 1600)
    assert (pair["gap"], pair["gap_se"]) == pytest.approx((0.2, 0.05))
    assert pair["gap_test_se"] == pytest.approx(0.01 * 2**0.5)


@pytest.mark.parametrize(
    ("gap", "said"),
    [(0.2, "The net is ahead"), (-0.2, "The strong baseline is ahead")],
)
def test_the_first_sentence_says_who_is_ahead_and_both_at_each_count(gap, said):
    rows = [
        {**row, "gap": gap, "gap_se": 0.001} for row in published.made("handmade").rows
    ]
    answer = handmade.headline(rows).answer
    assert answer.startswith(said)
    assert all(f"from {row['examples']} images" in answer for row in rows)
