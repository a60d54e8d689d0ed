"""Does a training step take as long here as in other libraries, and by hand?

The same net, weights, batch and optimizer on every side; outputs, gradients and the
losses of the first steps are found equal before a time is taken.
"""

import contextlib
import os
from collections.abc import Mapping, Sequence, Set
from typing import Any

from depthbench.benchmarks.peers import comparison, torch_loop
from depthbench.benchmarks.peers import show as report
from depthbench.benchmarks.peers.case import Case, CaseSize, Peer
from depthbench.benchmarks.peers.cases import CASES
from depthbench.benchmarks.peers.comparison import BASE
from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.machine import host
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim, Seen
from depthbench.research.study.declaration import (
    Cell,
    Cost,
    Measured,
    Plan,
    Shared,
    Study,
)
from depthbench.research.study.errors import Refusal
from depthbench.research.study.estimates import Estimate, above, exact, mean
from depthbench.research.study.plan import all_but, listed

# Ours and each library's, as the files in_*.py of this folder list them.
PEERS: Catalogue[Peer] = Catalogue(
    "peer", listed("depthbench.benchmarks.peers.in_*:PEERS")
)

# 25 layers take torch.compile 11 seconds, 1,000 of them forty times as long; and an LSTM
# it leaves to cuDNN as it is.
SLOW = {("mlp_1000", "torch_compiled"), ("lstm_1024", "torch_compiled")}

# Who trains large nets in half precision, as ours are; others would do so in float32.
LARGE = (BASE, "jax", "torch", "torch_compiled")
STATUSES = {comparison.FULL: "oom", comparison.FAILED: "failed"}  # of a reason's start


def _size(says: str) -> Axis:
    return Axis(f"{says} (default: the case's)", (None,), None, "integer", 1, 10**5)


AXES = {
    "case": Axis("the net", tuple(CASES), CASES),
    "peer": Axis(
        "the library that trains it",
        tuple(name for name in PEERS if not PEERS[name].asked),
        PEERS,
    ),
    "batch": _size("examples"),
    "length": _size("steps of a sequence, an image's side, numbers of a vector"),
    "width": _size("units, or first channels"),
    "depth": _size("layers"),
    "rounds": Axis(
        "steps of each peer", (20,), kind="integer", low=1, high=10**5, single=True
    ),
}
SIZES = {
    "smoke": {
        "case": ("mlp_wide", "lstm"),
        "batch": (4,),
        "length": (8,),
        "width": (16,),
        "rounds": (2,),
    },
    "full": {"rounds": (200,)},
}


def shape_of(cell: Cell) -> CaseSize:
    """The cell's shape: the case's own where nothing else is asked for."""
    default = CASES[cell["case"]].shape
    overrides = {n: cell[n] for n in CaseSize._fields if cell[n] is not None}
    return default._replace(**overrides)


def fit(cells: Sequence[Cell], typed: Set[str]) -> tuple[list[Cell], list[str]]:
    """The cases that are of this device's size, and no compiler that has nothing to gain,
    unless they are asked for by name.

    Raises Refusal where a net has no such depth or width.
    """
    lines = []
    if "case" not in typed:
        cells, lines = _of_device(cells, host.accelerator())
    if host.accelerator():
        lines += _room(cells, os.environ)
    for cell in cells:
        family, shape = ARCHITECTURES[CASES[cell["case"]].architecture], shape_of(cell)
        normalizer = family.published_normalizer
        why = family.refuses(shape.depth, "relu", normalizer, shape.width, shape.length)
        if why:
            raise Refusal(f"--case {cell['case']}: {why}")
    if "peer" in typed:
        return list(cells), lines
    slow = [cell for cell in cells if (cell["case"], cell["peer"]) in SLOW]
    if slow:
        names = {f"{cell['case']} in {cell['peer']}": None for cell in slow}
        why = "no faster, or minutes to compile"
        lines.append(f"not run unless --peer names it: {', '.join(names)}, {why}")
    return [cell for cell in cells if cell not in slow and _has_net(cell)], lines


def _of_device(
    cells: Sequence[Cell], accelerated: bool
) -> tuple[Sequence[Cell], list[str]]:
    """The cells of large cases on an accelerator, and else of the others; and a line."""
    fitting = [c for c in cells if bool(CASES[c["case"]].large) == accelerated]
    left = dict.fromkeys(c["case"] for c in cells if c not in fitting)
    size = "a CPU's" if accelerated else "an accelerator's"
    says = f"not run unless --case names them, {size} size: {', '.join(left)}"
    return fitting, [says] if left else []


def _room(cells: Sequence[Cell], environment: Mapping[str, str]) -> list[str]:
    """A line where jax will leave PyTorch too little memory for large nets."""
    beside = any(PEERS[c["peer"]].outside and CASES[c["case"]].large for c in cells)
    taken = environment.get("XLA_PYTHON_CLIENT_PREALLOCATE", "").lower()
    if not beside or taken in ("false", "0"):
        return []
    return [
        "jax takes three quarters of the device's memory for itself: with "
        "XLA_PYTHON_CLIENT_PREALLOCATE=false PyTorch's large nets have room"
    ]


