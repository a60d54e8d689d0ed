"""What does it cost, and bring, to split training over more devices?

Each mesh is timed in turn with the same work on one of its devices: strong scaling shares
one device's examples out, weak scaling gives every device as many. On a CPU the devices
are virtual and share its cores: there is nothing to be won, and what a row then says is
what splitting costs.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.engine import children
from depthbench.research.lazy import lazily
from depthbench.research.learning import sharding
from depthbench.research.store import provenance
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import (
    Cell,
    Headline,
    Measured,
    Plan,
    Row,
    Shared,
    Study,
    fixed,
)
from depthbench.research.study.errors import Refusal
from depthbench.research.study.headlines import counted, measured
from depthbench.research.study.tables import Mark, Table, number, ranged

with lazily():
    import jax
    import numpy as np

    from depthbench.research.catalogues import optimizers
    from depthbench.research.learning import examples, recipe, supervised, sweeps
    from depthbench.research.machine import timing

SHARED = "devices share cores"
SECONDS = 300  # that a cell's own process may take


class Split(NamedTuple):
    """A way to split, or how much is split."""

    name: str
    source: str


MESHES = Catalogue(
    "mesh",
    [
        Split("data", "the batch: Goyal et al. 2017, arXiv:1706.02677"),
        Split("parameters", "fully sharded: Rajbhandari et al. 2020, arXiv:1910.02054"),
        Split("cells", "an ensemble's runs, which need nothing of one another"),
    ],
)
WORKS = Catalogue(
    "work",
    [
        Split("strong", "one device's examples shared out: Amdahl 1967"),
        Split("weak", "as many examples for each device: Gustafson 1988"),
    ],
)


def fit(cells: list[Cell], typed: Set[str]) -> tuple[list[Cell], list[str]]:
    """The cells. Raises Refusal where devices cannot have equal shares."""
    for cell in cells:
        if cell["batch"] % cell["devices"]:
            raise Refusal(
                f"--batch {cell['batch']}: must be divisible by {cell['devices']} devices"
            )
    return cells, []


def measure(cells: Sequence[Cell], shared: Shared, memory: int) -> list[Measured]:
    """One Measured for each cell."""
    return [on_devices(cell) for cell in cells]


def on_devices(cell: Cell) -> Measured:
    """One Measured: on the devices there are, or on a CPU in a process with as many."""
    if jax.default_backend() != "cpu":
        have = jax.device_count()
        if have < cell["devices"]:
            return Measured("absent", f"there are only {have} here", {})
        return Measured("ok", "", values(cell))
    # How many devices a CPU has is settled once, when jax starts.
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    environment["JAX_NUM_CPU_DEVICES"] = str(cell["devices"])
    paths = [str(provenance.ROOT), os.environ.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    command = [sys.executable, "-m", __name__, json.dumps(cell)]
    done = children.run(command, environment, SECONDS)
    if done.returncode:
        stderr = done.stderr[-2000:]
        raise RuntimeError(stderr or f"its process ended with {done.returncode}")
    results = json.loads(done.stdout.splitlines()[-1])
    return Measured("ok", SHARED, {**results, "efficiency": None})


def values(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Times of a mesh of all devices and of one of them, in turn."""
    many = sharding.Shape(**{str(cell["mesh"]): int(cell["devices"])})
    one = sharding.Shape()
    weak = cell["work"] == "weak"
    # A device's work: a batch of one run, or as many runs as there are devices.
    batch, runs = int(cell["batch"]), 1
    if many.cells > 1:
        runs = 1 if weak else many.cells
    elif weak:
        batch //= many.parts
    ways = {
        "one": (one, batch, runs),
        "many": (many, batch * many.parts, runs * many.cells)
        if weak
        else (many, batch, runs),
    }
    calls = {name: call(cell, *way) for name, way in ways.items()}
    seconds = timing.interleaved(calls, int(cell["rounds"]))
    examples = {name: b * n for name, (_, b, n) in ways.items()}
    spent = timing.times(seconds["many"])
    each = timing.ratio(
        seconds["many"] / examples["many"], seconds["one"] / examples["one"]
    )
    step_ms = spent.median_ms / int(cell["steps"])
    return {
        "examples": examples["many"],
        "step_ms": step_ms,
        "examples_per_s": examples["many"] / step_ms * 1e3,
        "n": spent.n,
        "per_example": each.median,
        "per_example_low": each.low,
        "per_example_high": each.high,
        "efficiency": 1 / (each.median * many.devices),
    }


