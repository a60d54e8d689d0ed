"""A net whose backward pass goes through fixed random matrices, not through Wᵀ.

Lillicrap, Cownden, Tweed & Akerman 2016, Nature Communications 7:13276: feedback
alignment. Each layer's own weights have their true gradient, given what comes back to the
layer; what it hands on to the layer below goes through a random matrix that is never
learned. It is no architecture of the catalogue, as its "gradient" is none of its loss.
"""

import jax
from flax import linen as nn

from depthbench.research.architectures.contract import Architecture
from depthbench.research.architectures.dense import mlp
from depthbench.research.architectures.layers import (
    Dense,
    Head,
    Norm,
    Weights,
    product,
    sized,
)
from depthbench.research.catalogues.initializers import DRAWS

FEEDBACK = "feedback"  # the collection of the random matrices


def fed_back(module: nn.Module, h: jax.Array, features: int, weights: Weights):
    """x W + b of h [..., in]; h's gradient goes through another draw of W's size."""
    shape = (h.shape[-1], features)

    def drawn() -> jax.Array:  # gains are those of the run at the draw alone
        draw, key = weights.draw.kernel, module.make_rng("params")
        return sized(weights.gains(*shape)[0], draw, key, shape, h.dtype)

    back = module.variable(FEEDBACK, "kernel", drawn).value
    stopped = jax.lax.stop_gradient
    # The second term is 0, and all that h's gradient sees.
    return Dense(features, weights)(stopped(h)) + product(h - stopped(h), stopped(back))


class Layer(mlp.Layer):
    @nn.compact
    def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
        h = self.activation(Norm(self.normalizer)(z, train))
        return fed_back(self, h, z.shape[-1], self.weights)


class FedBackHead(Head):
    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        h = self.activation(Norm(self.normalizer)(h, train))
        lecun = Weights(DRAWS["normal"], lambda fan_in, fan_out: (self.size, 0.0))
        return fed_back(self, h, self.outputs, lecun)


def of_mlp(net: Architecture) -> Architecture:
    """A multilayer perceptron of the catalogue, that learns by feedback alignment."""
    head = net.head
    assert isinstance(head, Head) and all(
        isinstance(stage.layer, mlp.Layer) for stage in net.stages
    )
    stages = tuple(
        stage._replace(
            layer=Layer(
                stage.layer.activation, stage.layer.weights, stage.layer.normalizer
            )
        )
        for stage in net.stages
    )
    back = FedBackHead(head.outputs, head.activation, head.normalizer, head.size)
    return net._replace(name="feedback_mlp", stages=stages, head=back)
