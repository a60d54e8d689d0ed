"""Loops: how the layers of a stage are executed, forwards and backwards."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from depthbench.research.catalogues.catalogue import Catalogue

if TYPE_CHECKING:  # it imports jax, which naming a loop does not
    from depthbench.research.architectures.contract import Architecture, Stage


class Loop(NamedTuple):
    """From a net to one of the same function whose layers are executed otherwise."""

    name: str
    source: str
    change: Callable[[Architecture], Architecture]


def rematerialised(net: Architecture) -> Architecture:
    """The same net, whose gradient needs the memory of √depth layers of each stage.

    Its layers run once more for it: Chen et al. 2016, arXiv:1604.06174, section 4.
    """
    stages = tuple(stage._replace(segment=_root(stage.depth)) for stage in net.stages)
    return net._replace(stages=stages)


def _root(depth: int) -> int | None:
    """About √depth: a divisor where one is near, as a rest is copied. None if tiny."""
    if depth < 4:
        return None
    divisors = (n for n in range(2, depth) if depth % n == 0)
    near = [n for n in divisors if depth <= 4 * n * n <= 16 * depth]
    return min(
        near, key=lambda n: abs(math.log(n * n / depth)), default=math.isqrt(depth)
    )


def unrolled(net: Architecture) -> Architecture:
    """The same net with a stage for each layer, whose variables are arrays of their own.

    In a scan a layer's variables are copied out of the stack on both ways, and its
    gradient into another: with wide layers a third of a training step on a CPU. Here
    nothing is copied, and compile time grows with depth. Nothing is made again either:
    XLA finds that it was made before, and products lose the bias and the activation that
    they end with. Stages whose layers share variables stay as they are: there is nothing
    to copy.
    """
    return net._replace(
        stages=tuple(one for stage in net.stages for one in _apart(stage))
    )


def _apart(stage: Stage) -> list[Stage]:
    if stage.tied:
        return [stage]
    return [
        stage._replace(
            depth=1,
            frugal=False,
            segment=None,
            before=stage.before + index,
            fed=None if stage.fed is None else stage.fed[index : index + 1],
        )
        for index in range(stage.depth)
    ]


LOOPS: Catalogue[Loop] = Catalogue(
    "loop",
    [
        Loop("scan", "one layer in a loop: compiles as fast at any depth", lambda n: n),
        Loop(
            "remat",
            "a scan that keeps √depth states, Chen et al. 2016, arXiv:1604.06174",
            rematerialised,
        ),
        Loop("unrolled", "one layer after another: no copies of variables", unrolled),
    ],
)
