"""What a grid of cells says: there and back, and the loss by hand."""

import jax
import numpy as np
import pytest

from depthbench.research.datasets import scenes
from depthbench.research.learning import detections, grid_boxes

SIDE, CELL = 24, 4


def made(count=40):
    drawn = scenes.scenes(count, seed=5)
    return drawn, grid_boxes.targets(drawn.shape, drawn.boxes, SIDE, CELL, 3)


def test_what_the_targets_say_is_what_is_there():
    drawn, said = made()
    found = grid_boxes.found(said, SIDE)
    true = detections.truth(drawn.shape, drawn.boxes)
    in_two_cells = len(found.scene) / len(true.scene)
    assert in_two_cells > 0.97  # two centres in a cell are rare
    assert detections.mean_average_precision(found, true) == pytest.approx(
        in_two_cells, abs=0.03
    )
    # Square roots of sizes in float32: 1e-5 of 24 pixels.
    for scene, kind, box in zip(found.scene, found.kind, found.box, strict=True):
        inside = true.only((true.scene == scene) & (true.kind == kind))
        assert np.abs(inside.box - box).max(axis=1).min() < 1e-4


def test_the_loss_of_the_targets_themselves_is_none():
    _, said = made(4)
    loss = grid_boxes.LOSS.loss(said, {"targets": said})
    np.testing.assert_allclose(loss, 0, atol=1e-9)  # the IoU of equal boxes is rounded


def test_the_loss_is_the_papers_by_hand():
    true = grid_boxes.targets([[2]], [[[0, 0, 8, 8]]], 16, 8, 3)  # 2 × 2 cells
    said = np.zeros_like(true)
    said[0, 0] = [0.25, 0.5, 0.5, 0.5, 0.5, 1, 0, 0]
    said[0, 3, 0] = 0.5  # sure of an empty cell
    # A box of 4 × 4 in the middle of 8 × 8: IoU 1/4, which it says.
    root = 0.5**0.5
    placed = 5 * 2 * (0.5 - root) ** 2
    expected = placed + (1 + 1) + 0 + 0.5 * 0.25
    loss = grid_boxes.LOSS.loss(said, {"targets": true})
    np.testing.assert_allclose(loss, [expected], rtol=1e-6)  # float32


def test_the_gradient_is_finite_where_boxes_have_no_size():
    _, true = made(4)
    said = np.zeros_like(true) - 0.5
    total = lambda outputs: grid_boxes.LOSS.loss(outputs, {"targets": true}).sum()
    assert np.isfinite(jax.grad(total)(said)).all()


def test_no_box_is_said_where_outputs_are_no_numbers():
    assert len(grid_boxes.found(np.full((2, 36, 8), np.nan), SIDE).scene) == 0
