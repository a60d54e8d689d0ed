"""What does depth cost? Time, memory and operations, beside what the machine can do.

Each row times a net's outputs, its gradient or a whole training step. The machine's own
rates, of matrix products and of copies, are measured before and after in the same run:
a row's share is the time these alone would allow over the time it took.
"""

import itertools
import math
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any

from depthbench.benchmarks.throughput import figures as throughput_figures
from depthbench.benchmarks.throughput import profiled
from depthbench.benchmarks.throughput import programs as throughput_programs
from depthbench.benchmarks.throughput import show as throughput_report
from depthbench.benchmarks.throughput.programs import MODES
from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.loops import LOOPS
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.dtypes import DTYPES
from depthbench.research.catalogues.optimizers import OPTIMIZERS
from depthbench.research.cli import profiling
from depthbench.research.lazy import lazily
from depthbench.research.study import families
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import (
    Cell,
    Cost,
    Measured,
    Plan,
    Shared,
    Study,
)
from depthbench.research.study.plan import all_but

with lazily():
    import jax

    from depthbench.research.engine import profiling as profiles
    from depthbench.research.machine import ceilings, operations, timing

SECONDS = 0.3  # at least, for the steps of a row
GIB = 2**30
UNPROFILED = "none"
OPERATIONS = 5  # of a profiled row, which has the longest alone

AXES = {
    "architecture": Axis(
        "how layers are connected",
        (
            "mlp",
            "resnet",
            "lstm",
            "transformer_pre_ln",
            "alexnet_small",
        ),
        ARCHITECTURES,
    ),
    "depth": Axis(  # squares: their roots, which are kept, are whole numbers
        "number of layers", (9, 16, 36, 64), kind="integer", low=1, high=10**5
    ),
    "width": Axis("units per layer", (64,), kind="integer", low=1, high=10**5),
    "activation": Axis("the nonlinearity", ("relu",), ACTIVATIONS),
    "batch": Axis("examples per batch", (64,), kind="integer", low=1, high=10**6),
    "length": Axis(
        "pixels a side, steps of a sequence, or numbers (default: by architecture)",
        (None,),
        kind="integer",
        low=1,
        high=10**6,
    ),
    "classes": Axis("outputs", (10,), kind="integer", low=2, high=10**6),
    "optimizer": Axis("the update rule", ("adam",), OPTIMIZERS),
    "dtype": Axis("dtype of matrix products", ("float32",), DTYPES),
    "mode": Axis("what is timed", tuple(MODES), MODES),
    "loop": Axis("how the layers of a stage are looped over", ("auto", "remat"), LOOPS),
    "rounds": Axis(
        "timed calls, at least", (7,), kind="integer", low=3, high=10**5, single=True
    ),
    "profile": Axis(
        "DIR[:STEPS]: a new folder for traces of that many further calls, by jax",
        (UNPROFILED,),
        kind="text",
        single=True,
        implied=UNPROFILED,
        adds=("profiled", "operations"),
    ),
}
SIZES = {
    "smoke": {
        "architecture": ("mlp",),
        "depth": (4, 9, 16),
        "width": (16,),
        "batch": (32,),
        "mode": ("gradient",),
        "rounds": (3,),
    },
    "full": {
        "architecture": ("mlp", "lstm", "resnet", "transformer_pre_ln"),
        "depth": (9, 16, 36),
        "width": (1024,),
        "batch": (512,),
        "dtype": ("bfloat16",),
        "mode": ("gradient", "step"),
        "rounds": (15,),
    },
}


def fit(cells: Sequence[Cell], typed: Set[str]) -> tuple[list[Cell], list[str]]:
    """What can be built. Another loop than a scan is for layers to repeat; keeping less is
    asked of gradients, and of steps if it is typed, as without one it changes nothing."""
    for text in {str(cell.get("profile", UNPROFILED)) for cell in cells} - {UNPROFILED}:
        profiling.asked(
            text, kept=lambda path: any((path / n).exists() for n in profiling.TRACE)
        )
    buildable, lines = families.fit(cells, typed, throughput_programs.shape)
    modes = ("gradient", "step") if "loop" in typed else ("gradient",)
    able = [
        cell
        for cell in buildable
        if cell["loop"] in ("auto", "scan")
        or (_repeats(cell) and (cell["loop"] != "remat" or cell["mode"] in modes))
    ]
    return able or buildable, lines


def _repeats(cell: Cell) -> bool:
    """Whether the net is one of any number of layers."""
    depths = ARCHITECTURES[str(cell["architecture"])].depths
    deep = max(depths.examples)
    return any(depths.allows(depth) for depth in range(deep + 1, deep + 9))


def cost(cells: Sequence[Cell], shared: Shared) -> Cost:
    needs = [memory_of(cell) for cell in cells]
    seconds = 6.0 + sum(4.0 + max(0.5, _seconds(cell)) for cell in cells)
    return Cost(min(needs), max(needs), seconds)


