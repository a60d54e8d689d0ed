"""The correlation map as the papers write it: reference of what the theory works out."""

from typing import Any

import numpy as np

from depthbench.research.theory.activation import Activation
from depthbench.research.theory.lengths import length_map
from depthbench.research.theory.quadrature import pair


def correlation_map(
    activation: Activation, sigma_w2: float, sigma_b2: float, q: float, c: Any
) -> np.ndarray:
    """The next layer's correlation [as c], of inputs of length q, c in [-1, 1].

    It is (sigma_w2 E[φ(u)φ(v)] + sigma_b2) / V(q): at q* the map of Poole et al.
    """
    c = np.asarray(c, np.float64)
    v = float(length_map(activation, sigma_w2, sigma_b2, q))
    lost = [sigma_w2 * pair(activation, q, 1 - one) / v for one in c.ravel()]
    return 1 - np.reshape(lost, c.shape)
