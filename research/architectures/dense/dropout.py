"""A multilayer perceptron whose hidden units are dropped in training.

Srivastava et al. 2014, JMLR 15:1929: a unit is kept with probability `keep`, by itself, in
each example and step; what is kept is divided by it, so that its expectation is what it is
where nothing is dropped, as when the net is judged. It is no architecture of the
catalogue, but a change of one: the variables are the same, and so is the judged net.
"""

from collections.abc import Callable

import jax
from flax import linen as nn

from depthbench.research.architectures.contract import Architecture, Stage
from depthbench.research.architectures.dense import mlp
from depthbench.research.architectures.layers import Dense, Head, Norm, identity
from depthbench.research.catalogues.normalizers import NORMALIZERS, Normalizer


class Dropped(nn.Module):
    """φ(norm(z)) with units dropped, where training hands in a key."""

    activation: Callable[[jax.Array], jax.Array]
    normalizer: Normalizer
    keep: float

    @nn.compact
    def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
        h = self.activation(Norm(self.normalizer)(z, train))
        dropped = train and self.has_rng("dropout")
        return nn.Dropout(1 - self.keep, deterministic=not dropped)(h)


class DroppedLayer(mlp.Layer):
    """W d(φ(norm(z))) + b, d the dropping of units."""

    keep: float = 1.0

    @nn.compact
    def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
        h = Dropped(self.activation, self.normalizer, self.keep)(z, train)
        return Dense(z.shape[-1], self.weights)(h)


def of_mlp(net: Architecture, keep: float) -> Architecture:
    """A multilayer perceptron of the catalogue, all of its hidden units dropped.

    keep: the probability of keeping one, in (0, 1]. The units that the head reads are
    dropped in a stage of their own, as a head is given no key: it has one state more.
    Raises ValueError for another probability.
    """
    if not 0 < keep <= 1:
        raise ValueError(f"the share that is kept must be in (0, 1], not {keep}")
    head = net.head
    assert isinstance(head, Head) and all(
        isinstance(stage.layer, mlp.Layer) for stage in net.stages
    )
    stages = tuple(
        stage._replace(
            layer=DroppedLayer(
                stage.layer.activation,
                stage.layer.weights,
                stage.layer.normalizer,
                keep,
            )
        )
        for stage in net.stages
    )
    last = Stage(Dropped(head.activation, head.normalizer, keep), 1)
    read = Head(head.outputs, identity, NORMALIZERS["none"], head.size)
    return net._replace(name="dropout_mlp", stages=(*stages, last), head=read)