def _numbers(cell: dict[str, Any]) -> tuple[float, float]:
    """About how many a net's weights are, and the states and inputs of a batch."""
    family, width = ARCHITECTURES[cell["architecture"]], cell["width"]
    example = throughput_programs.shape(cell)
    weights = family.kernels * width * (width + 1) * (cell["depth"] + 1)
    places = cell["batch"] * math.prod(example[: family.space])
    if family.space == 0 and family.takes == "sequence":  # steps share their weights
        weights /= cell["depth"] + 1
    states = 8 * places * width * (cell["depth"] + 1)
    # ResNet-50 keeps some hundred numbers for each of an image.
    often = 100 if family.takes == "image" and family.space == 0 else 16
    return weights, states + often * cell["batch"] * math.prod(example)


def memory_of(cell: dict[str, Any]) -> int:
    """Bytes, about: weights, their averages and gradients, states, the copies' arrays."""
    weights, states = _numbers(cell)
    return int(20 * weights + DTYPES[cell["dtype"]].bytes * states) + 2**30


def _seconds(cell: dict[str, Any]) -> float:
    """Of all of a cell's calls on two cores, about."""
    family = ARCHITECTURES[cell["architecture"]]
    weights, states = _numbers(cell)
    places = math.prod(throughput_programs.shape(cell)[: family.space])
    often = cell["depth"] if family.space == 0 and family.takes == "sequence" else 1
    call = 6 * weights * often * cell["batch"] * places / 5e10 + states * 2e-9
    return (cell["rounds"] + 2) * call


def measure(
    cells: Sequence[dict[str, Any]], shared: Shared, memory: int
) -> list[Measured]:
    """One Measured for each cell, between two measurements of the machine."""
    dtype = DTYPES[cells[0]["dtype"]]
    why = dtype.absent()
    if why:
        return [Measured("absent", why, {})] * len(cells)
    with jax.default_matmul_precision(dtype.matmul):
        precision = ceilings.Precision(dtype.dtype, dtype.matmul)
        first = ceilings.ceilings(precision)
        measured: dict[int, Measured] = {}
        for depth in dict.fromkeys(cell["depth"] for cell in cells):
            depth_cells = {n: c for n, c in enumerate(cells) if c["depth"] == depth}
            rows = _at_depth(list(depth_cells.values()), memory)
            measured |= dict(zip(depth_cells, rows, strict=True))
        last = ceilings.ceilings(precision)
    return [_judged(measured[number], first, last) for number in range(len(cells))]


def _at_depth(cells: Sequence[dict[str, Any]], memory: int) -> list[Measured]:
    """Of one depth: the same state and batches for all modes."""
    needs = memory_of(cells[0])
    if needs > memory:
        reason = f"needs about {needs / GIB:.3g} GiB"
        return [Measured("oom", reason, {})] * len(cells)
    data = throughput_programs.keyed_batches(cells[0])
    arguments = (jax.random.key(0), data[0][0]["inputs"])
    start = jax.jit(throughput_programs.start(cells[0]))
    draw = start.lower(*arguments).compile()  # outlives jax's caches, which rows clear
    shapes = jax.eval_shape(lambda *a: a, jax.eval_shape(start, *arguments), data)
    counted: dict[str, float] = {}
    rows = []
    for cell in cells:
        if cell["mode"] not in counted:
            counted[cell["mode"]] = throughput_programs.flops(cell, *shapes)
        try:
            values = _row(cell, draw(*arguments), data, memory)
        except MemoryError as error:
            rows.append(Measured("oom", str(error), {}))
        except Exception as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            rows.append(Measured("oom", str(error).splitlines()[0], {}))
        else:
            results = values.pop("results")
            size = throughput_programs.moved(cell, *shapes, results)
            values |= {"gflop": counted[cell["mode"]] / 1e9, "gib_moved": size / GIB}
            rows.append(Measured("ok", "", values))
    return rows


def _row(cell: dict[str, Any], state: Any, data: tuple, memory: int) -> dict[str, Any]:
    """What is measured of one cell, before it is set beside the machine's rates.

    state: is gone after a training step. results: the shapes of what a call returns.
    """
    program = throughput_programs.program(cell, state, data)
    before = _on_device()
    staged = timing.stages(
        program.function,
        program.held,
        program.batches[0],
        donate=(0,) if program.carried else (),
        memory=memory,
    )
    held = staged.result[0] if program.carried else program.held
    call = program.caller(staged.compiled, held)
    began = ceilings.moment()
    step = timing.repeat(call, cell["rounds"], SECONDS)
    others = ceilings.others(began, ceilings.moment())
    after, plan = _on_device(), timing.planned(staged.compiled)
    positions = _positions(cell)
    return {
        "form": throughput_programs.loop(cell).name,
        "trace_s": staged.trace_s,
        "lower_s": staged.lower_s,
        "compile_s": staged.compile_s,
        "first_step_s": staged.first_step_s,
        "step_ms": step.median_ms,
        "step_ms_low": step.low_ms,
        "step_ms_high": step.high_ms,
        "n": step.n,
        "examples_per_s": 1e3 * cell["batch"] / step.median_ms,
        "tokens_per_s": positions and 1e3 * cell["batch"] * positions / step.median_ms,
        "results": staged.traced.out_info,
        **_xlas(staged),
        "peak_gib": plan and plan.peak / GIB,
        "scratch_gib": plan and plan.scratch / GIB,
        "device_gib": after / GIB if after and before and after > before else None,
        "others_cores": others,
        **_profiled(cell, call),
    }


