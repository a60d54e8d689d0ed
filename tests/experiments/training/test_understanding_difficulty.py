"""`understanding_difficulty`: Jacobians of layers, and how a wide one stretches."""

import jax
import numpy as np
import pytest

from depthbench.experiments.training import understanding_difficulty as difficulty


def test_mean_stretch_of_a_wide_layer():
    # Of 8 × 200 values at width 200; the mean of such a matrix varies by 1/width.
    draws = np.random.default_rng(0).uniform(-1, 1, (8, 200, 200)) * (3 / 200) ** 0.5
    mean = np.mean(np.linalg.svd(draws, compute_uv=False))
    assert mean == pytest.approx(difficulty.MEAN_STRETCH, rel=0.01)


def test_jacobians_of_layers(network, filled):
    net = network("mlp", "tanh", width=3, depth=2)
    x = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    params = filled(net, x)
    jacobians = jax.jit(lambda p: difficulty.jacobians(net, p, x))(params)
    assert jacobians.shape == (2, 2, 3, 3)
    kernel, bias = (
        np.asarray(params.stages[0]["params"]["Dense_0"][name])
        for name in ("kernel", "bias")
    )
    stem = params.stem["params"]["Dense_0"]
    z = x @ np.asarray(stem["kernel"]) + np.asarray(stem["bias"])
    for layer in range(2):
        slope = 1 - np.tanh(z) ** 2
        expected = kernel[layer].T[None] * slope[:, None, :]
        np.testing.assert_allclose(jacobians[layer], expected, rtol=1e-5, atol=1e-6)
        z = np.tanh(z) @ kernel[layer] + bias[layer]
