"""Does a training step take as long here as in PyTorch?

The same net, weights, batch and optimizer on every side; outputs, gradients and the
losses of the first steps are found equal before a time is taken.
"""

import functools
import os
import time
from collections.abc import Callable, Sequence, Set
from typing import Any, NamedTuple

import numpy as np

from benchmarks.peers import lstm, resnet20, torch_loop, transformer
from benchmarks.peers.case import Case, Shape
from research.architectures import ARCHITECTURES
from research.catalogue import Catalogue
from research.lazy import lazy
from research.study import figures, provenance
from research.study.axes import Axis
from research.study.claims import Claim
from research.study.declaration import Cell, Figure, Measured, Row, Study, Unit
from research.study.errors import Refusal
from research.study.tables import Mark, Table, number

sides = lazy("benchmarks.peers.sides")
timing = lazy("research.timing")

SMALL = 1e-2  # gradients below this share of the whole are compared with it
STEPS = 3  # their losses are compared: the second depends on the update
REST = 0.005  # seconds: threads of one side spin for a while after its step

CASES: Catalogue[Case] = Catalogue(
    "case", [lstm.CASE, transformer.CASE, *resnet20.CASES]
)


class Peer(NamedTuple):
    """Who takes the steps. absent: why it cannot here; "" if it can."""

    name: str
    source: str
    absent: Callable[[], str] = lambda: ""


def _torch_absent() -> str:
    return "" if torch_loop.present() else torch_loop.ABSENT


BASE = "depthbench"
PEERS: Catalogue[Peer] = Catalogue(
    "peer",
    [
        Peer(BASE, "ours: the others' times are divided by its"),
        Peer("torch", "PyTorch as it is, its own modules", _torch_absent),
        Peer("torch_compiled", "the same by torch.compile", _torch_absent),
    ],
)


def _size(says: str) -> Axis:
    return Axis(f"{says} (default: the case's own)", (None,), None, "integer", 1, 10**5)


AXES = {
    "case": Axis("the net", tuple(CASES), CASES),
    "peer": Axis("who trains it", tuple(PEERS), PEERS),
    "batch": _size("examples"),
    "length": _size("steps of a sequence, or an image's side"),
    "width": _size("units, or first channels"),
    "depth": _size("layers"),
    "rounds": Axis(
        "steps of each peer", (40,), kind="integer", low=1, high=10**5, single=True
    ),
}
SIZES = {
    "smoke": {
        "batch": (4,),
        "length": (8,),
        "width": (16,),
        "rounds": (2,),
    },
    "full": {"rounds": (200,)},
}


def shape_of(cell: Cell) -> Shape:
    """The cell's shape: the case's own where nothing else is asked for."""
    own = CASES[cell["case"]].shape
    asked = {n: cell[n] for n in Shape._fields if cell[n] is not None}
    return own._replace(**asked)


def fit(cells: Sequence[Cell], typed: Set[str]) -> tuple[list[Cell], list[str]]:
    """All cells. Raises Refusal where a net has no such depth or width."""
    for cell in cells:
        family, shape = ARCHITECTURES[CASES[cell["case"]].architecture], shape_of(cell)
        own = family.published_normalizer
        why = family.refuses(shape.depth, "relu", own, shape.width, shape.length)
        if why:
            raise Refusal(f"--case {cell['case']}: {why}")
    return list(cells), []


def plan(cells: Sequence[Cell]) -> list[Unit]:
    """A unit for each net: its peers are run in turn, in one process."""
    groups: dict[tuple, list[Cell]] = {}
    for cell in cells:
        key = tuple(value for name, value in cell.items() if name != "peer")
        groups.setdefault(key, []).append(cell)
    units = []
    for key, group in groups.items():
        shape, rounds = shape_of(group[0]), group[0]["rounds"]
        states = shape.batch * shape.length * shape.width * shape.depth
        memory = 4 * 64 * states + 2**28
        seconds = (rounds + 4) * len(group) * states * 1e-7 + 15 * len(group)
        run = functools.partial(measure, group)
        units.append(Unit(tuple(group), key, memory, memory, seconds, run))
    return units


class Trial(NamedTuple):
    """A peer that has been started.

    largest: how far it is from ours, see `apart`. agrees: that is near enough.
    first_s: until its first step's end.
    """

    step: Callable[[], Any]
    first_s: float
    largest: float
    agrees: bool


