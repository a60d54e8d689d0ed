"""How much faster is a grid of nets in one program than net by net?

The same nets (activation × weight variance × seed), the same batches, the same
question: the gradient's norm at every hidden state. Only the way of running differs.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.ensemble_headline import headline
from benchmarks.peers import torch_loop
from research.architectures import ARCHITECTURES
from research.catalogues.activations import ACTIVATIONS
from research.catalogues.catalogue import Catalogue
from research.catalogues.initializers import Rule
from research.lazy import lazily
from research.study.axes import Axis
from research.study.declaration import Cell, Cost, Measured, Plan, Row, Shared, Study
from research.study.plan import all_but
from research.study.tables import Mark, Table, number, ranged

with lazily():
    import concurrent.futures as futures

    import jax
    import jax.numpy as jnp
    import optax

    from research.machine import ceilings, timing
    from research.signal import ensembles, probes

GRID = ("tanh", "relu", "gelu")  # one program: the activation is an argument
SIGMA_W2 = (1.0, 1.5, 2.0, 2.5)
SIGMA_B2 = 0.05
WORKERS = 2  # as many as the runner has on two cores
# Two orders of summation differ by some 1e-7 a layer, and a net in its chaotic phase
# multiplies such differences: seen are 5e-5 at depth 64. A wrong net differs by 0.01.
TOLERANCE = 1e-3


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


class Ready(NamedTuple):
    """A way with its arguments in place.

    call: runs all nets; what it returns can be waited for.
    read: from that, log10 gradient norms [nets, states].
    """

    call: Callable[[], Any]
    read: Callable[[Any], np.ndarray]
    threads: int


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

    return Ready(call, read, WORKERS)


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
    arguments = []
    for activation, sigma_w2, place in grid.nets():
        weights = jax.tree.map(lambda a, p=place: a[p], grid.variables)
        rules = jax.tree.map(np.float32, members[sigma_w2])
        put = jax.device_put((weights, grid.x[place], grid.y[place], rules))
        arguments.append((program(activation), put))
    return Ready(lambda: [run(*put) for run, put in arguments], np.stack, 1)


def _torch(grid: Grid, threads: int) -> Ready:
    """PyTorch's eager loop; which number of threads is faster depends on the machine."""
    nets = [
        torch_loop.net(
            activation,
            jax.tree.map(lambda a, p=place: a[p], grid.variables),
            _gains(sigma_w2),
            grid.x[place],
            grid.y[place],
            grid.depth,
        )
        for activation, sigma_w2, place in grid.nets()
    ]

    def call():
        with torch_loop.configured(threads):
            return torch_loop.all_of(nets)

    read = lambda results: np.stack([result.cpu().numpy() for result in results])
    return Ready(call, read, threads)


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
        ),
        GridWay("one_by_one", "one jitted program, called net by net", _one_by_one),
        *(
            GridWay(
                "torch" if threads == 1 else "torch_threads",
                f"PyTorch's eager autograd, net by net, threads: {threads}",
                functools.partial(_torch, threads=threads),
                _torch_absent,
            )
            for threads in (1, WORKERS)
        ),
    ],
)
BASE = "ensemble"

AXES = {
    "way": Axis("how the grid is run", tuple(WAYS), WAYS),
    "architecture": Axis("how layers are connected", ("mlp",), ARCHITECTURES),
    "depth": Axis("number of layers", (64,), kind="integer", low=2, high=10**5),
    "width": Axis("units per layer", (64,), kind="integer", low=2, high=10**4),
    "batch": Axis("examples per batch", (16,), kind="integer", low=2, high=1024),
    "seeds": Axis(
        "networks per setting", (3,), kind="integer", low=1, high=1000, single=True
    ),
    "rounds": Axis(
        "times each way is run", (15,), kind="integer", low=1, high=10**4, single=True
    ),
}
SIZES = {
    "smoke": {
        "depth": (4,),
        "width": (16,),
        "batch": (4,),
        "seeds": (2,),
        "rounds": (2,),
    },
    "full": {
        "depth": (64, 256),
        "width": (256,),
        "seeds": (8,),
        "rounds": (9,),
    },
}


def cost(cells: Sequence[Cell], shared: Shared) -> Cost:
    cell = cells[0]
    layer = cell["width"] ** 2 + 4 * cell["batch"] * cell["width"]
    nets = len(GRID) * len(SIGMA_W2) * cell["seeds"]
    memory = 4 * layer * cell["depth"] * nets * 3 + 2**27
    work = 6e-5 + 8 * cell["batch"] * cell["width"] ** 2 / 2.5e10  # a layer of one
    seconds = len(cells) * (cell["rounds"] + 2) * nets * cell["depth"] * work
    return Cost(memory, memory, seconds)


def prepare(cell: Cell) -> Grid:
    """The grid's draws and batches, the same for every way."""
    shared = {name: cell[name] for name in ("architecture", "width", "batch")}
    program = ensembles.Program(
        normalizer="none",
        activations=GRID,
        capacity=cell["depth"],
        dataset="digits",
        **shared,
    )
    seeds = range(cell["seeds"])
    variables, x, y = ensembles.inputs(program, "normal", seeds)
    arrays = (jax.device_get(variables), x, y)
    return Grid(*shared.values(), cell["depth"], seeds, program, *arrays)


