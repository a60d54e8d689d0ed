"""Whether generators were still learning: by what is held out, and not by their losses."""

from typing import NamedTuple

import pytest

from depthbench.experiments.generation import gan_nets
from depthbench.research.learning.selection import Outcome


class Run(NamedTuple):
    generator: float
    early: float


@pytest.mark.parametrize(
    ("early", "end", "falls"),
    # Of a mean of 10 in the end a twentieth is 0.5; of nets that are worse nothing falls.
    [((10.0, 11.2), (9.0, 11.0), True), ((10.0, 10.8), (9.0, 11.0), False)]
    + [((10.0, 10.0), (20.0, 20.0), False), ((float("inf"), 10.0), (9.0, 11.0), True)],
)
def test_the_mean_held_out_distance_falls_by_more_than_a_twentieth(early, end, falls):
    def held(runs):
        return Outcome(loss=sum(run.generator for run in runs) / len(runs))

    runs = [Run(last, first) for last, first in zip(end, early, strict=True)]
    assert gan_nets.course(runs, held) == (sum(end) / 2, falls)


def test_the_early_step_is_one_of_any_number():
    assert [gan_nets.early(steps) for steps in (1, 20, 8000)] == [1, 15, 6000]
