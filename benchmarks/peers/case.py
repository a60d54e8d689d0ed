"""What a case of the study `peers` is made of: one net of ours, weights and a batch.

A case's weights travel as one dictionary of NumPy arrays (`Case.arrange`). Each library
has a file, `in_torch.py` and so on, that builds the same nets of them with its own layers
(NETS), trains them (side) and lists who does so (PEERS): no other file names it. Our
gradients take the same way to be compared: a net is built of them as if they were weights,
and read as its own gradients are (leaves).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.initializers import DRAWS, INITIALIZERS
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.lazy import lazily

with lazily():
    import jax

    from depthbench.research.architectures import attention, contract
    from depthbench.research.machine import timing

OUTPUTS = 10
RATE, MOMENTUM = 0.01, 0.9  # of the SGD that every side trains with
# Float32 sums in two orders differ by some 1e-6, over hundreds of steps or layers by up
# to 1e-4. A net with a wrong or missing part differs by 0.01 and more.
TOLERANCE = 1e-3
Weights = dict[str, Any]  # arrays by name; of equal layers stacked as [depth, …]
Sizes = tuple[int, ...]  # of one example: x.shape[1:]


class CaseSize(NamedTuple):
    """How large a case is.

    length: steps of a sequence, an image's side, or numbers of a vector. width: units or
    first channels. depth: layers.
    """

    batch: int
    length: int
    width: int
    depth: int


class Problem(NamedTuple):
    """Our net, its weights and the batch, all in NumPy: what every side starts from.

    weights: the variables as the peers get them.
    x: [batch, …]. y: labels [batch].
    loop: how our layers are gone through. dtype: of products; the state is float32.
    """

    net: Any
    variables: Any  # contract.Variables
    weights: Weights
    x: np.ndarray
    y: np.ndarray
    loop: str = "scan"
    dtype: str = "float32"


class Case(NamedTuple):
    """One net, of an architecture of the catalogue.

    shape: what is measured where no other is asked for.
    arrange: from Variables of parameters to Weights. Gradients go through it too, so it
      rearranges and does nothing else.
    form: what the libraries' files call the net.
    parameters, states: roughly how many numbers a net of a shape has, and a batch's
      activations.
    tolerance: how far outputs, gradients and losses may be from ours, beside their size.
    large: at an accelerator's size, where no two sides fit in memory together: the
      seconds after which no further side is begun. 0: sides take turns.
    """

    name: str
    architecture: str
    source: str
    shape: CaseSize
    task: Callable[[CaseSize], Problem]
    arrange: Callable[[Any], Weights]
    form: str
    parameters: Callable[[CaseSize], float]
    states: Callable[[CaseSize], float]
    tolerance: float = TOLERANCE
    large: float = 0.0


class Model(NamedTuple):
    """A net in a peer's library.

    net: the layers, in a container that the library knows; its own form of Weights.
    forward: from the net and a batch to outputs (with state: see the library's file).
    lay: from x [batch, …] as ours has it to how this net reads it.
    """

    net: Any
    forward: Callable[..., Any]
    lay: Callable[[np.ndarray], np.ndarray] = lambda x: x


class Side(NamedTuple):
    """One way of training a net.

    step: one training step; returns (loss, outputs) of before the update.
    gradients: those of the first step, to be asked for before the second.
    peak: bytes that a step needs at most, where it is known, after the first.
    """

    step: Callable[[], tuple[Any, Any]]
    gradients: Callable[[], Any]
    peak: Callable[[], int | None] = lambda: None


class Peer(NamedTuple):
    """Who takes the steps.

    nets: from a form's name to what builds it; without one it sits the case out.
    side: from a model and the task to what trains it; ours alone has none.
    leaves: a model's parameters, in the order of its side's gradients.
    absent: why it cannot here; "" if it can.
    asked: it is run where it is named, and not otherwise.
    outside: of jax: it has its own memory on the device.
    """

    name: str
    source: str
    nets: Mapping[str, Callable[[Weights, Sizes], Model]] = {}
    side: Callable[[Model, Problem], Side] | None = None
    leaves: Callable[[Model], Sequence[np.ndarray]] = lambda model: []
    absent: Callable[[], str] = lambda: ""
    asked: bool = False
    outside: bool = False


def held(
    program: Callable[..., tuple[Any, Any]],
    state: Any,
    batch: tuple[Any, ...],
    gradients: Callable[[Any], Any],
) -> Side:
    """A side that keeps its state: each step begins where the last one ended.

    program: from (state, *batch) to (state, (loss, outputs)); it may eat the state.
    gradients: what they are of the state after one step.
    """
    current = [state]

    def step():
        current[0], results = program(current[0], *batch)
        return results

    peak = getattr(program, "peak", lambda: None)
    return Side(step, lambda: gradients(current[0]), peak)


def program_of(task: Problem, function: Any) -> Any:
    """The jitted function; in half precision, at large sizes, its memory is known too."""
    return function if task.dtype == "float32" else Planned(function)


class Planned:
    """A jitted function that is compiled once, and whose memory is then known."""

    def __init__(self, function: Any):
        self._function, self._compiled = function, None

    def __call__(self, *arguments: Any) -> Any:
        if self._compiled is None:
            self._compiled = self._function.lower(*arguments).compile()
        return self._compiled(*arguments)

    def peak(self) -> int | None:
        """Bytes as XLA plans them; None before it is compiled, or where it does not say."""
        plan = self._compiled and timing.planned(self._compiled)
        return plan.peak if plan else None


def settings(
    shape: CaseSize, activation: str, initializer: str, normalizer: str = "none"
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


def drawn(
    net: Any,
    x: np.ndarray,
    arrange: Callable[[Any], Weights],
    outputs: int = OUTPUTS,
) -> Problem:
    """The task of a net on inputs x, with fresh weights and random labels."""
    variables = jax.jit(lambda key, x: contract.init(key, net, x))(jax.random.key(0), x)
    variables = jax.device_get(variables)
    y = np.random.default_rng(1).integers(0, outputs, len(x)).astype(np.int32)
    return Problem(net, variables, arrange(variables), x, y)


def gaussian(*shape: int) -> np.ndarray:
    """Inputs of unit size, always the same ones."""
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def each(stacked: Weights) -> list[Weights]:
    """The layers of weights that are stacked as [depth, …], one by one."""
    depth = len(jax.tree.leaves(stacked)[0])
    return [jax.tree.map(lambda a, i=i: a[i], stacked) for i in range(depth)]


def channels_first(kernel: np.ndarray, channels: int) -> np.ndarray:
    """A kernel [row × column × channel, out] for pixels in the order channel, row, column.

    For what flattens images of [channel, row, column]; the images are square.
    """
    pixels = kernel.reshape(-1, channels, kernel.shape[1])
    return np.swapaxes(pixels, 0, 1).reshape(kernel.shape)


def positions(time: int, width: int) -> np.ndarray:
    """What is added to a sequence [time, width] to tell its steps' positions."""
    with jax.ensure_compile_time_eval():
        return np.array(attention.sinusoids(time, width, np.float32))
