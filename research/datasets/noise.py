"""Independent Gaussian inputs with arbitrary labels, for checks against theory."""

import numpy as np

from depthbench.research.datasets.contract import Data


def load() -> Data:
    """1,024 Gaussian inputs of 8 × 8 pixels, each scaled to mean square 1."""
    random = np.random.default_rng(0)
    x = random.standard_normal((1024, 64))
    x /= np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    x = x.reshape(-1, 8, 8, 1)
    return Data(x.astype(np.float32), random.integers(0, 10, 1024, np.int32), 10)
