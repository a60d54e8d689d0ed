import math

import numpy as np
import pytest

from depthbench.experiments.propagation import dropout_depth
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.cli.main import main
from depthbench.research.theory import dropout


def test_the_rate_of_a_mean_and_its_error():
    random = np.random.default_rng(0)
    falls = np.exp(-0.3 * np.arange(11))
    apart = falls * (1 + 0.1 * random.standard_normal((400, 11)))
    value, error = dropout_depth.rate(apart, 2, 8)
    # The error of ln a - ln b, over six layers.
    assert error == pytest.approx(math.sqrt(2) * 0.1 / 20 / 6, rel=0.15)
    assert abs(value - 0.3) < 4 * error
    assert dropout_depth.rate(-apart, 2, 8) == pytest.approx((value, error))
    assert tuple(dropout_depth.rate(apart * (-1) ** np.arange(11), 2, 7)) == (
        None,
        None,
    )


def test_the_window_is_chosen_by_theory():
    falls = np.exp(-0.3 * np.arange(41))
    first, last = dropout_depth.window(falls)
    assert falls[first] <= 0.3 < falls[first - 1]
    assert falls[last] > 0.05 >= falls[last + 1]
    assert dropout_depth.window(np.exp(-3.0 * np.arange(41))) == (0, 1)
    assert dropout_depth.window(np.ones(41)) == (0, 40)


@pytest.mark.parametrize("keep", [1.0, 0.8])
def test_nets_do_as_the_map_says(keep):
    """64 nets of 400 units: the difference is known to about .01."""
    at = dropout.layer(ACTIVATIONS["tanh"], 1.6, 0.05, keep)
    apart = dropout_depth.differences(at, 400, 6, 64)
    mean, error = np.mean(apart, 0), np.std(apart, 0, ddof=1) / 8
    theory = dropout.gaps(at, 1.0, 6) - dropout.gaps(at, 0.0, 6)
    assert np.all(np.abs(mean - theory) < 4 * error + 0.01)
    assert np.all(error < 0.01)


def test_a_finer_grid_finds_no_longer_scale():
    tanh = ACTIVATIONS["tanh"]
    critical = 1.764688  # at σ_b² = 0.05, to its digits
    coarse, fine = dropout_depth.longest(tanh, critical, 0.9)
    assert fine == pytest.approx(coarse, rel=0.05) and fine >= coarse * 0.999
    coarse, fine = dropout_depth.longest(tanh, critical, 1.0)
    assert fine > 4 * coarse


def test_a_small_run(tmp_path, capsys):
    arguments = "--of-critical 1 --keep 1,0.9 --depth 8 --width 32 --seeds 3"
    out = tmp_path / "out"
    assert main(["run", "dropout_depth", *arguments.split(), "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "∞" in shown and "holds" in shown
    assert (out / "figure.png").stat().st_size > 10_000
