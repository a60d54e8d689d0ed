"""`residual_growth`: each seed's own laws, and which of two fits better."""

import numpy as np
import pytest

from depthbench.experiments.propagation import residual_growth
from depthbench.research.signal.measured import Measured


def finished(lengths):
    arrays = {
        "log10_length": lengths.mean(0),
        "log10_length_of_seeds": lengths,
    }
    return residual_growth.finish({}, Measured("ok", "", {"log10_ratio": 0}, arrays))


def test_laws_of_seeds_and_their_errors():
    layer = np.arange(65) + 1.0
    powers = np.array([[0.9], [1.0], [1.1]])
    values = finished(powers * np.log10(layer)).values
    assert values["power"] == pytest.approx(1.0, abs=1e-6)
    assert values["power_se"] == pytest.approx(0.1 / 3**0.5, abs=1e-6)
    assert values["growth"] == "polynomial" and values["misfit_gap"] < -0.05
    rates = np.array([[0.30], [0.31], [0.32]])
    values = finished(rates * layer).values
    assert (values["rate"], values["growth"]) == (pytest.approx(0.31), "exponential")
    assert values["rate_se"] == pytest.approx(0.01 / 3**0.5, abs=1e-6)
    assert values["misfit_gap"] > 0.05


def test_one_seed_has_no_error():
    values = finished(np.log10(np.arange(65) + 1.0)[None]).values
    assert values["power_se"] is None and values["misfit_gap_se"] is None