def call(cell: Mapping[str, Any], shape: Any, batch: int, runs: int) -> Any:
    """The compiled steps of some runs over the first devices, waiting to be called."""
    mesh = sharding.mesh(shape, jax.devices()[: shape.devices])
    sizes = {"depth": int(cell["depth"]), "width": int(cell["width"])}
    chosen = recipe.Recipe(activation="tanh", batch=batch, **sizes)
    steps = int(cell["steps"])
    hyper = optimizers.OPTIMIZERS["adam"].hyper(learning_rate=1e-3, steps=float(steps))
    numbers = supervised.Numbers(supervised.UNIT, hyper)
    group = [sweeps.Run(seed, numbers) for seed in range(runs)]
    programs = sweeps.of_recipe(chosen, steps, runs > 1, mesh)
    seeds, hypers = sweeps.arguments(group)
    everywhere = sharding.place(mesh)
    train, _ = examples.splits(chosen)
    arrays = hypers, examples.first(train), np.int32(steps)
    hypers, data, count = sharding.put(arrays, everywhere)
    states = [programs.init(seeds, hypers)]

    def advance():
        # The state goes on from call to call: a step takes as long at any.
        states[0], log = programs.advance(states[0], hypers, data, count)
        return log

    return advance


def headline(rows: Sequence[Row]) -> Headline:
    """What a mesh brings: examples a second beside one device, best and worst."""
    done = measured(rows)

    def gain(row: Row) -> float:
        return 1 / row["per_example"]

    def named(row: Row) -> str:
        return f"{row['mesh']}, {row['work']} ({counted(row['devices'], 'device')})"

    best, worst = max(done, key=gain), min(done, key=gain)
    shared = all(row["efficiency"] is None for row in done)
    note = "; here the devices share cores, so this is the cost of splitting" * shared
    return Headline(
        f"Beside one device a mesh trains {gain(worst):.2f} to {gain(best):.2f} times as "
        f"many examples a second; most with {named(best)}{note}.",
        f"Worst: {named(worst)}, {worst['per_example']:.2f} times one device's time an "
        "example.",
    )


def tables(rows: Sequence[Row]) -> list[Table]:
    """A line for each mesh; no efficiency where devices share cores."""
    body = []
    for row in rows:
        label = tuple(number(row[name]) for name in ("mesh", "work", "devices"))
        if row["status"] != "ok":
            body.append((*label, *[""] * 4, Mark(row["reason"], "dim")))
            continue
        quartiles = row["per_example_low"], row["per_example_high"]
        ratio = ranged(row["per_example"], *quartiles, digits=2, form="f")
        share = row["efficiency"]
        efficiency = Mark(SHARED, "dim")
        if share is not None:
            efficiency = Mark(f"{share:.0%}", "good" if share >= 0.8 else "bad")
        shown = [number(row[n]) for n in ("examples", "step_ms", "examples_per_s")]
        body.append((*label, *shown, ratio, efficiency))
    title = "A step on a mesh; time per example beside one device's (quartiles)"
    headers = "mesh work devices examples step_ms examples_per_s per_example efficiency"
    return [Table(title, tuple(headers.split()), tuple(body))]


STUDY = Study(
    name="scaling",
    kind="benchmark",
    question="What does it cost, and bring, to split training over more devices?",
    source="measured here; efficiency as in Goyal et al. 2017, arXiv:1706.02677",
    axes={
        "mesh": Axis("what is split", tuple(MESHES), MESHES),
        "work": Axis("how much is split", tuple(WORKS), WORKS),
        "devices": Axis("number of devices", (8,), kind="integer", low=2, high=10**4),
        "depth": Axis("layers", (8,), kind="integer", low=1, high=10**4, single=True),
        "width": Axis("units", (256,), kind="integer", low=2, high=10**5, single=True),
        "batch": Axis(
            "examples in all; of each device where work is weak and runs are split",
            (512,),
            kind="integer",
            low=2,
            high=10**6,
            single=True,
        ),
        "steps": Axis(
            "steps per call", (4,), kind="integer", low=1, high=10**5, single=True
        ),
        "rounds": Axis(
            "repetitions", (7,), kind="integer", low=2, high=10**4, single=True
        ),
    },
    sizes={
        "smoke": {
            "mesh": ("data",),
            "work": ("strong",),
            "devices": (2,),
            "depth": (2,),
            "width": (16,),
            "batch": (32,),
            "rounds": (2,),
        },
        "full": {
            "devices": (2, 4, 8),
            "depth": (32,),
            "width": (2048,),
            "batch": (8192,),
            "steps": (20,),
            "rounds": (15,),
        },
    },
    fit=fit,
    plan=Plan(cost=fixed(memory=2**30, seconds=8.0)),
    measure="depthbench.benchmarks.scaling:measure",
    columns=tuple(
        "mesh work devices depth width batch steps rounds status reason examples step_ms "
        "examples_per_s per_example per_example_low per_example_high n efficiency".split()
    ),
    headline=headline,
    tables=tables,
    compile_seconds=0.0,
    timings=tuple(
        "step_ms examples_per_s per_example per_example_low per_example_high n "
        "efficiency".split()
    ),
    threads=1,
)

if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("{"):  # a cell, in a process of its own
        print(json.dumps(values(json.loads(sys.argv[1]))))
    else:
        from depthbench.research.cli.main import script

        script(STUDY.name)
