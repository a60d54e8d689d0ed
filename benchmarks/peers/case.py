"""What a case of the study `peers` is made of: one net of ours and a peer's form of it.

A case's file gives two functions. `task` draws our net's weights and a batch; `torch`
builds the same net in PyTorch and says, parameter by parameter, what it is of ours. How
a step is taken, timed and compared is written once, for all cases.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from research.activations import ACTIVATIONS
from research.initializers import DRAWS, INITIALIZERS
from research.lazy import lazy
from research.normalizers import NORMALIZERS

jax = lazy("jax")
contract = lazy("research.architectures.contract")

OUTPUTS = 10
RATE, MOMENTUM = 0.01, 0.9  # of the SGD that every side trains with
# Float32 sums in two orders differ by some 1e-6, over hundreds of steps or layers by up
# to 1e-4. A net with a wrong or missing part differs by 0.01 and more.
TOLERANCE = 1e-3


class Shape(NamedTuple):
    """How large a case is.

    length: steps of a sequence, or an image's side. width: units or first channels.
    depth: layers.
    """

    batch: int
    length: int
    width: int
    depth: int


class Task(NamedTuple):
    """Our net, its weights and the batch, all in NumPy: what every side starts from.

    apply: runs the net as `contract.apply` does, whose form it is where there is no
      other.
    x: [batch, …]. y: labels [batch].
    """

    net: Any
    variables: Any  # contract.Variables
    x: np.ndarray
    y: np.ndarray
    apply: Callable[[Any, Any, Any], tuple[Any, Any]]


class Tie(NamedTuple):
    """A parameter of a peer's net, and what it is of ours.

    read: from Variables of ours, NumPy, to the parameter's array: weights are set and
      gradients compared by it, so it rearranges and does nothing else.
    """

    parameter: Any
    read: Callable[[Any], np.ndarray]


class Model(NamedTuple):
    """A peer's form of a net. forward: from x, laid out as it likes best, to outputs."""

    forward: Callable[[Any], Any]
    ties: tuple[Tie, ...]
    x: Any


class Case(NamedTuple):
    """One net, of an architecture of the catalogue.

    shape: what is measured where no other is asked for. tolerance: how far outputs,
    gradients and losses may be from ours, beside their size.
    """

    name: str
    architecture: str
    source: str
    shape: Shape
    task: Callable[[Shape], Task]
    torch: Callable[[Task], Model]
    tolerance: float = TOLERANCE


def settings(
    shape: Shape, activation: str, initializer: str, normalizer: str = "none"
) -> Any:
    """contract.Settings with weights as in training: their gains are part of them."""
    phi, rule = ACTIVATIONS[activation], INITIALIZERS[initializer]

    return contract.Settings(
        width=shape.width,
        depth=shape.depth,
        activation=phi.phi,
        weights=contract.Weights(DRAWS[rule.draw], rule.hidden(phi).gains),
        normalizer=NORMALIZERS[normalizer],
        outputs=OUTPUTS,
        active_depth=shape.depth,
    )


def drawn(net: Any, x: np.ndarray, apply: Callable | None = None) -> Task:
    """The task of a net on inputs x, with fresh weights and random labels."""
    variables = jax.jit(lambda key, x: contract.init(key, net, x))(jax.random.key(0), x)
    y = np.random.default_rng(1).integers(0, OUTPUTS, len(x)).astype(np.int32)
    return Task(net, jax.device_get(variables), x, y, apply or contract.apply)


def gaussian(*shape: int) -> np.ndarray:
    """Inputs of unit size, always the same ones."""
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def linear(module: Any, dense: Callable[[Any], Any]) -> list[Tie]:
    """Ties of a torch.nn.Linear; dense: from Variables of ours to kernel and bias."""
    return [
        Tie(module.weight, lambda own: dense(own)["kernel"].T),
        Tie(module.bias, lambda own: dense(own)["bias"]),
    ]
