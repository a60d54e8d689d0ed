"""An autoencoder around a narrow code, of any net of equal dense layers.

Hinton & Salakhutdinov 2006, Science 313:504: an encoder, a code of linear units, and a
decoder that mirrors the encoder. There widths fall from layer to layer; here they are
those of the net that is given, so that its depth, its skips and its activation are
questions as they are of a classifier. It is no architecture of the catalogue, as
settings do not say how wide a code is.
"""

import functools
from collections.abc import Callable

from depthbench.research.architectures.autoencoder.bottleneck import Layer
from depthbench.research.architectures.contract import Architecture, Stage
from depthbench.research.architectures.layers import Head, Stem


@functools.cache
def around(code: int) -> Callable[[Architecture], Architecture]:
    """What makes an autoencoder of a net: the same function for the same code.

    The net's layers are the encoder; such layers again, with weights of their own, are
    the decoder. Of a net of n layers, FittedNet.states has the code [examples, code]
    after n + 1 others. code: its units. It raises ValueError for other nets than those
    of equal dense layers.
    """

    def change(net: Architecture) -> Architecture:
        stem, head = net.stem, net.head
        if len(net.stages) != 1 or not (
            isinstance(stem, Stem) and isinstance(head, Head)
        ):
            raise ValueError(f"{net.name} is no net of equal dense layers")
        (layers,) = net.stages
        narrow = Layer(code, head.activation, stem.weights, head.normalizer)
        stages = (layers, Stage(narrow, 1), Stage(stem, 1), layers)
        return net._replace(name=f"{net.name}_autoencoder", stages=stages)

    return change
