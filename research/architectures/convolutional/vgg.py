"""VGG: 3×3 convolutions in five blocks, each at half the resolution of the last."""

from depthbench.research.architectures.contract import Architecture, Settings, Stage
from depthbench.research.architectures.convolutional.feedforward import (
    DROPOUT,
    Connected,
    Convolved,
    max_pool,
)
from depthbench.research.architectures.layers import identity, linear_head

SMALLEST = 32  # halved five times
CHANNELS = (64, 128, 256, 512, 512)
# Configurations A, B, D and E: the convolutions of each block.
BLOCKS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


def build(settings: Settings) -> Architecture:
    """A stage for the first layer of a block, which may widen, and one for the others.

    With a normaliser it is applied in the convolutions alone, as in torchvision's.
    """
    width, phi, weights = settings.width, settings.activation, settings.weights
    image = (phi, weights, settings.normalizer)
    pool = max_pool(2, 2)
    stem = Convolved(width, *image, first=True, smallest=SMALLEST)
    stages = []
    for number, count in enumerate(BLOCKS[settings.depth]):
        features = CHANNELS[number] * width // 64
        if number > 0:
            stages.append(Stage(Convolved(features, *image, before=pool), 1))
        if count > 1:
            stages.append(Stage(Convolved(features, *image), count - 1))
    dense = 4096 * width // 64
    for before in (pool, identity):
        layer = Connected(dense, phi, weights, before, DROPOUT)
        stages.append(Stage(layer, 1))
    return Architecture("vgg", stem, tuple(stages), linear_head(settings.outputs))
