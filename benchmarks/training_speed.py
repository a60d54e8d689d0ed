"""What do training's loop, sweeps, probes and checkpoints cost?

Four questions, each with ways that are run in turn on equal nets and batches:

- grid: 64 runs (seeds × learning rates) of one net: our sweep, its other forms, PyTorch
- loop: a compiled run of many steps, beside the bare jitted step
- probe: the same run with the gradient of every layer taken every 50 steps
- checkpoint: the same run saved every second
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks.peers import torch_loop, torch_training
from research.catalogue import Catalogue
from research.lazy import lazy
from research.study import provenance
from research.study.axes import Axis
from research.study.claims import Claim
from research.study.declaration import Cell, Measured, Row, Study, Unit
from research.study.tables import Mark, Table, number

futures = lazy("concurrent.futures")
tempfile = lazy("tempfile")
jax = lazy("jax")
jnp = lazy("jax.numpy")
np = lazy("numpy")
checkpoints = lazy("research.checkpoints")
jobs = lazy("research.jobs")
optimizers = lazy("research.optimizers")
sweeps = lazy("research.sweeps")
timing = lazy("research.timing")
training = lazy("research.training")

RATES = (1e-4, 3e-4, 1e-3, 3e-3)
LONGER = 25  # a single run's steps, beside those of the grid's
EVERY = 50  # steps between two gradient profiles
SAVED_EVERY = 1.0  # seconds; what a second's saving costs is ten times what ten's does
# Losses of the first steps: later ones differ as float32 sums in another order grow.
COMPARED, TOLERANCE = 10, 1e-3


class Way(NamedTuple):
    """One way of doing what a question asks; the first of a question is its base.

    absent: why it cannot be run here; "" if it can.
    """

    name: str
    question: str
    source: str
    ready: Callable[["Task"], Callable[[], Any]]
    absent: Callable[[], str] = lambda: ""


class Task(NamedTuple):
    """Runs of one net: their programs, states (host copies) and data."""

    setup: Any  # jobs.Setup
    runs: list[Any]  # sweeps.Run
    programs: Any
    states: list[Any]
    hypers: list[Any]
    data: Any
    steps: int
    places: np.ndarray  # [runs, steps, batch] example numbers


def task(cell: Cell) -> Task:
    setup = jobs.Setup(
        *("mlp", "tanh", "normal", "none"),
        *(cell["depth"], cell["width"], "digits", "adam"),
        batch=cell["batch"],
    )
    seeds, steps, rates = cell["seeds"], cell["steps"], RATES
    adam = optimizers.OPTIMIZERS["adam"]
    if WAYS[cell["way"]].question != "grid":  # one run, and a longer one
        seeds, steps, rates = 1, LONGER * steps, (1e-3,)
    runs = [
        sweeps.Run(seed, jobs.UNIT, adam.hyper(learning_rate=rate, steps=float(steps)))
        for rate in rates
        for seed in range(seeds)
    ]
    programs = sweeps.programs(setup, steps)
    data, _ = jobs.batches(setup)
    arguments = [sweeps.arguments([run]) for run in runs]
    states = [programs.init(*own) for own in arguments]
    hypers = [hyper for _, _, hyper in arguments]
    job = jobs.job(setup)

    def numbers(state):
        """The examples of every step of a run, drawn as the run draws them."""
        at = jax.vmap(
            lambda step: training.places(job, state._replace(step=step), data)
        )
        return at(jnp.arange(steps, dtype=jnp.int32))

    every = jax.jit(jax.vmap(numbers))(_stacked(states))
    places = np.asarray(every)
    return Task(setup, runs, programs, states, hypers, data, steps, places)


def _stacked(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _fresh(state: Any) -> Any:
    """A copy: what a run is handed it takes for its own."""
    return jax.tree.map(jnp.copy, state)


def _sweep(task: Task, threads: int) -> Callable[[], Any]:
    """Run after run, in threads: what `sweeps.train` and the runner do on a CPU."""
    pool = futures.ThreadPoolExecutor(threads)
    steps = jax.device_put(np.int32(task.steps))
    hypers = jax.device_put(task.hypers)

    def one(state, hyper):
        with jax.transfer_guard("disallow"):
            run = task.programs.advance(_fresh(state), hyper, task.data, steps)
            return jax.block_until_ready(run)[1].loss

    return lambda: list(pool.map(one, task.states, hypers))


def _together(task: Task) -> Callable[[], Any]:
    """All runs side by side in one program: what is done on an accelerator."""
    programs = sweeps.programs(task.setup, task.steps, several=True)
    states = _stacked(task.states)
    hypers = jax.device_put(jax.tree.map(lambda *a: np.stack(a), *task.hypers))
    steps = jax.device_put(np.int32(task.steps))

    def call():
        return programs.advance(_fresh(states), hypers, task.data, steps)[1].loss

    return call


def _torch(task: Task, threads: int) -> Callable[[], Any]:
    host = jax.device_get([(s.params, s.step) for s in task.states])
    x, y = np.asarray(task.data.x), np.asarray(task.data.y)
    trainers = [
        torch_training.trainer(params, x, y, float(run.hyper.learning_rate))
        for (params, _), run in zip(host, task.runs, strict=True)
    ]

    def call():
        with jax.transfer_guard("allow"), torch_loop.settled(threads):
            return torch_training.all_of(trainers, task.places)

    return call


def _bare(task: Task) -> Callable[[], Any]:
    """The jitted step called from Python, its batches drawn and waiting."""
    job, (state,), (hyper,) = jobs.job(task.setup), task.states, task.hypers
    step = jax.jit(functools.partial(training.step, job), donate_argnums=0)
    hyper = jax.device_put(hyper)
    take = lambda n: jax.tree.map(lambda a: a[task.places[0, n]], task.data)
    batches = [take(n) for n in range(task.steps)]

    def call():
        now = _fresh(state)
        for batch in batches:
            now, means = step(now, hyper, batch)
        return now.params, means

    return call


def _run(task: Task, then: Callable[[Any], Any], every: int) -> Callable[[], Any]:
    """A compiled run, cut after `every` steps, when `then` is called with the state."""
    (state,), (hyper,) = task.states, task.hypers
    hyper, part = jax.device_put(hyper), jax.device_put(np.int32(every))

    def call():
        now, kept = _fresh(state), None
        for _ in range(task.steps // every):
            now, log = task.programs.advance(now, hyper, task.data, part)
            kept = then(now)
        return now.params, log.loss, kept

    return call


def _probe(task: Task) -> Callable[[Any], Any]:
    some = jax.tree.map(lambda a: a[: task.setup.batch], task.data)
    return lambda state: task.programs.profile(state, some)


def _saved(task: Task) -> Callable[[], Any]:
    """The run, offered to the store after every chunk of half a second, as `train` does."""
    folder = tempfile.TemporaryDirectory()
    store = checkpoints.open(folder.name, SAVED_EVERY).__enter__()

    def save(state):
        with jax.transfer_guard("allow"):
            store.maybe_save(int(state.step), state, {})
            return folder  # which lives as long as the call does

    return _run(task, save, _chunk(task))


def _unsaved(task: Task) -> Callable[[], Any]:
    return _run(task, lambda state: None, _chunk(task))


def _chunk(task: Task) -> int:
    return max(1, task.steps // 20)


def _torch_absent() -> str:
    return "" if torch_loop.present() else torch_loop.ABSENT


CORES = provenance.cores()
WAYS: Catalogue[Way] = Catalogue(
    "way",
    [
        Way(
            "sweep",
            "grid",
            f"research/sweeps.py: run after run, {CORES} threads",
            functools.partial(_sweep, threads=CORES),
        ),
        Way(
            "one_thread",
            "grid",
            "the same in one thread",
            functools.partial(_sweep, threads=1),
        ),
        Way("vmap", "grid", "all runs side by side in one program", _together),
        Way(
            "torch",
            "grid",
            "PyTorch, run after run, one thread",
            functools.partial(_torch, threads=1),
            _torch_absent,
        ),
        Way(
            "torch_threads",
            "grid",
            f"PyTorch, run after run, {CORES} threads within an operation",
            functools.partial(_torch, threads=CORES),
            _torch_absent,
        ),
        Way(
            "bare_step", "loop", "jitted step, called from Python, batches given", _bare
        ),
        Way(
            "run",
            "loop",
            "training.run: draws its batches, one call",
            lambda task: _run(task, lambda state: None, task.steps),
        ),
        Way(
            "unprobed",
            "probe",
            f"training.run, a call every {EVERY} steps",
            lambda task: _run(task, lambda state: None, EVERY),
        ),
        Way(
            "probed",
            "probe",
            f"and the gradient of every layer each {EVERY} steps",
            lambda task: _run(task, _probe(task), EVERY),
        ),
        Way("unsaved", "checkpoint", "training.run in twenty calls", _unsaved),
        Way("saved", "checkpoint", f"and saved every {SAVED_EVERY:g} s", _saved),
    ],
)
BASE = {way.question: way.name for way in reversed(list(WAYS.values()))}


def plan(cells: Sequence[Cell]) -> list[Unit]:
    """A unit for each question: its ways are run in turn, in one process."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(WAYS[str(cell["way"])].question, []).append(cell)
    units = []
    for question, group in groups.items():
        cell = group[0]
        runs = len(RATES) * int(cell["seeds"] or 1) if question == "grid" else 1
        work = runs * cell["steps"] * cell["rounds"] * len(group) * 2e-3
        run = functools.partial(measure, group)
        units.append(Unit(tuple(group), question, 2**28, 2**30, work, run))
    return units


