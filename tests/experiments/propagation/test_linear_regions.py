import math

import numpy as np
import pytest

from depthbench.experiments.propagation import linear_regions
from depthbench.research.cli.main import main


def patterns(layers, x):
    """Which units are active [points, units of all layers]."""
    active, h = [], x
    for weights, biases in layers:
        h = h @ weights + biases
        active.append(h > 0)
        h = np.maximum(h, 0)
    return np.concatenate(active, axis=1)


@pytest.mark.parametrize(("width", "depth"), [(6, 1), (5, 4), (12, 3)])
def test_kinks_are_where_units_switch(width, depth):
    """Against a scan in steps of 1e-5: kinks nearer than that are seldom."""
    total = 0
    for seed in range(4):
        layers, start, end = linear_regions.draw(seed, width, depth)
        t, layer_of = linear_regions.kinks(layers, start, end)
        assert np.all(np.diff(t) >= 0) and np.all((t > 0) & (t < 1))
        scan = np.linspace(0, 1, 100_001)[:, None]
        active = patterns(layers, start + scan * (end - start))
        switches = active[1:] != active[:-1]
        assert np.sum(switches) == len(t)
        where = np.sort(np.nonzero(switches)[0]) * 1e-5
        assert np.allclose(where, t, atol=2e-5)
        of_layer = np.sum(switches, axis=0).reshape(depth, width).sum(axis=1)
        assert np.array_equal(of_layer, np.bincount(layer_of, minlength=depth))
        total += len(t)
    assert total > 4


def test_a_tent_doubles_with_every_layer():
    """Telgarsky 2015: the tent map of two units, whose regions are 2^depth exactly."""
    first = (np.array([[1.0, 1.0]]), np.array([0.0, -0.5]))
    # The tent 2 x - 4 relu(x - ½), read by the same two units again.
    again = (np.array([[2.0, 2.0], [-4.0, -4.0]]), np.array([0.0, -0.5]))
    for depth in (2, 3, 5):
        layers = [first] + [again] * (depth - 1)
        # From a little inside, so that no unit is 0 at the ends.
        _, layer_of = linear_regions.kinks(
            layers, np.array([1e-9]), np.array([1 - 1e-9])
        )
        halves = np.bincount(layer_of, minlength=depth)
        assert halves[-1] == 2 ** (depth - 1)


def test_one_layer_bends_once_for_half_its_units():
    """A unit changes sign between orthogonal inputs with the chance ½."""
    counts = [
        len(linear_regions.kinks(*linear_regions.draw(seed, 30, 1))[0])
        for seed in range(300)
    ]
    assert np.mean(counts) == pytest.approx(15, abs=4 * math.sqrt(30 / 4 / 300))


def test_growth_is_the_power_of_neurons():
    def row(width, depth, regions):
        made = {"status": "ok", "width": width, "depth": depth, "seeds": 9}
        return made | {"regions": regions, "regions_se": regions * 0.1}

    rows = [row(8, 1, 10.0), row(8, 2, 20.0), row(8, 4, 80.0), row(16, 2, 30.0)]
    of_depth = linear_regions.growth("depth")(rows)
    assert [r["power"] for r in of_depth] == pytest.approx([1.0, 2.0])
    assert of_depth[0]["power_se"] == pytest.approx(math.sqrt(0.02) / math.log(2))
    of_width = linear_regions.growth("width")(rows)
    assert [(r["width"], r["power"]) for r in of_width] == [
        (16, pytest.approx(math.log2(1.5)))
    ]


def test_a_small_run(tmp_path, capsys):
    arguments = "--width 6 --depth 1,2,4 --seeds 5"
    out = tmp_path / "out"
    assert main(["run", "linear_regions", *arguments.split(), "--out", str(out)]) == 0
    assert "neurons/2" in capsys.readouterr().out
    assert (out / "figure.png").stat().st_size > 10_000
