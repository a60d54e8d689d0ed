"""Boxes as a grid of cells says them: targets, the loss, and what outputs mean.

Redmon et al. 2016, arXiv:1506.02640, equation 3, with one box of each cell: the cell that
an object's centre is in says how surely one is there, where in the cell, how large, and
of which kind. All errors are squared ones; those of place and size count 5 times, and the
sureness of cells without an object half. A cell's numbers are in the order sureness,
across, down, √width, √height, and one for each kind.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.catalogues.losses import Loss
from depthbench.research.learning.detections import Boxes

SURE, BOX = 0, slice(1, 5)
KINDS = slice(5, None)
PLACED, EMPTY = 5.0, 0.5  # weights of the paper, λ_coord and λ_noobj


def targets(kinds: Any, boxes: Any, side: int, cell: int, count: int) -> np.ndarray:
    """What cells should say [scenes, cells, 5 + count] float32, all 0 without an object.

    kinds [scenes, most], below 0 where nothing is; boxes [scenes, most, 4]; side of a
    scene, and of a cell, in pixels. Of two objects in a cell the last one counts.

    >>> made = targets([[1]], [[[4, 0, 12, 8]]], side=16, cell=8, count=3)
    >>> [round(float(number), 3) for number in made[0, 1]]
    [1.0, 0.0, 0.5, 0.707, 0.707, 0.0, 1.0, 0.0]
    """
    kinds, boxes = np.asarray(kinds), np.asarray(boxes, np.float64)
    across = -(-side // cell)
    made = np.zeros((len(kinds), across, across, 5 + count), np.float32)
    scene, place = np.nonzero(kinds >= 0)
    box = boxes[scene, place]
    middle, size = (box[:, :2] + box[:, 2:]) / (2 * cell), box[:, 2:] - box[:, :2]
    column, row = np.floor(middle).astype(int).T
    there = made[scene, row, column] * 0
    there[:, SURE] = 1
    there[:, BOX] = np.concatenate([middle % 1, np.sqrt(size / side)], axis=1)
    there[np.arange(len(scene)), 5 + kinds[scene, place]] = 1
    made[scene, row, column] = there
    return made.reshape(len(kinds), across**2, -1)


def _corners(said: Any, across: int) -> Any:
    """Left, top, right, bottom of what cells say [..., cells, 4], in sides of a scene.

    said: [..., cells, 4], place in the cell and square roots of sizes.
    """
    number = jnp.arange(across**2)
    corner = jnp.stack([number % across, number // across], axis=-1)
    corner = jnp.expand_dims(corner, tuple(range(said.ndim - 2)))
    middle = (said[..., :2] + corner.astype(said.dtype)) / across
    half = jnp.square(jnp.maximum(said[..., 2:], 0.0)) / 2
    return jnp.concatenate([middle - half, middle + half], axis=-1)


def _overlap(one: Any, other: Any) -> Any:
    """IoU of boxes [..., 4] with those in the same places."""
    low = jnp.maximum(one[..., :2], other[..., :2])
    high = jnp.minimum(one[..., 2:], other[..., 2:])
    shared = jnp.prod(jnp.maximum(high - low, 0.0), axis=-1)
    areas = [jnp.prod(box[..., 2:] - box[..., :2], axis=-1) for box in (one, other)]
    union = areas[0] + areas[1] - shared
    return jnp.where(union > 0, shared / jnp.where(union > 0, union, 1.0), 0.0)


def _loss(outputs: Any, batch: Mapping[str, Any]) -> Any:
    true, across = batch["targets"], round(outputs.shape[1] ** 0.5)
    there = true[..., SURE]
    boxes = [_corners(cells[..., BOX], across) for cells in (outputs, true)]
    sure = jax.lax.stop_gradient(_overlap(*boxes)) * there
    squares = jnp.square(outputs - true)
    placed = jnp.sum(squares[..., BOX], axis=-1)
    kind = jnp.sum(squares[..., KINDS], axis=-1)
    doubt = jnp.square(outputs[..., SURE] - sure)
    each = there * (PLACED * placed + kind + doubt) + (1 - there) * EMPTY * doubt
    return jnp.sum(each, axis=-1)


LOSS = Loss(
    "boxes",
    _loss,
    "Redmon et al. 2016, arXiv:1506.02640, equation 3",
    every_step=True,
)


def found(outputs: Any, side: int, least: float = 0.01) -> Boxes:
    """The boxes that cells say, before any is suppressed; each cell says one.

    outputs: [scenes, cells, 5 + kinds]. A box's kind is the likeliest, and its score how
    sure the cell is times what it says of that kind. Those with `least` or less are left
    out.
    """
    outputs = np.asarray(outputs, np.float64)
    across = round(outputs.shape[1] ** 0.5)
    boxes = np.asarray(_corners(jnp.asarray(outputs[..., BOX]), across)) * side
    kind = outputs[..., KINDS].argmax(axis=-1)
    sure, of_kind = outputs[..., SURE], outputs[..., KINDS].max(axis=-1)
    score = np.maximum(sure, 0) * np.maximum(of_kind, 0)
    scene, cell = np.nonzero(score > least)
    return Boxes(scene, kind[scene, cell], boxes[scene, cell], score[scene, cell])
