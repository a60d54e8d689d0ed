"""Guided backpropagation: the net as it is, its gradient kept where it is positive.

Source: Springenberg, Dosovitskiy, Brox & Riedmiller 2015, arXiv:1412.6806, section 3.4.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from depthbench.research.architectures.contract import Architecture


def guided(phi: Callable[[jax.Array], jax.Array]) -> Callable[[jax.Array], jax.Array]:
    """φ with another gradient: what comes back below 0 is stopped, then multiplied by φ′.

    >>> back = jax.grad(lambda x: -guided(jax.nn.relu)(x))
    >>> float(back(1.0)), float(jax.grad(guided(jax.nn.relu))(1.0))
    (0.0, 1.0)
    """

    @jax.custom_vjp
    def activation(x):
        return phi(x)

    def forward(x):
        return jax.vjp(phi, x)

    def backward(pullback, g):
        return pullback(jnp.maximum(g, 0))

    activation.defvjp(forward, backward)
    return activation


def of_mlp(net: Architecture) -> Architecture:
    """A multilayer perceptron of the catalogue, its gradient guided backpropagation's."""
    stages = tuple(
        stage._replace(
            layer=stage.layer.clone(activation=guided(stage.layer.activation))
        )
        for stage in net.stages
    )
    head = net.head.clone(activation=guided(net.head.activation))
    return net._replace(name=f"guided_{net.name}", stages=stages, head=head)
