"""What do training's loop, sweeps, probes and checkpoints cost?

Four questions, each with ways that are run in turn on equal nets and batches:

- grid: 64 runs (seeds × learning rates) of one net: our sweep, its other forms, PyTorch
- loop: a compiled run of many steps, beside the bare jitted step
- probe: the same run with the gradient of every layer taken every 50 steps
- checkpoint: the same run saved every second
"""

from collections.abc import Callable, Sequence
from typing import Any

from depthbench.benchmarks.training_speed.ways import (
    BASE,
    EVERY,
    RATES,
    SAVED_EVERY,
    WAYS,
    TrainingTask,
    task_of,
)
from depthbench.research.lazy import lazily
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
from depthbench.research.study.estimates import Estimate, above, below, mean
from depthbench.research.study.headlines import counted, listed, measured
from depthbench.research.study.tables import Mark, Table, number, ranged

with lazily():
    import numpy as np

    from depthbench.research.machine import timing

# Losses of the first steps: later ones differ as float32 sums in another order grow.
COMPARED, TOLERANCE = 10, 1e-3


def question_of(cell: Cell) -> str:
    return WAYS[str(cell["way"])].question


def cost(cells: Sequence[Cell], shared: Shared) -> Cost:
    cell = cells[0]
    runs = len(RATES) * int(cell["seeds"] or 1) if question_of(cell) == "grid" else 1
    seconds = runs * cell["steps"] * cell["rounds"] * len(cells) * 2e-3
    return Cost(2**28, 2**30, seconds)


def measure(cells: Sequence[Cell], shared: Shared, memory: int) -> list[Measured]:
    """One Measured for each way; all of a question are run in turn, its base too."""
    question = question_of(cells[0])
    base = BASE[question]
    task = task_of({**cells[0], "way": base})
    reasons = {c["way"]: WAYS[str(c["way"])].absent() for c in cells}
    names = dict.fromkeys([base, *(way for way, why in reasons.items() if not why)])
    calls = {name: WAYS[name].ready(task) for name in names}
    results = {name: call() for name, call in calls.items()}
    seconds = timing.interleaved(calls, cells[0]["rounds"])
    return [
        Measured("absent", reasons[cell["way"]], {})
        if reasons[cell["way"]]
        else Measured("ok", "", _values(task, question, cell["way"], seconds, results))
        for cell in cells
    ]


def _values(
    task: TrainingTask, question: str, way: str, seconds, results
) -> dict[str, Any]:
    spent = timing.times(seconds[way])
    ratio = timing.ratio(seconds[way], seconds[BASE[question]])
    values = {
        "question": question,
        "runs": len(task.runs),
        "step_ms": spent.median_ms / len(task.runs) / task.steps,
        "total_s": spent.median_ms / 1e3,
        "n": spent.n,
        "ratio": ratio.median,
        "ratio_low": ratio.low,
        "ratio_high": ratio.high,
        "agrees": None,
    }
    if question == "grid":
        losses = np.asarray(results[way])
        base_losses = np.asarray(results[BASE[question]])
        apart = np.abs(losses - base_losses)[:, :COMPARED] / base_losses[:, :COMPARED]
        values["agrees"] = bool(np.max(apart) <= TOLERANCE)
    return values


AXES = {
    # PyTorch's threads within operations this small take longer than one alone.
    "way": Axis("what is timed", tuple(n for n in WAYS if n != "torch_threads"), WAYS),
    "depth": Axis("layers", (20,), kind="integer", low=1, high=10**4, single=True),
    "width": Axis("units", (64,), kind="integer", low=2, high=10**4, single=True),
    "batch": Axis("examples", (64,), kind="integer", low=1, high=1437, single=True),
    "steps": Axis(
        "steps per run", (40,), kind="integer", low=1, high=10**6, single=True
    ),
    "seeds": Axis(
        "runs per learning rate", (16,), kind="integer", low=1, high=10**4, single=True
    ),
    "rounds": Axis(
        "repetitions of each", (5,), kind="integer", low=1, high=10**4, single=True
    ),
}
SIZES = {
    "smoke": {
        "depth": (2,),
        "width": (8,),
        "batch": (8,),
        "steps": (10,),
        "seeds": (1,),
        "rounds": (2,),
    },
    "full": {"way": tuple(WAYS), "steps": (300,), "rounds": (9,)},
}


