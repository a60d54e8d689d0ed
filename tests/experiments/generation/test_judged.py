"""What is made before the judge: real examples cover all modes, noise covers none."""

import numpy as np
import pytest

from depthbench.experiments.generation import gan_modes, judged
from depthbench.research.study.errors import Refusal

RING = ("ring", None)


def test_the_nearest_is_that_of_all_pairs():
    random = np.random.RandomState(0)
    x, known = random.randn(700, 3), random.randn(90, 3)
    apart = np.linalg.norm(x[:, None] - known[None], axis=-1).min(axis=1)
    np.testing.assert_allclose(judged.nearest(x, known), apart, rtol=1e-6)
    # Of what is known itself, rounding of squares of some 10 is left.
    np.testing.assert_allclose(judged.nearest(known, known), 0, atol=1e-6)


def test_real_points_cover_the_ring_and_others_do_not():
    yard = judged.yardstick(*RING)
    x, y = yard.parts.test
    assert yard.modes(x) == (8, pytest.approx(0.99, abs=0.002))
    assert yard.modes(x[y != 3])[0] == 7
    few = np.concatenate([x[y != 3], x[y == 3][:3]])  # 3 of 1,000 are no tenth of 125
    assert yard.modes(few)[0] == 7
    noise = np.random.RandomState(0).randn(1000, 2).astype(np.float32)
    modes, good = yard.modes(0.2 * noise)  # the middle of the ring
    assert modes == 0 and good < 0.01
    assert yard.distance(x) == pytest.approx(0, abs=1e-6)
    assert yard.distance(np.full_like(x, np.nan)) == np.inf
    assert yard.floor < yard.distance(x[y != 3]) < judged.apart(*RING)


def test_a_mixture_makes_a_ring():
    rival = judged.mixture(2, *RING)
    yard = judged.yardstick(*RING)
    assert [yard.modes(made)[0] for made in rival.samples] == [8, 8]
    assert max(rival.distances) < judged.apart(*RING) / 10


CELL = {"architecture": "generator", "made": "ring", "depth": 2}


@pytest.mark.parametrize(
    ("change", "line"),
    [({}, "no points of a ring"), ({"made": "images", "depth": 3}, "depth 3: half")],
)
def test_generators_that_cannot_be_are_one_line(change, line):
    with pytest.raises(Refusal, match=line):
        gan_modes.fit([{**CELL, **change}], set())
    good = {**CELL, "made": "images"}
    kept, lines = gan_modes.fit([{**CELL, **change}, good], set())
    assert kept == [good] and line in lines[0]