def measure(cells: Sequence[Cell], memory: int) -> list[Measured]:
    """One Measured for each peer; all are run in turn, ours always among them."""
    case, threads = CASES[cells[0]["case"]], provenance.cores()
    task = case.task(shape_of(cells[0]))
    reasons = {cell["peer"]: PEERS[cell["peer"]].absent() for cell in cells}
    names = [name for name, why in reasons.items() if not why and name != BASE]
    if not names:
        trials = start(case, task, ())
        taken = take(trials, cells[0]["rounds"])
    else:
        with torch_loop.settled(threads):
            trials = start(case, task, names)
            taken = take(trials, cells[0]["rounds"])
    values = {name: _values(name, trials[name], taken) for name in trials}
    return [
        _measured(reasons[cell["peer"]], values.get(cell["peer"]), threads)
        for cell in cells
    ]


def start(case: Case, task: Any, names: Sequence[str]) -> dict[str, Trial]:
    """Ours and the named peers, each after its first steps, compared with ours."""
    own = sides.ours(task)
    first = timing.first(own.step)
    gradients = own.gradients()
    seen = _seen(first.result, own.step)
    trials = {BASE: Trial(own.step, first.total_s, 0.0, True)}
    for name in names:
        side, tied = sides.torches(task, case, compiled=name == "torch_compiled")
        first = timing.first(side.step)
        found = side.gradients()
        largest = max(
            apart(found, tied(gradients)), apart(_seen(first.result, side.step), seen)
        )
        agrees = largest <= case.tolerance
        trials[name] = Trial(side.step, first.total_s, largest, agrees)
    return trials


def _seen(first: tuple[Any, Any], step: Callable) -> list[np.ndarray]:
    """The outputs of the first step, and the losses of the first few."""
    loss, outputs = first
    losses = [loss, *(step()[0] for _ in range(STEPS - 1))]
    return [np.asarray(outputs), np.asarray(list(map(float, losses)))]


