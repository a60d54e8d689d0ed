"""What tests of catalogues share: a parameter for each entry, a key, a sample."""

import jax
import numpy as np
import pytest

KEY = jax.random.key(5)
DTYPES = ("float32", "float64")


def normal(*shape, dtype=np.float32):
    """A fixed sample of independent normals."""
    return np.random.default_rng(3).standard_normal(shape).astype(dtype)


def over(catalogue):
    """The entries of a catalogue as a test's parameter `entry`."""
    return pytest.mark.parametrize("entry", catalogue.values(), ids=lambda e: e.name)
