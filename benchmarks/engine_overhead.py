"""What does it cost to run a sweep in other processes?

One sweep by threads, Ray and submitit's local jobs, in turn on one machine, each as a whole
command: once with an empty cache of compiled programs, and once with the cache that this
filled. What is compared is the sweep, from its first cell to its last row; beginning an
engine is beside it.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib import util
from pathlib import Path
from typing import Any, NamedTuple

from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.engine import children
from depthbench.research.lazy import lazily
from depthbench.research.store import provenance
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim, Seen
from depthbench.research.study.declaration import (
    Cell,
    Cost,
    Headline,
    Measured,
    Plan,
    Row,
    Shared,
    Study,
)
from depthbench.research.study.doubts import certain
from depthbench.research.study.estimates import Estimate, below, mean
from depthbench.research.study.headlines import measured
from depthbench.research.study.plan import all_but
from depthbench.research.study.tables import Mark, Table, number, ranged

with lazily():
    import numpy as np

    from depthbench.research.machine import timing

SECONDS = 3600  # that a sweep may take
MEMORY = 2**31  # bytes that one may use
SWEEP = "gradient_flow"  # the study that is run


class Way(NamedTuple):
    """An engine, as `--on` has it, and the module that it needs."""

    name: str
    on: str
    module: str
    source: str


WAYS = Catalogue(
    "engine",
    [
        Way(
            "threads",
            "local",
            "",
            "threads of one process, which share what they compile",
        ),
        Way("ray", "ray", "ray", "Moritz et al. 2018, arXiv:1712.05889"),
        Way(
            "submitit",
            "slurm:any,cluster=local",
            "submitit",
            "one process for each job",
        ),
    ],
)
BASE = "threads"


class Beginning(NamedTuple):
    """What a sweep begins with."""

    name: str
    source: str


CACHES = Catalogue(
    "cache",
    [
        Beginning("cold", "nothing is compiled yet"),
        Beginning("warm", "all that the same sweep has compiled"),
    ],
)


class Sweep(NamedTuple):
    """How long a sweep is. words: after the study's name. seconds: about, on two cores."""

    name: str
    words: tuple[str, ...]
    seconds: float
    source: str


SWEEPS = Catalogue(
    "sweep",
    [
        Sweep(
            "smoke", ("--size", "smoke"), 10.0, f"{SWEEP} at its smoke size: seconds"
        ),
        Sweep("standard", (), 50.0, f"{SWEEP} at its standard size: half a minute"),
        Sweep(
            "minutes",
            ("--seeds", "12"),
            140.0,
            f"{SWEEP} of 12 seeds and not 3: minutes",
        ),
    ],
)


class Took(NamedTuple):
    """Seconds of a command: its sweep, and all of it."""

    sweep: float
    command: float


def measure(cells: Sequence[Cell], shared: Shared, memory: int) -> list[Measured]:
    """One Measured for each cell; every engine is run in turn, threads too."""
    wanted = dict.fromkeys([BASE, *(str(cell["engine"]) for cell in cells)])
    absent = {name: WAYS[name].module for name in wanted if not here(WAYS[name])}
    took: dict[tuple[str, str], list[Took]] = {}
    for turn in range(int(cells[0]["rounds"])):
        names = [name for name in wanted if name not in absent]
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            for cache, spent in both(WAYS[name], SWEEPS[str(cells[0]["sweep"])]):
                took.setdefault((name, cache), []).append(spent)
    return [
        Measured("absent", f"{absent[cell['engine']]} is not installed", {})
        if cell["engine"] in absent
        else Measured("ok", "", values(took, str(cell["engine"]), str(cell["cache"])))
        for cell in cells
    ]


def here(way: Way) -> bool:
    """Whether what an engine needs is installed."""
    return not way.module or util.find_spec(way.module) is not None


def both(way: Way, of: Sweep) -> Iterator[tuple[str, Took]]:
    """What a sweep takes with an empty cache, and then with the one that it filled."""
    with tempfile.TemporaryDirectory(prefix="depthbench-") as folder:
        for cache in ("cold", "warm"):
            yield cache, sweep(way, of, Path(folder), cache)


