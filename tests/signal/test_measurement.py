"""What is measured of a setting: nets of a given length."""

import numpy as np
import pytest

from depthbench.research.catalogues.initializers import NoCriticalPoint
from depthbench.research.signal import measurement


def test_critical_nets_of_a_given_length():
    first, hidden = measurement.at_length({"activation": "tanh", "q_star": 1e-4})
    assert (first.sigma_w2, first.sigma_b2) == (1e-4, 0)
    # To first order in q: E[φ′²] = 1 − 2q, and what length is missing is 4q³/3.
    assert hidden.sigma_w2 == pytest.approx(1 + 2e-4, abs=1e-7)
    assert hidden.sigma_b2 == pytest.approx(4e-12 / 3, rel=1e-2)
    _, hidden = measurement.at_length({"activation": "relu", "q_star": 0.3})
    np.testing.assert_allclose(hidden[:2], (2, 0), atol=1e-12)
    with pytest.raises(NoCriticalPoint, match="below 0"):
        measurement.at_length({"activation": "softplus", "q_star": 0.01})