def _has_net(cell: Cell) -> bool:
    """Whether a large case's net is there in a peer; others say it in a row."""
    return not CASES[cell["case"]].large or cell["peer"] in LARGE


def cost(cells: Sequence[Cell], shared: Shared) -> Cost:
    case, shape = CASES[cells[0]["case"]], shape_of(cells[0])
    states, parameters = case.states(shape), case.parameters(shape)
    # Of each side weights and momentum; gradients and activations of one at a time.
    floats = parameters * (2 * len(cells) + 6) + 6 * states
    if case.large:  # one side at a time, its activations in half precision
        floats = 4 * parameters + states
    memory = int(4 * floats) + 2**29
    work = 6 * shape.batch * parameters + 50 * states  # operations, roughly
    seconds = (cells[0]["rounds"] + 4) * len(cells) * work / 3e10
    if case.large and shape == case.shape:  # of an H100, most of it compiling
        seconds = case.large
    return Cost(memory, memory, seconds)


def measure(cells: Sequence[Cell], shared: Shared, memory: int) -> list[Measured]:
    """One Measured for each peer; all are run in turn, ours always among them."""
    case, threads = CASES[cells[0]["case"]], host.cores()
    task = case.task(shape_of(cells[0]))
    peers = {cell["peer"]: PEERS[cell["peer"]] for cell in cells}
    reasons = {name: _absent(peer, case) for name, peer in peers.items()}
    others = {n: p for n, p in peers.items() if n != BASE and not reasons[n]}
    with contextlib.ExitStack() as stack:
        if not torch_loop.absent():
            stack.enter_context(torch_loop.configured(threads))
        compare = comparison.compare_large if case.large else comparison.compare
        values = compare(case, task, others, cells[0]["rounds"])
    return [
        _measured(reasons[cell["peer"]], values.get(cell["peer"]), threads)
        for cell in cells
    ]


def _absent(peer: Peer, case: Case) -> str:
    """Why a peer takes no steps here; "" where it does."""
    if peer.name != BASE and case.form not in peer.nets:
        return f"{peer.name} has no net for {case.form}"
    if case.large and peer.name not in LARGE:
        return f"{peer.name} is not trained in half precision here, as {case.name} is"
    return peer.absent()


def _measured(
    absent: str, values: Mapping[str, Any] | str | None, threads: int
) -> Measured:
    if absent or values is None:
        return Measured("absent", absent, {})
    if isinstance(values, str):
        return Measured(STATUSES.get(values.partition(":")[0], "absent"), values, {})
    values = {**values, "threads": threads, "load": os.getloadavg()[0]}
    if values["agrees"]:
        return Measured("ok", "", values)
    return Measured("differs", comparison.differs(values), values)


def _ratio(row: Seen) -> Estimate:
    """A median ratio; its error from its quartiles, as if it were normal."""
    error = 0.93 * (row["ratio_high"] - row["ratio_low"]) / row["n"] ** 0.5
    return mean(row["ratio"], error, row["n"])


def _peer(row: Seen) -> bool:
    return row["peer"] != BASE


def _claim(key: str, tag: str, says: str, least: float, scope, estimate) -> Claim:
    """A claim on a ratio, a peer's time over ours."""
    return Claim(
        key,
        says,
        "depthbench's own bar",
        tag=tag,
        estimate=estimate,
        published="at least 1",
        allows=above(least),
        scope=scope,
        doubt=lambda row: "" if report.quiet(row) else "another program was at work",
        label=("case", "peer"),
    )


CLAIMS = (
    _claim(
        "depthbench.step-no-slower-than-peers",
        "P1",
        "a training step takes no longer than any peer's",
        1.0,
        _peer,
        _ratio,
    ),
    _claim(
        "depthbench.step-as-fast-as-by-hand",
        "P2",
        "a training step takes at most 2 % longer than one written by hand in JAX",
        0.98,
        lambda row: row["peer"] == "jax",
        _ratio,
    ),
    # One first step each: the same one differs by some 10 % from run to run.
    _claim(
        "depthbench.first-step-no-later",
        "P3",
        "at depth 1,000 the first step is done no later than any peer's, to 10 %",
        0.9,
        lambda row: _peer(row) and row["case"] == "mlp_1000",
        lambda row: exact(row["first_ratio"]),
    ),
)

STUDY = Study(
    name="peers",
    kind="benchmark",
    question="Does a training step take as long here as in other libraries?",
    source="measured here, against each library's own modules and JAX by hand",
    axes=AXES,
    sizes=SIZES,
    fit=fit,
    plan=Plan(group=all_but("peer"), cost=cost),
    measure="depthbench.benchmarks.peers.study:measure",
    columns=tuple(
        "case peer batch length width depth rounds status reason step_ms first_step_s "
        "ratio ratio_low ratio_high first_ratio agrees largest_difference step_ms_low "
        "step_ms_high n threads load form peak_gib".split()
    ),
    claims=CLAIMS,
    headline=report.headline,
    tables=report.tables,
    figures=report.draw_figures,
    compile_seconds=40.0,
    timings=tuple(
        "step_ms first_step_s ratio ratio_low ratio_high first_ratio step_ms_low "
        "step_ms_high n load".split()
    ),
    threads=1,
)
