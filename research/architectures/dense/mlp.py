"""The multilayer perceptron; its hidden state is the pre-activation z.

z' = W φ(norm(z)) + b, so that the length and gradient recursions of mean-field theory
(Schoenholz et al. 2017) hold for the hidden states themselves.
"""

from collections.abc import Callable

import jax
from flax import linen as nn

from depthbench.research.architectures.contract import (
    Architecture,
    Settings,
    Stage,
    Weights,
)
from depthbench.research.architectures.layers import Dense, Norm, pre_activation_ends
from depthbench.research.catalogues.normalizers import Normalizer
from depthbench.research.catalogues.optimizers import BASE_WIDTH


class Layer(nn.Module):
    activation: Callable[[jax.Array], jax.Array]
    weights: Weights
    normalizer: Normalizer

    @nn.compact
    def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
        h = self.activation(Norm(self.normalizer)(z, train))
        return Dense(z.shape[-1], self.weights)(h)


def build(settings: Settings) -> Architecture:
    """A plain net of `depth` equal layers between a linear stem and a linear head."""
    layer = Layer(settings.activation, settings.weights, settings.normalizer)
    stem, head = pre_activation_ends(settings)
    return Architecture("mlp", stem, (Stage(layer, settings.depth),), head)


def build_maximal_update(settings: Settings) -> Architecture:
    """The same with outputs that start smaller the wider it is: of variance 1/units².

    As in maximal-update parametrisation, which for Adam changes nothing else in the net;
    the optimizer adam_mup has the learning rates. At BASE_WIDTH units it is the plain net.
    """
    net = build(settings)
    size = (BASE_WIDTH / settings.width) ** 0.5
    return net._replace(name="mlp_mup", head=net.head.clone(size=size))
