"""A data set in three parts that share no example."""

import numpy as np
import pytest

from depthbench.research.datasets import DATASETS, DataError
from depthbench.research.learning import held_out


def rows(part):
    return {x.tobytes() for x in part.x}


def test_no_example_is_in_two_parts_and_none_is_lost():
    parts = held_out.parts("digits")
    train, test = DATASETS["digits"].split()
    assert rows(parts.test) == {x.tobytes() for x in test.x}
    assert rows(parts.train) | rows(parts.valid) == {x.tobytes() for x in train.x}
    assert not rows(parts.train) & rows(parts.valid)
    assert len(parts.train.y) + len(parts.valid.y) == len(train.y)
    assert parts.classes == 10 and parts.shape == (8, 8, 1)


def test_a_smaller_part_is_some_of_the_larger():
    """So that a study of sizes adds examples, and changes none."""
    small, large = (
        held_out.parts("digits", train=50),
        held_out.parts("digits", train=200),
    )
    every = rows(large.train) | rows(large.valid)
    assert rows(small.train) | rows(small.valid) <= every
    np.testing.assert_array_equal(small.test.x, large.test.x)


@pytest.mark.parametrize("count", (0, 4, 1438))
def test_more_than_there_are_is_refused(count):
    with pytest.raises(DataError, match=f"{count} training examples of digits"):
        held_out.parts("digits", train=count)


def test_images_are_read_as_a_net_reads_them():
    part = held_out.parts("glyphs", train=500).train
    assert part.x.dtype == np.float32 and abs(part.x.mean()) < 0.2
