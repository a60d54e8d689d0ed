"""The gradient norms of plain nets as a PyTorch user would work them out: net by net.

PyTorch gets its best case: weights are scaled and on its side before the clock starts,
nothing but the hidden states needs a gradient, norms are taken together at the end, and
denormals are flushed.
"""

import contextlib
import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from research.lazy import lazy

torch = lazy("torch")

PHIS = {
    "linear": lambda z: z,
    "sigmoid": lambda z: torch.sigmoid(z),
    "tanh": lambda z: torch.tanh(z),
    "relu": lambda z: torch.relu(z),
    "gelu": lambda z: torch.nn.functional.gelu(z),
    "silu": lambda z: torch.nn.functional.silu(z),
}
ABSENT = "torch is not installed (pip install 'depthbench[peers]')"


class Net(NamedTuple):
    """One network and its batch, as PyTorch tensors; kernels are [fan_in, fan_out].

    layers: (kernel, bias) from one hidden state to the next.
    """

    activation: str
    stem: tuple[Any, Any]
    layers: Sequence[tuple[Any, Any]]
    head: tuple[Any, Any]
    x: Any
    y: Any


def present() -> bool:
    """Whether torch can be imported."""
    return importlib.util.find_spec("torch") is not None


@contextlib.contextmanager
def settled(threads: int) -> Iterator[None]:
    """PyTorch's threads set and denormals flushed, as XLA does; put back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)


def net(
    activation: str,
    variables: Any,
    gains: tuple[tuple[float, float], tuple[float, float]],
    x: np.ndarray,
    y: np.ndarray,
    depth: int,
) -> Net:
    """The same network as JAX's, of one seed's `variables` of unit size (NumPy arrays).

    gains: (σ_w, σ_b) of the first and of the hidden layers.
    """

    def scaled(dense, gain) -> tuple[Any, Any]:
        kernel, bias = np.float32(gain[0]), np.float32(gain[1])
        return (
            torch.from_numpy(np.ascontiguousarray(kernel * dense["kernel"])),
            torch.from_numpy(np.ascontiguousarray(bias * dense["bias"])),
        )

    (stage,) = variables.stages
    hidden = stage["params"]["Dense_0"]
    layers = [
        scaled({name: array[index] for name, array in hidden.items()}, gains[1])
        for index in range(depth)
    ]
    return Net(
        activation,
        scaled(variables.stem["params"]["Dense_0"], gains[0]),
        layers,
        scaled(variables.head["params"]["Dense_0"], (1.0, 1.0)),
        torch.from_numpy(x.reshape(len(x), -1)),
        torch.from_numpy(np.ascontiguousarray(y)).long(),
    )


def log_gradients(net: Net) -> Any:
    """log10 ‖∂loss/∂h‖ of every hidden state [states], by autograd."""
    phi = PHIS[net.activation]
    kernel, bias = net.stem
    z = torch.addmm(bias, net.x, kernel).requires_grad_()
    states = [z]
    for kernel, bias in net.layers:
        z = torch.addmm(bias, phi(z), kernel)
        states.append(z)
    kernel, bias = net.head
    logits = torch.addmm(bias, phi(z), kernel)
    loss = torch.nn.functional.cross_entropy(logits, net.y)
    gradients = torch.autograd.grad(loss, states)
    stacked = torch.stack(gradients)
    # In float32 the squares of a gradient of 1e-19 are gone.
    norms = torch.linalg.vector_norm(stacked, dim=(1, 2), dtype=torch.float64)
    return torch.log10(norms)
