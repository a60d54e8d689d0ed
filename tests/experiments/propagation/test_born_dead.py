import math

import numpy as np
import pytest

from depthbench.experiments.propagation.born_dead import bounds, dead_from
from depthbench.research.cli.main import main


def test_the_bounds_are_those_of_rays_that_die_together_or_apart():
    for width, depth in ((2, 2), (3, 5), (4, 40)):
        least, most = bounds(width, depth)
        a, alone, apart = 2.0**-width, 2 * 2.0**-width, 1 - 2 * 2.0**-width
        one = 0.0  # layer by layer: a ray is dead; both are, independently
        state = np.array([apart, alone, 0.0])  # both rays alive, one, none
        for _ in range(depth - 1):
            one = one + (1 - one) * a
            step = np.array(
                [[(1 - a) ** 2, 2 * a * (1 - a), a * a], [0, 1 - a, a], [0, 0, 1]]
            )
            state = state @ step
        two = state[2]
        assert (least, most) == pytest.approx((two, one))
    assert bounds(2, 1) == (0.0, 0.0)


def test_two_layers_of_two_units_are_done_by_hand():
    """Dead after two layers: one ray dies with ¼; two, where orthogonal, with 1/16."""
    dead = dead_from(2, 0.0, 2, 20_000)
    # Both rays are alive after the first layer with ½, along the two axes: orthogonal.
    assert np.mean(dead == 2) == pytest.approx(0.5 / 4 + 0.5 / 16, abs=0.01)
    assert not np.any(dead == 1)


@pytest.mark.parametrize(("width", "depth"), [(2, 6), (3, 12), (4, 30)])
def test_nets_die_between_the_bounds(width, depth):
    nets = 4000
    born_dead = np.mean(dead_from(width, 0.0, depth, nets) > 0)
    least, most = bounds(width, depth)
    error = 4 * math.sqrt(0.25 / nets)
    assert least - error < born_dead < most + error
    assert most - least > 2 * error  # else the bounds would say nothing of it


def test_depth_does_not_change_what_has_died():
    for sigma_b2 in (0.0, 0.1):
        shallow, deep = (dead_from(3, sigma_b2, depth, 300) for depth in (8, 40))
        assert np.mean(deep > 0) > np.mean(shallow > 0)
    assert (
        np.mean(dead_from(3, 10.0, 2, 2000) == 1) > 0
    )  # biases can kill the first layer


def test_a_small_run(tmp_path, capsys):
    arguments = "--width 2 --depth 4,40 --seeds 200"
    out = tmp_path / "out"
    assert main(["run", "born_dead", *arguments.split(), "--out", str(out)]) == 0
    assert "born dead" in capsys.readouterr().out
    assert (out / "figure.png").stat().st_size > 10_000