def _profiled(cell: dict[str, Any], call: Callable[[], Any]) -> dict[str, Any]:
    """What the time of further calls went to, where that is asked for.

    The times before are marked too: what a profiler has done to a process may stay.
    """
    text = str(cell.get("profile", UNPROFILED))
    if text == UNPROFILED:
        return {}
    asked = profiling.of(text)
    names = (cell[name] for name in ("architecture", "depth", "width", "mode", "loop"))
    name = "-".join(str(part).replace("/", "_") for part in names)
    folder = free(asked.folder, name)
    with profiles.traced(folder):
        for _ in range(asked.steps):
            timing.once(call)
    found = profiles.operations(folder)
    profiles.save(folder, found)
    first = (f"{one.name} {one.share:.0%}" for one in found[:OPERATIONS])
    return {"profiled": True, "operations": ", ".join(first)}


def free(folder: Path, name: str) -> Path:
    """A folder of a name, or of the name and a number, that is not there yet."""
    names = (f"{name}{f'.{n}' * (n > 0)}" for n in itertools.count())
    return next(folder / n for n in names if not (folder / n).exists())


def _positions(cell: dict[str, Any]) -> int | None:
    """Steps of an example, where it is a sequence."""
    takes = ARCHITECTURES[cell["architecture"]].takes
    return throughput_programs.shape(cell)[0] if takes == "sequence" else None


def _on_device() -> int | None:
    """The most bytes that the device has held so far, where it says."""
    statistics = jax.devices()[0].memory_stats() or {}
    return statistics.get("peak_bytes_in_use")


def _xlas(staged: Any) -> dict[str, Any]:
    """XLA's counts. Operations beside ours, a loop's body counted once in both; bytes of
    what is compiled, where nothing loops."""
    jaxpr = staged.traced.jaxpr.jaxpr
    lowered, compiled = staged.lowered.cost_analysis(), staged.compiled.cost_analysis()
    loops = operations.loops(jaxpr)
    ours = operations.count(jaxpr, once=True).total
    theirs = lowered and lowered.get("flops", 0.0) + lowered.get("transcendentals", 0.0)
    bytes_seen = compiled.get("bytes accessed") if compiled and not loops else None
    return {
        "loops": loops,
        "flop_ratio": theirs / ours if theirs else None,
        "gib_moved_xla": bytes_seen and bytes_seen / GIB,
    }


def _judged(row: Measured, first: Any, last: Any) -> Measured:
    """The row beside what the machine can do: the best of both measurements."""
    if row.status != "ok":
        return row
    values, seconds = dict(row.values), row.values["step_ms"] / 1e3
    product, copy = max(first.product, last.product), max(first.copy, last.copy)
    by_product = values["gflop"] * 1e9 / product / seconds
    by_copy = values["gib_moved"] * GIB / copy / seconds
    values |= {
        "gflops": values["gflop"] / seconds,
        "intensity": values["gflop"] * 1e9 / (values["gib_moved"] * GIB),
        "product_gflops": product / 1e9,
        "product_drift": last.product / first.product - 1,
        "copy_gib_s": copy / GIB,
        "copy_drift": last.copy / first.copy - 1,
        "product_share": by_product,
        "share": max(by_product, by_copy),
        "bound": "products" if by_product >= by_copy else "copies",
        "denormals": ceilings.denormals(),
    }
    return row._replace(values=values)


STUDY = Study(
    name="throughput",
    kind="benchmark",
    question="What does depth cost, in time and memory, beside the machine's limits?",
    source="measured here; roofline: Williams, Waterman & Patterson 2009, CACM 52(4):65",
    axes=AXES,
    sizes=SIZES,
    fit=fit,
    plan=Plan(group=all_but("depth", "mode", "loop"), cost=cost),
    measure="depthbench.benchmarks.throughput.study:measure",
    columns=(
        *AXES,
        *"status reason form trace_s lower_s compile_s first_step_s step_ms step_ms_low "
        "step_ms_high n examples_per_s tokens_per_s gflop gflops flop_ratio loops "
        "gib_moved gib_moved_xla intensity peak_gib scratch_gib device_gib "
        "product_gflops product_drift copy_gib_s copy_drift product_share share bound "
        "others_cores denormals".split(),
    ),
    claims=throughput_report.CLAIMS,
    headline=throughput_report.headline,
    tables=profiled.tables,
    figures=throughput_figures.draw_figures,
    compile_seconds=0.0,  # in a unit's seconds: each of its cells is a program
    timings=tuple(
        "trace_s lower_s compile_s first_step_s step_ms step_ms_low step_ms_high n "
        "examples_per_s tokens_per_s gflops product_gflops product_drift copy_gib_s "
        "copy_drift product_share share bound others_cores device_gib".split()
    ),
    threads=1,
)
