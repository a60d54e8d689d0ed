"""Lines that bounce, against balls whose flight is known."""

import numpy as np
import pytest

from depthbench.research.datasets import balls
from depthbench.research.learning import extrapolation

AHEAD = 6
MADE = balls.balls(200, 5, AHEAD, noise=0.0, seed=3)


def test_balls_fly_straight_between_walls():
    low, high = balls.WALLS
    assert MADE.path.min() >= low and MADE.path.max() <= high
    seen = MADE.path[:, :5]
    inner = np.all((seen > low + 2) & (seen < high - 2), axis=(1, 2))
    step = np.diff(seen[inner], axis=1)
    assert len(step) > 5  # of those nothing bounces: every step is the first again
    np.testing.assert_allclose(step, np.repeat(step[:, :1], 4, axis=1))
    speed = np.linalg.norm(step, axis=-1)
    assert speed.min() >= balls.SPEEDS[0] and speed.max() <= balls.SPEEDS[1]


def test_the_centre_of_a_ball_is_found():
    """To a tenth of a pixel: what is below the threshold is cut, and pixels are coarse."""
    found = extrapolation.centres(MADE.frames, 0.1)
    assert np.abs(found - MADE.path[:, :5]).max() < 0.1


def test_a_line_that_bounces_foresees_every_ball():
    """Of exact places, whatever bounces came before: of two, none between them."""
    seen = MADE.path[:, :5]
    once = np.all(
        np.abs(np.diff(np.sign(np.diff(seen, axis=1)), axis=1)).sum(1) <= 2, 1
    )
    said = extrapolation.ahead(seen, AHEAD, balls.WALLS)
    assert once.mean() > 0.9
    np.testing.assert_allclose(said[once], MADE.asked[once], atol=1e-6)
    steps = np.diff(seen, axis=1)
    straight = np.all(np.abs(steps - steps[:, :1]) < 1e-9, axis=(1, 2))
    assert straight.any()
    for used in (2, 3, 4):
        said = extrapolation.ahead(seen[:, -used:], AHEAD, balls.WALLS)
        np.testing.assert_allclose(said[straight], MADE.asked[straight], atol=1e-6)


def test_without_bounces_it_is_least_squares():
    random = np.random.default_rng(0)
    places = random.standard_normal((4, 5, 2))
    said = extrapolation.ahead(places, 2, balls.WALLS, bounces=False)
    for thing in range(4):
        for axis in range(2):
            line = np.polyfit(np.arange(-4, 1), places[thing, :, axis], 1)
            assert said[thing, axis] == pytest.approx(np.polyval(line, 2))