def apart(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """The largest relative difference of arrays, one by one.

    What is nearly nothing beside the rest (a key's bias has no gradient at all, but for
    rounding) is compared with a share of the whole instead of with itself.
    """
    norm = lambda array: float(np.linalg.norm(np.asarray(array, np.float64)))
    whole = norm([norm(array) for array in expected])
    pairs = zip(found, expected, strict=True)
    return max(norm(a - b) / max(norm(b), SMALL * whole) for a, b in pairs)


def take(trials: dict[str, Trial], rounds: int) -> dict[str, np.ndarray]:
    """Seconds [rounds] of the steps of all that agree, in turn with rests between."""
    calls: dict[str, Callable] = {}
    for name, trial in trials.items():
        if trial.agrees:
            calls[name] = trial.step
            calls[f"rest after {name}"] = lambda: time.sleep(REST)
    return timing.interleaved(calls, rounds)


def _values(name: str, trial: Trial, taken: dict[str, np.ndarray]) -> dict[str, Any]:
    values = {
        "first_step_s": trial.first_s,
        "agrees": trial.agrees,
        "largest_difference": trial.largest,
    }
    if not values["agrees"]:
        return values
    step, ratio = timing.times(taken[name]), timing.ratio(taken[name], taken[BASE])
    return {
        **values,
        "step_ms": step.median_ms,
        "step_ms_low": step.low_ms,
        "step_ms_high": step.high_ms,
        "n": step.n,
        "ratio": ratio.median,
        "ratio_low": ratio.low,
        "ratio_high": ratio.high,
    }


def _measured(absent: str, values: dict[str, Any] | None, threads: int) -> Measured:
    if absent or values is None:
        return Measured("absent", absent, {})
    values = {**values, "threads": threads, "load": os.getloadavg()[0]}
    if values["agrees"]:
        return Measured("ok", "", values)
    far = number(values["largest_difference"])
    reason = f"outputs, gradients or losses differ from ours by {far} of their size"
    return Measured("differs", reason, values)


def tables(rows: Sequence[Row]) -> list[Table]:
    """One line a peer; times beside ours."""
    headers = tuple("case peer step_ms first_step_s ratio agrees n".split())
    body = []
    for row in rows:
        label = (row["case"], row["peer"])
        if row["status"] != "ok":
            tone = "dim" if row["status"] == "absent" else "bad"
            body.append((*label, *[""] * 4, Mark(row["status"], tone)))
            continue
        ratio = f"{row['ratio']:.2f} ({row['ratio_low']:.2f}–{row['ratio_high']:.2f})"
        tone = "dim" if row["peer"] == BASE else "good" if row["ratio"] >= 1 else "bad"
        times = (number(row["step_ms"]), number(row["first_step_s"], 2))
        body.append((*label, *times, Mark(ratio, tone), "yes", number(row["n"])))
    title = f"A training step; ratio: the peer's time over {BASE}'s (quartiles)"
    shown = [Table(title, headers, tuple(body))]
    timed = [row for row in rows if row["status"] == "ok"]
    busy = {(r["case"], number(r["load"])): None for r in timed if not _quiet(r)}
    if busy:
        title = "Taken while others used the machine, and of no worth as times"
        shown.append(Table(title, ("case", "load"), tuple(busy)))
    reasons = {(r["case"], r["peer"], r["reason"]): None for r in rows if r["reason"]}
    if reasons:
        shown.append(Table("Not timed", ("case", "peer", "why"), tuple(reasons)))
    return shown


def draw_figures(rows: Sequence[Row], profiles: Any) -> list[Figure]:
    """Ratios of times to ours; nothing where no peer was timed."""
    timed = [row for row in rows if row["status"] == "ok" and row["peer"] != BASE]
    if not timed:
        return []
    caption = (
        f"A peer's time for a training step over {BASE}'s: median and quartiles of steps "
        "taken in turn. Right of the line the peer takes longer; grey: the machine was "
        "busy."
    )
    return [Figure("figure", caption, functools.partial(_draw, timed))]


def _draw(rows: Sequence[Row]) -> Any:
    figure = figures.new(6.5, 0.9 + 0.35 * len(rows))
    axes = figure.subplots()
    for place, row in enumerate(rows):
        colour = "#1e8449" if row["ratio"] >= 1 else "#c0392b"
        colour = colour if _quiet(row) else "#999999"
        spread = (row["ratio_low"], row["ratio_high"])
        axes.plot(spread, (place, place), color=colour, lw=5, alpha=0.3)
        axes.plot(row["ratio"], place, "o", color=colour)
        label = f"{row['ratio']:.2f}  ({row['step_ms']:.0f} ms)"
        axes.text(row["ratio"], place - 0.18, label, fontsize=7, ha="center")
    axes.axvline(1, color="black", lw=1)
    axes.set_xscale("log", base=2)
    lowest = min(row["ratio_low"] for row in rows)
    highest = max(row["ratio_high"] for row in rows)
    axes.set_xlim(min(0.5, lowest / 1.1), max(2.0, highest * 1.1))
    axes.xaxis.set_major_formatter("{x:g}×")
    axes.set_yticks(range(len(rows)), [f"{r['case']}: {r['peer']}" for r in rows])
    axes.set_ylim(len(rows) - 0.5, -0.6)
    axes.set_xlabel(f"time of a step over {BASE}'s")
    axes.grid(axis="x", alpha=0.25, lw=0.5)
    return figure


def _quiet(row: Row) -> bool:
    """Whether the machine did little else: our own threads, and one more.

    PyTorch's threads wait for each other in a loop; where others take the cores they
    wait for seconds, which says nothing of PyTorch.
    """
    return row["load"] <= row["threads"] + 1


def _error(row: Row) -> float:
    """The standard error of a median ratio, from its quartiles, as if it were normal."""
    return 0.93 * (row["ratio_high"] - row["ratio_low"]) / row["n"] ** 0.5


STUDY = Study(
    name="peers",
    kind="benchmark",
    question="Does a training step take as long here as in PyTorch?",
    source="measured here, against PyTorch's own modules",
    axes=AXES,
    sizes=SIZES,
    fit=fit,
    plan=plan,
    columns=tuple(
        "case peer batch length width depth rounds status reason step_ms first_step_s "
        "ratio ratio_low ratio_high agrees largest_difference step_ms_low "
        "step_ms_high n threads load".split()
    ),
    claims=(
        Claim(
            "P1",
            "a training step takes no longer than PyTorch's",
            "depthbench's own bar",
            gap=lambda row: max(0.0, 1 - row["ratio"]),
            error=_error,
            published="at least 1",
            ours=lambda row: row["ratio"],
            within=0.0,
            scope=lambda row: row["peer"] != BASE and _quiet(row),
            label=("case", "peer"),
            repeats="n",
        ),
    ),
    tables=tables,
    figures=draw_figures,
    compile_seconds=10.0,
    threads=1,
)

if __name__ == "__main__":
    from research.study.command import script

    script(STUDY.name)
