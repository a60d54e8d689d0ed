"""A score for every patch: the head of a Markovian discriminator.

Li & Wand 2016, arXiv:1604.04382; Isola et al. 2017, arXiv:1611.07004 (PatchGAN). After n
convolutions of 3 × 3 each pixel's score is of the (2n + 1) × (2n + 1) around it.
"""

from depthbench.research.architectures.autoencoder.bottleneck import ImageHead
from depthbench.research.architectures.contract import Architecture
from depthbench.research.architectures.layers import Head


def of_patches(net: Architecture) -> Architecture:
    """The net whose head gives scores [batch, height, width, outputs], and no mean over
    pixels. Raises ValueError for other heads than those of convolutional nets."""
    head, layer = net.head, net.stages[-1].layer
    activation = getattr(layer, "activation", None)
    if not isinstance(head, Head) or activation is None:
        raise ValueError(f"{net.name} has no head over space")
    scores = ImageHead(head.outputs, activation, head.normalizer)
    return net._replace(name=f"{net.name}_of_patches", head=scores)