def headline(rows: Sequence[Row]) -> Headline:
    """What each question's ways cost beside its first, and the dearest of our own."""
    done = measured(rows)
    at = {row["way"]: row for row in done}
    parts = []
    if "torch" in at:
        runs = counted(at["torch"]["runs"], "run")
        parts.append(
            f"PyTorch takes {at['torch']['ratio']:.3g} times a sweep of {runs}"
        )
    costs = {"run": "the loop", "probed": "probes", "saved": "checkpoints"}
    added = {name: at[way]["ratio"] - 1 for way, name in costs.items() if way in at}
    parts += [f"{name} {cost:+.1%}" for name, cost in added.items()]
    worst = max(added, key=lambda name: added[name]) if added else None
    return Headline(
        f"Beside the plain way: {listed(parts or ['nothing was timed'], 6)}.",
        f"Worst: {worst} add {added[worst]:+.1%} to a run's time." if worst else "",
    )


def tables(rows: Sequence[Row]) -> list[Table]:
    """One line a way; times beside the base's of its question."""
    body = []
    for row in rows:
        name = str(row["way"])
        if row["status"] != "ok":
            body.append((name, *[""] * 6, Mark(row["status"], "dim")))
            continue
        ratio = ranged(row["ratio"], row["ratio_low"], row["ratio_high"])
        marks = {True: Mark("yes", "good"), False: Mark("no", "bad"), None: ""}
        figures = ("question", "runs", "step_ms", "total_s", "n")
        shown = (number(row[f]) for f in figures)
        body.append((name, *shown, marks[row["agrees"]], ratio))
    headers = "way question runs step_ms total_s n agrees ratio".split()
    title = "Times beside the first way of each question (median, quartiles)"
    return [Table(title, tuple(headers), tuple(body))]


def _ratio(row: Seen, scale: float = 1.0) -> Estimate:
    """1 + `scale` of what a median ratio exceeds 1 by; its error from its quartiles."""
    error = 0.93 * (row["ratio_high"] - row["ratio_low"]) / row["n"] ** 0.5
    return mean(1 + scale * (row["ratio"] - 1), scale * error, row["n"])


def _limit(
    key: str,
    tag: str,
    way: str,
    says: str,
    most: float,
    estimate: Callable[[Seen], Estimate] = _ratio,
) -> Claim:
    return Claim(
        key,
        says,
        "depthbench's own bar",
        tag=tag,
        estimate=estimate,
        allows=below(most),
        scope=lambda row: row["way"] == way,
        label=("way",),
    )


STUDY = Study(
    name="training_speed",
    kind="benchmark",
    question="What do training's loop, sweeps, probes and checkpoints cost?",
    source="measured here, beside PyTorch",
    axes=AXES,
    sizes=SIZES,
    plan=Plan(group=question_of, cost=cost),
    measure="depthbench.benchmarks.training_speed.study:measure",
    columns=tuple(
        "way question depth width batch steps seeds rounds status reason runs step_ms "
        "total_s n ratio ratio_low ratio_high agrees".split()
    ),
    claims=(
        Claim(
            "depthbench.sweep-a-fifth-of-pytorch",
            "64 runs take a fifth of PyTorch's time, or less",
            "depthbench's own bar",
            tag="C3",
            estimate=_ratio,
            published="5 ×",
            allows=above(5.0),
            scope=lambda row: row["way"] in ("torch", "torch_threads"),
            label=("way",),
        ),
        _limit(
            "depthbench.loop-cheap",
            "C4",
            "run",
            "a whole run takes at most 3 % longer than its bare steps",
            1.03,
        ),
        _limit(
            "depthbench.probes-cheap",
            "C5",
            "probed",
            f"gradient profiles every {EVERY} steps lengthen a run by at most 5 %",
            1.05,
        ),
        _limit(
            "depthbench.checkpoints-cheap",
            "C6",
            "saved",
            "checkpoints every 10 s (a tenth of what every second costs) lengthen a run "
            "by at most 2 %",
            1.02,
            lambda row: _ratio(row, SAVED_EVERY / 10),
        ),
    ),
    headline=headline,
    tables=tables,
    compile_seconds=3.0,
    timings=("step_ms", "total_s", "n", "ratio", "ratio_low", "ratio_high"),
    threads=1,
)
