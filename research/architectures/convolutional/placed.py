"""Convolutional nets that know where in an image or window things are."""

from collections.abc import Callable

import jax

from depthbench.research.architectures.contract import Architecture
from depthbench.research.architectures.convolutional.feedforward import Convolved
from depthbench.research.architectures.layers import identity

KERNEL, STRIDE = (5, 5), 2
LARGE = 16  # pixels a side, of images of which a quarter of the places is enough


def by_place(net: Architecture) -> Architecture:
    """The net of equal convolutions, whose head reads each place by itself.

    And not the mean over all places, which does not know that eyes belong above a mouth.
    For `Task.change`.
    """
    phi = net.stages[0].layer.activation

    def flat(h: jax.Array) -> jax.Array:
        h = phi(h)
        return h.reshape(h.shape[0], -1)

    head = net.head.clone(activation=flat)
    return net._replace(name=f"placed_{net.name}", head=head)


def placed(net: Architecture) -> Architecture:
    """As `by_place`, and its stem steps by two pixels: a quarter of the operations.

    For images. For `Task.change`.
    """
    stem, normalizer = net.stem, net.head.normalizer
    sizes = KERNEL, STRIDE, "SAME", 1, identity, True, KERNEL[0]
    first = Convolved(stem.width, identity, stem.weights, normalizer, *sizes)
    return by_place(net._replace(stem=first))


def fitting(shape: tuple[int, ...]) -> Callable[[Architecture], Architecture]:
    """`placed` of large images [height, width, …], `by_place` of small ones."""
    return placed if min(shape[:2]) >= LARGE else by_place
