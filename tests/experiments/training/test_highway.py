"""`highway`: what its gates carry."""

import math

import jax
import jax.numpy as jnp
import numpy as np


def test_the_closed_gates_carry_more(network):
    """With weights of 0 a layer is h' = (1 − T) h, with T the sigmoid of the bias."""
    h = jnp.ones((1, 8))
    for name, bias in (("highway_mlp", -2.0), ("highway_mlp_closed", -4.0)):
        net = network(name, sigma_w=0.0, depth=1)
        layer = net.stages[0].layer
        output = layer.apply(layer.init(jax.random.key(0), h), h)
        carried = 1 / (1 + math.exp(bias))
        np.testing.assert_allclose(output, carried * h, rtol=1e-6)
