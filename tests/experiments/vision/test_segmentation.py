"""Masks of nets beside those of blobs and of the forest."""

import math

import numpy as np
import pytest

from depthbench.experiments import comparisons
from depthbench.experiments.vision import segmentation
from depthbench.research.study.declaration import chosen_values, grid
from depthbench.research.study.errors import Refusal


class Part:
    """A mask whose every scene is a half of class 1."""

    mask = np.tile(np.repeat([0, 1], 8).reshape(1, 4, 4), (30, 1, 1))


def test_a_lead_in_a_few_scenes_is_not_sure():
    """One net is right but in 15 scenes of 30, the other but in the other 15."""
    blank = np.zeros_like(Part.mask)
    half = np.arange(30)[:, None, None] < 15
    one, other = np.where(half, Part.mask, blank), np.where(half, blank, Part.mask)
    by = [segmentation.scored(mask, Part) for mask in (one, other)]
    every = np.ones(30, int)
    assert by[0](every) == pytest.approx(segmentation.worth(one, Part))
    apart = comparisons.gap_error(by[:1], by[1], 30)
    assert apart > 0.05 > comparisons.gap_error(by[:1], by[0], 30)


def test_the_forest_is_compared_by_its_own_column():
    row = {"score": 0.9, "score_se": 0.01, "seeds": 3, "gap": -0.1, "gap_se": 0.01}
    assert math.isnan(segmentation.above_forest(row).value)
    found = segmentation.above_forest({**row, "forest": 0.6, "forest_test_se": 0.02})
    assert found.value == pytest.approx(0.3) and found.fixed == 0.02


def test_a_depth_that_no_u_net_has_is_refused():
    asked = {"depth": (8, 43)}
    cells = grid(segmentation.STUDY, chosen_values(segmentation.STUDY, "smoke", asked))
    with pytest.raises(Refusal, match="8, 13, 18 or 23, not 43"):
        segmentation.STUDY.fit(cells, {"depth"})
