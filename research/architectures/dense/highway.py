"""The highway network: h' = T φ(W h + b) + (1 − T) h, with T = sigmoid(W_T h + b_T).

Its hidden state is the activation h, as in Srivastava et al. 2015, who search gate biases
from −1 to −10.
"""

import jax
from flax import linen as nn

from depthbench.research.architectures.contract import Architecture, Settings, Stage
from depthbench.research.architectures.dense import mlp
from depthbench.research.architectures.layers import Dense, Head, Norm, Stem, identity

GATE_BIAS = -2.0  # the gates start mostly closed: the signal is carried
CLOSED = -4.0  # and these carry more


class Layer(mlp.Layer):
    bias: float = GATE_BIAS

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        n = Norm(self.normalizer)(h, train)
        new = self.activation(Dense(h.shape[-1], self.weights)(n))
        gate = jax.nn.sigmoid(
            Dense(h.shape[-1], self.weights, name="gate")(n) + self.bias
        )
        return gate * new + (1 - gate) * h


def build(settings: Settings) -> Architecture:
    """Highway layers between an activated stem and a linear head."""
    return _build("highway_mlp", settings, GATE_BIAS)


def build_closed(settings: Settings) -> Architecture:
    """The same with gates that start nearly closed."""
    return _build("highway_mlp_closed", settings, CLOSED)


def _build(name: str, settings: Settings, bias: float) -> Architecture:
    layer = Layer(settings.activation, settings.weights, settings.normalizer, bias)
    stem = Stem(settings.width, settings.weights, settings.activation)
    head = Head(settings.outputs, identity, settings.normalizer)
    return Architecture(name, stem, (Stage(layer, settings.depth),), head)
