"""Layers of the classic image nets, whose hidden states are activations."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from depthbench.research.architectures.contract import Weights
from depthbench.research.architectures.convolution import Padding
from depthbench.research.architectures.layers import (
    Conv,
    Dense,
    Norm,
    as_image,
    exact,
    identity,
)
from depthbench.research.catalogues.normalizers import Normalizer

Map = Callable[[jax.Array], jax.Array]
DROPOUT = 0.5  # of both hidden dense layers, in AlexNet and VGG


class Convolved(nn.Module):
    """φ(norm(W * before(h) + b)); `before` is the pooling between the last layer and it.

    smallest: the side below which an image is refused; asked of the stem alone.
    """

    features: int
    activation: Map
    weights: Weights
    normalizer: Normalizer
    kernel: tuple[int, int] = (3, 3)
    strides: int = 1
    padding: Padding = "SAME"
    groups: int = 1
    before: Map = identity
    first: bool = False
    smallest: int = 1

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        if self.first:
            h = at_least(as_image(h), self.smallest)
        conv = Conv(
            self.features,
            self.weights,
            self.kernel,
            self.strides,
            self.padding,
            self.groups,
            self.first,
        )
        z = conv(self.before(h))
        return self.activation(Norm(self.normalizer)(z, train))


class Connected(nn.Module):
    """φ(W h + b) of the flattened state, in the order row, column, channel.

    dropout: the share of units that training puts to zero, where it hands in a key.
    """

    features: int
    activation: Map
    weights: Weights
    before: Map = identity
    dropout: float = 0.0

    @nn.compact
    def __call__(self, h: jax.Array, train: bool = True) -> jax.Array:
        h = self.before(h)
        h = h.reshape(h.shape[0], -1)
        h = self.activation(Dense(self.features, self.weights)(h))
        dropped = train and self.has_rng("dropout")
        return nn.Dropout(self.dropout, deterministic=not dropped)(h)


def at_least(x: jax.Array, smallest: int) -> jax.Array:
    """The images themselves. Raises ValueError where pooling would leave nothing."""
    if min(x.shape[1:3]) < smallest:
        height, width = x.shape[1:3]
        raise ValueError(
            f"images must be at least {smallest} × {smallest}, not {height} × {width}: "
            "pooling would leave nothing of them"
        )
    return x


def max_pool(size: int, stride: int, padding: str = "VALID") -> Map:
    """The largest of every size × size window."""
    return lambda h: nn.max_pool(h, (size, size), (stride, stride), padding)


def average_pool(size: int) -> Map:
    """The mean of every size × size window; windows do not overlap."""
    # Not flax's, which divides by an integer count: an error where types are strict.
    window = (size, size)

    def mean(h: jax.Array) -> jax.Array:
        wide = h.astype(exact(h.dtype))
        total = nn.pool(wide, 0.0, jax.lax.add, window, window, "VALID")
        return (total / size**2).astype(h.dtype)

    return mean


def local_response(h: jax.Array) -> jax.Array:
    """h / (2 + 10⁻⁴ Σ h²)^0.75, the sum over five neighbouring channels.

    Krizhevsky et al. 2012, section 3.3. (PyTorch's and Caffe's α is divided by 5.)
    """
    window, ones = (1,) * (h.ndim - 1) + (5,), (1,) * h.ndim
    wide = h.astype(exact(h.dtype))
    zero = np.zeros((), wide.dtype)  # of five slices the sum takes longer
    total = jax.lax.reduce_window(
        jnp.square(wide), zero, jax.lax.add, window, ones, "SAME"
    )
    return (wide * (2 + 1e-4 * total) ** -0.75).astype(h.dtype)
