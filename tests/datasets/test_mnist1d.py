"""The curves of MNIST-1D are the same ones, whoever asks and when."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from depthbench.research.datasets import mnist1d

pytest.importorskip("mnist1d", reason="its authors' package makes the curves")


def test_two_threads_make_the_same_curves():
    """Their package draws from NumPy's global generator, which both would turn."""
    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(lambda _: mnist1d.load(), range(2))
    np.testing.assert_array_equal(one.train.x, other.train.x)
    np.testing.assert_array_equal(one.test.x, other.test.x)
