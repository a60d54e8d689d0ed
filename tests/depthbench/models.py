"""Small nets that the tests of the door share."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

WIDTH = 8
X = np.random.default_rng(0).standard_normal((4, WIDTH)).astype(np.float32)


class Sigmoids(nn.Module):
    """A plain Linen net, whose gradient vanishes."""

    depth: int = 3

    @nn.compact
    def __call__(self, x):
        for _ in range(self.depth):
            x = nn.sigmoid(nn.Dense(WIDTH)(x))
        return x


def plain(params, x):
    """A plain function of one layer."""
    return jnp.tanh(x @ params["w"])


W = {"w": np.eye(WIDTH, dtype=np.float32)}


def rotations(depth, key):
    """A pair of a scan over orthogonal layers and their weights: nothing vanishes."""
    w = jnp.linalg.qr(jax.random.normal(key, (depth, WIDTH, WIDTH)))[0]
    return lambda w, x: jax.lax.scan(lambda h, w: (h @ w, None), x, w)[0], w