def measure(cells: Sequence[Cell], memory: int) -> list[Measured]:
    """One Measured for each way; all of a question are run in turn, its base too."""
    question = WAYS[str(cells[0]["way"])].question
    base = BASE[question]
    made = task({**cells[0], "way": base})
    reasons = {c["way"]: WAYS[str(c["way"])].absent() for c in cells}
    names = dict.fromkeys([base, *(way for way, why in reasons.items() if not why)])
    calls = {name: WAYS[name].ready(made) for name in names}
    found = {name: call() for name, call in calls.items()}
    taken = timing.interleaved(calls, cells[0]["rounds"])
    return [
        Measured("absent", reasons[cell["way"]], {})
        if reasons[cell["way"]]
        else Measured("ok", "", _values(made, question, cell["way"], taken, found))
        for cell in cells
    ]


def _values(task: Task, question: str, way: str, taken, found) -> dict[str, Any]:
    spent = timing.times(taken[way])
    ratio = timing.ratio(taken[way], taken[BASE[question]])
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
        losses, own = (np.asarray(found[name]) for name in (way, BASE[question]))
        apart = np.abs(losses - own)[:, :COMPARED] / own[:, :COMPARED]
        values["agrees"] = bool(np.max(apart) <= TOLERANCE)
    return values


AXES = {
    "way": Axis("what is timed", tuple(WAYS), WAYS),
    "depth": Axis("layers", (20,), kind="integer", low=1, high=10**4, single=True),
    "width": Axis("units", (64,), kind="integer", low=2, high=10**4, single=True),
    "batch": Axis("examples", (64,), kind="integer", low=1, high=1437, single=True),
    "steps": Axis("of a run", (40,), kind="integer", low=1, high=10**6, single=True),
    "seeds": Axis(
        "of each rate", (16,), kind="integer", low=1, high=10**4, single=True
    ),
    "rounds": Axis("times each", (5,), kind="integer", low=1, high=10**4, single=True),
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
    "full": {"steps": (300,), "rounds": (9,)},
}