def measure(cells: Sequence[Cell], shared: Shared, memory: int) -> list[Measured]:
    """One Measured for each way; all are run in turn, the ensemble always among them."""
    grid = prepare(cells[0])
    reasons = {c["way"]: WAYS[c["way"]].absent(grid.architecture) for c in cells}
    names = dict.fromkeys([BASE, *(way for way, why in reasons.items() if not why)])
    ready = {name: WAYS[name].ready(grid) for name in names}
    first = {name: timing.first(way.call) for name, way in ready.items()}
    norms = {name: way.read(first[name].result) for name, way in ready.items()}
    calls = {name: way.call for name, way in ready.items()}
    seconds = timing.interleaved(calls, cells[0]["rounds"])
    load = ceilings.load()
    products = lambda *sides: timing.product_gflops(*sides, operations=load.operations)
    peak = {
        "product_gflops": products(grid.batch, grid.width),
        "peak_gflops": products(load.sides[0], load.sides[0]),
    }
    return [
        Measured("absent", reasons[cell["way"]], {})
        if reasons[cell["way"]]
        else Measured(
            "ok",
            "",
            {
                **_values(grid, cell["way"], seconds, first, norms),
                "threads": ready[cell["way"]].threads,
                **peak,
            },
        )
        for cell in cells
    ]


def _values(grid: Grid, way: str, seconds, first, norms) -> dict[str, Any]:
    step = timing.times(seconds[way])
    ratio = timing.ratio(seconds[way], seconds[BASE])
    apart = float(np.max(np.abs(norms[way] - norms[BASE])))
    compiled = first[way].compile_s
    return {
        "cells": grid.count,
        "trace_s": max(0.0, first[way].total_s - compiled - step.median_ms / 1e3),
        "compile_s": compiled,
        "step_ms": step.median_ms,
        "step_ms_low": step.low_ms,
        "step_ms_high": step.high_ms,
        "n": step.n,
        "ratio": ratio.median,
        "ratio_low": ratio.low,
        "ratio_high": ratio.high,
        "agrees": apart <= TOLERANCE,
        "largest_difference": apart,
        "gflops": work(grid) / step.median_ms / 1e6,
    }


def work(grid: Grid) -> float:
    """Floating-point operations that the question needs: two products a layer."""
    kernels = 2 if grid.architecture == "highway_mlp" else 1
    return grid.count * grid.depth * kernels * 2 * 2.0 * grid.batch * grid.width**2


def tables(rows: Sequence[Row]) -> list[Table]:
    """One line a way; times beside the ensemble's."""
    body = []
    for row in rows:
        shown = tuple(number(row[name]) for name in ("way", "depth", "width"))
        if row["status"] != "ok":
            body.append((*shown, *[""] * 5, Mark(row["status"], "dim")))
            continue
        quartiles = row["ratio_low"], row["ratio_high"]
        ratio = ranged(row["ratio"], *quartiles, digits=2, form="f")
        figures = (("cells", 3), ("compile_s", 2), ("step_ms", 3), ("gflops", 3))
        shown += tuple(number(row[name], digits) for name, digits in figures)
        agrees = Mark("yes", "good") if row["agrees"] else Mark("no", "bad")
        body.append((*shown, agrees, ratio))
    headers = "way depth width cells compile_s step_ms gflops agrees ratio"
    title = f"The same grid of nets, run in turn; ratio of times to {BASE} (quartiles)"
    shown = [Table(title, tuple(headers.split()), tuple(body)), *_bounds(rows)]
    reasons = tuple(dict.fromkeys((r["way"], r["reason"]) for r in rows if r["reason"]))
    return [*shown, Table("Not run", ("way", "why"), reasons)] if reasons else shown


def _bounds(rows: Sequence[Row]) -> list[Table]:
    """What the machine can do, beside what the ensemble does."""
    body = [
        tuple(
            number(row[name])
            for name in ("depth", "width", "product_gflops", "peak_gflops", "gflops")
        )
        for row in rows
        if row["status"] == "ok" and row["way"] == BASE
    ]
    title = "GFLOP/s: of the grid's matrix products alone (one core), of a large one"
    headers = ("depth", "width", "small products", "large product", BASE)
    return [Table(title, headers, tuple(body))] if body else []


STUDY = Study(
    name="ensemble_speed",
    kind="benchmark",
    question="How much faster is a grid of nets in one program than net by net?",
    source="measured here, against PyTorch's eager loop",
    axes=AXES,
    sizes=SIZES,
    plan=Plan(group=all_but("way"), cost=cost),
    measure="benchmarks.ensemble_speed:measure",
    columns=tuple(
        "way architecture depth width batch seeds rounds status reason cells trace_s "
        "compile_s step_ms step_ms_low step_ms_high n ratio ratio_low ratio_high "
        "agrees largest_difference gflops product_gflops peak_gflops threads".split()
    ),
    headline=headline,
    tables=tables,
    compile_seconds=7.0,
    timings=tuple(
        "trace_s compile_s step_ms step_ms_low step_ms_high n ratio ratio_low ratio_high "
        "gflops product_gflops peak_gflops".split()
    ),
    threads=1,
)

if __name__ == "__main__":
    from research.cli.main import script

    script(STUDY.name)
