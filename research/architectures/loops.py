"""Loops: how the layers of a stage are executed, forwards and backwards."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.lazy import lazily

with lazily():
    import jax

    from depthbench.research.architectures import contract

if TYPE_CHECKING:  # it imports jax, which naming a loop does not
    from depthbench.research.architectures.contract import Architecture, Stage


AUTO = "auto"
FEW = {"cpu": 64}  # layers at most are written out: each is compiled by itself
FEW_ELSEWHERE = 32  # as compiling takes longer there
LARGE = 2**20  # bytes of a layer's variables from which their copies cost more
# Bytes of a layer's variables and state whose copy takes as long as ten kernels to start.
COPIED = 2**25


class Loop(NamedTuple):
    """From a net to one of the same function whose layers are executed otherwise.

    change: of "auto" there is none; `chosen` says which loop it is of a net and a batch.
    """

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


def chosen(name: str, net: Architecture, x: Any) -> Loop:
    """The loop of a name: of "auto", the one that suits the net, the batch and the device.

    Layers are written out where they are few, and copies into and out of stacks cost much
    beside the rest: on a CPU where they have on average as many bytes of variables as a
    batch has of states before the first, on an accelerator where both are large. All else
    is a scan. docs/cost.md has what was measured, and counted.

    x: a batch of inputs, or its shape.
    """
    if name != AUTO:
        return LOOPS[name]
    return LOOPS["unrolled" if _few_and_large(net, x) else "scan"]


def _few_and_large(net: Architecture, x: Any) -> bool:
    layers = sum(stage.depth for stage in net.stages if _stacked(stage))
    platform = jax.default_backend()
    if not 0 < layers <= FEW.get(platform, FEW_ELSEWHERE):
        return False
    variables, state = jax.eval_shape(lambda x: _drawn(net, x), x)
    pairs = zip(net.stages, variables.stages, strict=True)
    stacks = [stack for stage, stack in pairs if _stacked(stage)]
    if platform != "cpu":
        return _bytes(stacks) + layers * _bytes(state) >= layers * COPIED
    return _bytes(stacks) >= layers * max(LARGE, _bytes(state))


def _stacked(stage: Stage) -> bool:
    """Whether its layers' variables are copied out of a stack, one after another."""
    return stage.depth > 1 and not stage.tied


def _drawn(net: Architecture, x: Any) -> Any:
    """(variables, the state that the first layer reads)."""
    variables = contract.init(jax.random.key(0), net, x)
    return variables, contract.call(net.stem, variables.stem, x)[0]


def _bytes(tree: Any) -> int:
    return sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(tree))


def _undecided(net: Architecture) -> Architecture:
    raise ValueError("which loop auto is depends on the batch and the device: chosen()")


LOOPS: Catalogue[Loop] = Catalogue(
    "loop",
    [
        Loop(
            AUTO,
            "few large layers unrolled, whose copies would cost much; else a scan",
            _undecided,
        ),
        Loop("scan", "one layer in a loop: compiles as fast at any depth", lambda n: n),
        Loop(
            "remat",
            "a scan that keeps √depth states, Chen et al. 2016, arXiv:1604.06174",
            rematerialised,
        ),
        Loop("unrolled", "one layer after another: no copies of variables", unrolled),
    ],
)
