"""LeNet-5 and AlexNet: every layer is a stage of its own."""

import jax.numpy as jnp

from depthbench.research.architectures.contract import Architecture, Settings, Stage
from depthbench.research.architectures.convolutional.feedforward import (
    DROPOUT,
    Connected,
    Convolved,
    Map,
    average_pool,
    local_response,
    max_pool,
)
from depthbench.research.architectures.layers import identity, linear_head

LENET_SMALLEST = 16
SMALLEST = 64


def build_lenet5(settings: Settings) -> Architecture:
    """LeNet-5 in the form of today: every map of C3 reads all of S2's, and means pool.

    LeCun et al.'s own C3 reads some of them alone, S2 and S4 have trained factors, and
    the outputs are distances (60,000 parameters in all; here 61,706).
    """
    width, phi, weights = settings.width, settings.activation, settings.weights
    image = (phi, weights, settings.normalizer)
    valid = {"kernel": (5, 5), "padding": "VALID"}
    half = average_pool(2)
    stem = Convolved(width, *image, **valid, first=True, smallest=LENET_SMALLEST)
    layers = (
        Convolved(16 * width // 6, *image, **valid, before=half),
        Connected(120 * width // 6, phi, weights, before=half),
        Connected(84 * width // 6, phi, weights),
    )
    return _chain("lenet5", settings, stem, layers)


def build(settings: Settings) -> Architecture:
    """Krizhevsky et al.'s two towers: the second, fourth and fifth layer in two groups."""
    return _alexnet("alexnet", settings, groups=2)


def build_one_tower(settings: Settings) -> Architecture:
    """The same with every channel reading all those before it."""
    return _alexnet("alexnet_one_tower", settings, groups=1)


def build_without_lrn(settings: Settings) -> Architecture:
    """One tower, and no local response normalisation."""
    return _alexnet("alexnet_without_lrn", settings, groups=1, response=identity)


def _alexnet(
    name: str, settings: Settings, groups: int, response: Map = local_response
) -> Architecture:
    phi, weights = settings.activation, settings.weights
    image = (phi, weights, settings.normalizer)
    pool = max_pool(3, 2)

    def scaled(published: int) -> int:  # even, for the towers
        return 2 * max(1, published * settings.width // 192)

    stem = Convolved(
        settings.width,
        *image,
        kernel=(11, 11),
        strides=4,
        padding="VALID",
        before=_whole_strides,
        first=True,
        smallest=SMALLEST,
    )
    layers = (
        Convolved(
            scaled(256),
            *image,
            kernel=(5, 5),
            groups=groups,
            before=lambda h: pool(response(h)),
        ),
        Convolved(scaled(384), *image, before=lambda h: pool(response(h))),
        Convolved(scaled(384), *image, groups=groups),
        Convolved(scaled(256), *image, groups=groups),
        Connected(scaled(4096), phi, weights, pool, DROPOUT),
        Connected(scaled(4096), phi, weights, dropout=DROPOUT),
    )
    return _chain(name, settings, stem, layers)


def _whole_strides(x):
    """Zeros around the image, so that strides of 4 use all of it: 224 becomes 227."""
    missing = [(11 - side) % 4 for side in x.shape[1:3]]
    return jnp.pad(x, [(0, 0), *((n // 2, n - n // 2) for n in missing), (0, 0)])


def build_small(settings: Settings) -> Architecture:
    """Zhang et al.'s small one: two convolutions, two dense layers, for small images."""
    width, phi, weights = settings.width, settings.activation, settings.weights
    image = (phi, weights, settings.normalizer)
    pool = max_pool(3, 2, "SAME")
    after: Map = lambda h: local_response(pool(h))
    stem = Convolved(width, *image, kernel=(5, 5), first=True)
    layers = (
        Convolved(width, *image, kernel=(5, 5), before=after),
        Connected(384 * width // 64, phi, weights, before=after),
        Connected(192 * width // 64, phi, weights),
    )
    return _chain("alexnet_small", settings, stem, layers)


def _chain(name: str, settings: Settings, stem, layers) -> Architecture:
    stages = tuple(Stage(layer, 1) for layer in layers)
    return Architecture(name, stem, stages, linear_head(settings.outputs))
