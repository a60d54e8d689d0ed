"""A net in Equinox, as a user has it."""

import equinox as eqx
import jax


class Net(eqx.Module):
    """Draws its parameters when it is built, as the pair below."""

    layers: eqx.nn.MLP

    def __init__(self, depth, *, key):
        self.layers = eqx.nn.MLP(6, 6, 6, depth, key=key)

    def __call__(self, x):
        return jax.vmap(self.layers)(x)


def pair(depth, key):
    return lambda mlp, x: jax.vmap(mlp)(x), eqx.nn.MLP(6, 6, 6, depth, key=key)