def tables(rows: Sequence[Row]) -> list[Table]:
    """One line a way; times beside the base's of its question."""
    body = []
    for row in rows:
        name = str(row["way"])
        if row["status"] != "ok":
            body.append((name, *[""] * 6, Mark(row["status"], "dim")))
            continue
        ratio = f"{row['ratio']:.3g} ({row['ratio_low']:.3g}–{row['ratio_high']:.3g})"
        told = {True: Mark("yes", "good"), False: Mark("no", "bad"), None: ""}
        figures = ("question", "runs", "step_ms", "total_s", "n")
        shown = (number(row[f]) for f in figures)
        body.append((name, *shown, told[row["agrees"]], ratio))
    headers = "way question runs step_ms total_s n agrees ratio".split()
    title = "Times beside the first way of each question (median, quartiles)"
    return [Table(title, tuple(headers), tuple(body))]


def _limit(
    id: str, way: str, says: str, most: float, gap: Callable[[Row], float]
) -> Claim:
    return Claim(
        id,
        says,
        "depthbench's own bar",
        gap=lambda row: max(0.0, gap(row) - most),
        error=lambda row: 0.0,
        within=0.0,
        scope=lambda row: row["way"] == way,
        label=("way",),
        repeats="n",
        published=f"at most {most:g}",
        ours=gap,
    )


STUDY = Study(
    name="training_speed",
    kind="benchmark",
    question="What do training's loop, sweeps, probes and checkpoints cost?",
    source="measured here, beside PyTorch",
    axes=AXES,
    sizes=SIZES,
    plan=plan,
    columns=tuple(
        "way question depth width batch steps seeds rounds status reason runs step_ms "
        "total_s n ratio ratio_low ratio_high agrees".split()
    ),
    claims=(
        Claim(
            "C3",
            "64 runs take a fifth of PyTorch's time, or less",
            "depthbench's own bar",
            gap=lambda row: min(0.0, row["ratio"] - 5.0),
            error=lambda row: 0.0,
            within=0.0,
            scope=lambda row: row["way"] in ("torch", "torch_threads"),
            label=("way",),
            repeats="n",
            published="5 ×",
            ours=lambda row: row["ratio"],
        ),
        _limit(
            "C4", "run", "a whole run over its bare steps", 1.03, lambda r: r["ratio"]
        ),
        _limit(
            "C5",
            "probed",
            f"gradient profiles every {EVERY} steps",
            1.05,
            lambda r: r["ratio"],
        ),
        _limit(
            "C6",
            "saved",
            "checkpoints every 10 s (a tenth of what every second costs)",
            1.02,
            lambda r: 1 + (r["ratio"] - 1) * SAVED_EVERY / 10,
        ),
    ),
    tables=tables,
    compile_seconds=6.0,
    threads=1,
)

if __name__ == "__main__":
    from research.study.command import script

    script(STUDY.name)
