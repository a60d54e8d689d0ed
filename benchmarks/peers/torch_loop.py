"""The gradient norms of plain nets as a PyTorch user would work them out: net by net.

PyTorch gets its best case: weights are scaled and on its side before the clock starts,
nothing but the hidden states needs a gradient, norms are taken together at the end, and
denormals are flushed.
"""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from depthbench.research.catalogues.packages import missing
from depthbench.research.lazy import lazily

with lazily():
    import jax
    import torch

PHIS = {
    "linear": lambda z: z,
    "sigmoid": lambda z: torch.sigmoid(z),
    "tanh": lambda z: torch.tanh(z),
    "relu": lambda z: torch.relu(z),
    "gelu": lambda z: torch.nn.functional.gelu(z),
    "silu": lambda z: torch.nn.functional.silu(z),
}


class TorchNet(NamedTuple):
    """One network and its batch, as PyTorch tensors; kernels are [fan_in, fan_out].

    layers: (kernel, bias) from one hidden state to the next.
    """

    activation: str
    stem: tuple[Any, Any]
    layers: Sequence[tuple[Any, Any]]
    head: tuple[Any, Any]
    x: Any
    y: Any


def absent() -> str:
    """Why PyTorch cannot be timed beside jax, on the same device; "" if it can."""
    if why := missing("torch"):
        return why
    backend = jax.default_backend()
    if backend == "cpu" or (backend == "gpu" and torch.cuda.is_available()):
        return ""
    return f"torch has no {backend} here, and jax runs on one"


def device() -> str:
    """Where PyTorch's nets are put: where jax runs."""
    return "cuda" if jax.default_backend() == "gpu" else "cpu"


def wait() -> None:
    """Returns when all that was begun is done; a CPU's calls return no sooner."""
    if device() == "cuda":
        torch.cuda.synchronize()


@contextlib.contextmanager
def configured(threads: int) -> Iterator[None]:
    """PyTorch's threads set, denormals flushed, convolutions exact, as our rows are, and
    cuDNN's fastest tried out; put back afterwards."""
    cudnn = torch.backends.cudnn
    before, rounded, tried = torch.get_num_threads(), cudnn.allow_tf32, cudnn.benchmark
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    cudnn.allow_tf32, cudnn.benchmark = False, True
    try:
        yield
    finally:
        cudnn.allow_tf32, cudnn.benchmark = rounded, tried
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)


def net(
    activation: str,
    variables: Any,
    gains: tuple[tuple[float, float], tuple[float, float]],
    x: np.ndarray,
    y: np.ndarray,
    depth: int,
) -> TorchNet:
    """The same network as JAX's, of one seed's `variables` of unit size (NumPy arrays).

    gains: (σ_w, σ_b) of the first and of the hidden layers.
    """

    def scaled(dense, gain) -> tuple[Any, Any]:
        kernel, bias = np.float32(gain[0]), np.float32(gain[1])
        return placed(kernel * dense["kernel"]), placed(bias * dense["bias"])

    (stage,) = variables.stages
    hidden = stage["params"]["Dense_0"]
    layers = [
        scaled({name: array[index] for name, array in hidden.items()}, gains[1])
        for index in range(depth)
    ]
    return TorchNet(
        activation,
        scaled(variables.stem["params"]["Dense_0"], gains[0]),
        layers,
        scaled(variables.head["params"]["Dense_0"], (1.0, 1.0)),
        placed(x.reshape(len(x), -1)),
        placed(y).long(),
    )


def forget_peak() -> None:
    """What was held before counts no longer in `peak`, but for what is held still."""
    if device() == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def give_back() -> None:
    """The device has again what was held for nets that are gone, compiled ones too."""
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()
    forget_peak()


def peak() -> int | None:
    """Bytes that PyTorch has held at most; None on a CPU, where it does not count them."""
    return torch.cuda.max_memory_allocated() if device() == "cuda" else None


def placed(array: np.ndarray) -> Any:
    """The array as a tensor, where jax runs."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(device())


def log_gradients(net: TorchNet) -> Any:
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


def all_of(nets: Sequence[TorchNet]) -> list[Any]:
    """Those of net after net, when all are there."""
    results = [log_gradients(net) for net in nets]
    wait()
    return results