def sweep(way: Way, of: Sweep, folder: Path, name: str) -> Took:
    """What one command takes. Raises RuntimeError where it fails."""
    paths = [str(provenance.ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    out = folder / name
    command = [sys.executable, "-m", "depthbench", "run", SWEEP, *of.words]
    command += ["--format", "csv", "--on", way.on, "--out", str(out)]
    began = time.perf_counter()
    done = children.run(command, environment, SECONDS)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{way.name}: {done.stderr[-2000:]}")
    history = json.loads((out / "run.json").read_text())["history"]
    return Took(sum(event.get("seconds", 0.0) for event in history), seconds)


def values(
    took: dict[tuple[str, str], list[Took]], engine: str, cache: str
) -> dict[str, Any]:
    """A way's times, and their ratio to those of threads in the same turn."""
    mine, base = (np.array(took[name, cache]) for name in (engine, BASE))
    ratio, whole = (timing.ratio(mine[:, n], base[:, n]) for n in range(2))
    error = float(np.std(mine[:, 0] / base[:, 0], ddof=1)) if len(mine) > 1 else None
    return {
        "sweep_s": float(np.median(mine[:, 0])),
        "command_s": float(np.median(mine[:, 1])),
        "n": len(mine),
        "ratio": ratio.median,
        "ratio_low": ratio.low,
        "ratio_high": ratio.high,
        "ratio_se": error and error / len(mine) ** 0.5,
        "command_ratio": whole.median,
    }


def cost(cells: Sequence[Cell], shared: Shared) -> Cost:
    """Of a unit: each cell's sweep, so many times."""
    seconds = sum(SWEEPS[str(c["sweep"])].seconds * int(c["rounds"]) for c in cells)
    return Cost(MEMORY, MEMORY, seconds)


def of_ratio(row: Seen) -> Estimate:
    return mean(row["ratio"], row["ratio_se"], row["n"] or 0)


def headline(rows: Sequence[Row]) -> Headline:
    """What other processes cost, at best and at worst."""
    others = [row for row in measured(rows) if row["engine"] != BASE]
    if not others:
        return Headline("Only threads were run.")
    named = lambda row: f"{row['engine']} with a {row['cache']} cache"
    least, most = (f(others, key=lambda row: row["ratio"]) for f in (min, max))
    return Headline(
        f"In other processes a sweep takes {least['ratio']:.2f} ({named(least)}) to "
        f"{most['ratio']:.2f} times as long as on threads.",
        f"Worst: {named(most)}; the whole command {most['command_ratio']:.2f} times as "
        "long.",
    )


def tables(rows: Sequence[Row]) -> list[Table]:
    """A line for each engine and cache."""
    body = []
    for row in rows:
        label = row["engine"], row["cache"]
        if row["status"] != "ok":
            body.append((*label, "", "", Mark(row["reason"], "dim"), "", ""))
            continue
        quartiles = row["ratio_low"], row["ratio_high"]
        tone = "good" if row["ratio"] <= 1.1 else "warning"
        ratio = Mark(ranged(row["ratio"], *quartiles, digits=2, form="f"), tone)
        shown = number(row["sweep_s"]), number(row["command_s"])
        body.append(
            (*label, *shown, ratio, number(row["command_ratio"]), str(row["n"]))
        )
    headers = "engine cache sweep_s command_s ratio command_ratio n"
    title = "A sweep beside the same one on threads (quartiles)"
    return [Table(title, tuple(headers.split()), tuple(body))]


STUDY = Study(
    name="engine_overhead",
    kind="benchmark",
    question="What does it cost to run a sweep in other processes?",
    source="measured here; Ray: Moritz et al. 2018, arXiv:1712.05889",
    axes={
        "engine": Axis("what runs the sweep", tuple(WAYS), WAYS),
        "cache": Axis("compiled programs at the beginning", tuple(CACHES), CACHES),
        "sweep": Axis(f"how long {SWEEP} is", ("minutes",), SWEEPS, single=True),
        "rounds": Axis(
            "repetitions", (3,), kind="integer", low=1, high=10**3, single=True
        ),
    },
    sizes={
        "smoke": {"engine": (BASE,), "sweep": ("smoke",), "rounds": (1,)},
        "full": {"rounds": (7,)},
    },
    plan=Plan(group=all_but("engine", "cache"), cost=cost),
    measure="depthbench.benchmarks.engine_overhead:measure",
    columns=tuple(
        "engine cache sweep rounds status reason sweep_s command_s n ratio ratio_low "
        "ratio_high ratio_se command_ratio".split()
    ),
    claims=(
        Claim(
            "depthbench.engines-cost-a-tenth",
            "a sweep of minutes takes, with a warm cache of compiled programs, at most a "
            "tenth longer in other processes than on threads",
            "depthbench's own bar",
            estimate=of_ratio,
            allows=below(1.1),
            scope=lambda row: (
                row["engine"] != BASE
                and (row["cache"], row["sweep"]) == ("warm", "minutes")
            ),
            label=("engine",),
            doubt=certain,
        ),
    ),
    headline=headline,
    tables=tables,
    compile_seconds=0.0,
    timings=tuple(
        "sweep_s command_s n ratio ratio_low ratio_high ratio_se command_ratio".split()
    ),
    threads=1,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
