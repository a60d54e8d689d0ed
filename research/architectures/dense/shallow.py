"""Nets with any number of hidden layers, of none and of one too.

In the catalogue's dense nets a stem, whose gradient is no layer's, stands before the first
of at least one layers. Here it is the first layer: without any more the net has one hidden
layer, and without hidden layers it is the logistic form of Rosenblatt's perceptron (1958,
Psychol. Rev. 65:386), whose outputs are a linear map of the inputs.
"""

import functools
from collections.abc import Callable

import jax
from flax import linen as nn

from depthbench.research.architectures.contract import Architecture, Stage
from depthbench.research.architectures.layers import Head, Stem, linear_head


class Flat(nn.Module):
    """The inputs as vectors."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
        return x.reshape(x.shape[0], -1)


class Unchanged(nn.Module):
    """The last state, as it is."""

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        return h


@functools.cache
def hidden(count: int) -> Callable[[Architecture], Architecture]:
    """From a net of equal layers to the same with so many hidden layers.

    count: of layers whose units have an activation; the catalogue's net of a depth d has
    d + 1. Its stages are the first layer and the others, so that probes see all of them.
    """

    def change(net: Architecture) -> Architecture:
        stem, head, (stage,) = net.stem, net.head, net.stages
        assert isinstance(stem, Stem) and isinstance(head, Head)
        name = f"{net.name}_{count}_hidden"
        if count == 0:
            only = (Stage(linear_head(head.outputs), 1),)
            return Architecture(name, Flat(), only, Unchanged())
        others = (stage._replace(depth=count - 1),) if count > 1 else ()
        return Architecture(name, Flat(), (Stage(stem, 1), *others), head)

    return change
