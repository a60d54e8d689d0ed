"""How a grid of nets can be run: in one program, net by net, by PyTorch.

The same nets (activation × weight variance × seed), the same batches, the same
question: the gradient's norm at every hidden state. Only the way of running differs.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from depthbench.benchmarks.peers import torch_loop
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.catalogues.initializers import Rule
from depthbench.research.lazy import lazily

with lazily():
    import concurrent.futures as futures

    import jax
    import jax.numpy as jnp
    import optax

    from depthbench.research.signal import ensembles, probes

GRID = ("tanh", "relu", "gelu")  # one program: the activation is an argument
SIGMA_W2 = (1.0, 1.5, 2.0, 2.5)
SIGMA_B2 = 0.05
WORKERS = 2  # as many as the runner has on two cores
ALONE = 3  # seeds of each setting that are run net by net, where the grid has more


class Grid(NamedTuple):
    """What every way is asked for, with the arrays that all of them start from."""

    architecture: str
    width: int
    batch: int
    depth: int
    seeds: range
    program: Any  # ensembles.Program
    variables: Any  # of unit size, NumPy arrays [seeds, …]
    x: np.ndarray
    y: np.ndarray

    def nets(self) -> Iterator[tuple[str, float, int]]:
        """Activation, σ_w² and the seed's place: the order of every way's results."""
        for activation in GRID:
            for sigma_w2 in SIGMA_W2:
                for place in range(len(self.seeds)):
                    yield activation, sigma_w2, place

    @property
    def count(self) -> int:
        return len(GRID) * len(SIGMA_W2) * len(self.seeds)

    def alone(self) -> list[int]:
        """The places in `nets` of those that are run net by net: of every setting some.

        A net takes as long as any other of its shape, so that the time of all follows.
        """
        nets = enumerate(self.nets())
        return [number for number, (_, _, place) in nets if place < ALONE]


class Ready(NamedTuple):
    """A way with its arguments in place.

    call: runs all nets; what it returns can be waited for.
    read: from that, log10 gradient norms [nets, states].
    nets: the places of those that a call runs, in the order of `Grid.nets`.
    """

    call: Callable[[], Any]
    read: Callable[[Any], np.ndarray]
    threads: int
    nets: Sequence[int]


class GridWay(NamedTuple):
    """A way of running the grid. absent: why it cannot be run here; "" if it can."""

    name: str
    source: str
    ready: Callable[[Grid], Ready]
    absent: Callable[[str], str] = lambda architecture: ""


def _gains(sigma_w2: float) -> tuple[tuple[float, float], tuple[float, float]]:
    return ((sigma_w2**0.5, SIGMA_B2**0.5),) * 2


def _members() -> list[Any]:
    rules = [Rule(sigma_w2, SIGMA_B2) for sigma_w2 in SIGMA_W2]
    return [ensembles.Member(both, both) for both in rules]


def _by_workers(grid: Grid, function: Callable, orders: Sequence[tuple], read) -> Ready:
    """`function` of the ensembles, called for each (activation, members).

    What a call moves to the device and back is part of what it does, hence "allow".
    """
    pool = futures.ThreadPoolExecutor(WORKERS)

    def run(order):
        activation, members = order
        drawn = (grid.program, activation, "normal", grid.depth)
        return function(*drawn, members, grid.seeds)

    def call():
        with jax.transfer_guard("allow"):
            return list(pool.map(run, orders))

    return Ready(call, read, WORKERS, range(grid.count))


def _ensemble(grid: Grid) -> Ready:
    """All variances and seeds of an activation in one call: gradients alone."""
    orders = [(activation, _members()) for activation in GRID]
    read = lambda results: np.concatenate([net for group in results for net in group])
    return _by_workers(grid, ensembles.log_gradients, orders, read)


def _profiles(grid: Grid, together: bool) -> Ready:
    """Lengths, correlations and saturation as well."""
    groups = [_members()] if together else [[member] for member in _members()]
    orders = [(activation, group) for activation in GRID for group in groups]
    read = lambda results: np.concatenate(
        [signal.log10_gradient for group in results for signal in group]
    )
    return _by_workers(grid, ensembles.signals, orders, read)


def _one_by_one(grid: Grid) -> Ready:
    """One jitted program an activation, one call a net, arguments on the device."""

    @functools.cache
    def program(activation: str):
        def gradients(variables, x, y, rules):
            phi = ACTIVATIONS[activation].phi
            net = ensembles.build(grid.program, phi, "normal", rules, grid.depth)

            def loss(logits):
                losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
                return jnp.mean(losses)

            return probes.log_gradients(net, variables, x, loss)[0]

        return jax.jit(gradients)

    members = dict(zip(SIGMA_W2, _members(), strict=True))
    arguments, nets = [], list(grid.nets())
    for activation, sigma_w2, place in (nets[number] for number in grid.alone()):
        weights = jax.tree.map(lambda a, p=place: a[p], grid.variables)
        rules = jax.tree.map(np.float32, members[sigma_w2])
        put = jax.device_put((weights, grid.x[place], grid.y[place], rules))
        arguments.append((program(activation), put))
    call = lambda: [run(*put) for run, put in arguments]
    return Ready(call, np.stack, 1, grid.alone())


def _torch(grid: Grid, threads: int) -> Ready:
    """PyTorch's eager loop; which number of threads is faster depends on the machine."""
    of_grid = list(grid.nets())
    nets = [
        torch_loop.net(
            activation,
            jax.tree.map(lambda a, p=place: a[p], grid.variables),
            _gains(sigma_w2),
            grid.x[place],
            grid.y[place],
            grid.depth,
        )
        for activation, sigma_w2, place in (of_grid[number] for number in grid.alone())
    ]

    def call():
        with torch_loop.configured(threads):
            return torch_loop.all_of(nets)

    read = lambda results: np.stack([result.cpu().numpy() for result in results])
    return Ready(call, read, threads, grid.alone())


def _on_cpu(architecture: str) -> str:
    """Why a way that is of a CPU's cores is not run on an accelerator."""
    backend = jax.default_backend()
    return (
        "" if backend == "cpu" else f"is a way for a CPU's cores, not for a {backend}"
    )


def _torch_threads_absent(architecture: str) -> str:
    return _torch_absent(architecture) or _on_cpu(architecture)


def _torch_absent(architecture: str) -> str:
    plain = "" if architecture == "mlp" else "the PyTorch loop runs plain nets only"
    return torch_loop.absent() or plain


WAYS: Catalogue[GridWay] = Catalogue(
    "way",
    [
        GridWay(
            "ensemble",  # the others' times are divided by this one's
            "research/ensembles.py: seeds and variances side by side, two workers",
            _ensemble,
        ),
        GridWay(
            "all_profiles",
            "the same, with lengths, correlations and saturation as well",
            lambda task: _profiles(task, together=True),
        ),
        GridWay(
            "by_variance",
            "all profiles, a variance a call: what the runner does on a CPU",
            lambda task: _profiles(task, together=False),
            _on_cpu,
        ),
        GridWay("one_by_one", "one jitted program, called net by net", _one_by_one),
        *(
            GridWay(
                "torch" if threads == 1 else "torch_threads",
                f"PyTorch's eager autograd, net by net, threads: {threads}",
                functools.partial(_torch, threads=threads),
                _torch_absent if threads == 1 else _torch_threads_absent,
            )
            for threads in (1, WORKERS)
        ),
    ],
)
BASE = "ensemble"
