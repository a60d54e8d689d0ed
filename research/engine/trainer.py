"""The loop of `depthbench train`: advance, report, save; and go on after any stop.

OUT/run.json      settings, code and environment
OUT/reports/      one .npz for each report: measures and gradient profiles of all runs
OUT/checkpoints/  the newest three states
OUT/curves.csv, results.csv, report.md, report.html, figure.*   made from the reports
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from research.catalogues.initializers import NoCriticalPoint
from research.engine import console, processes, runner
from research.engine.signals import supervise
from research.learning import checkpoints, sharding, sweeps, trainability
from research.learning.feed import Source, batches, source
from research.learning.jobs import Setup
from research.machine import host
from research.store import atomic, provenance, rows
from research.store import folder as folders
from research.store.folder import Folder
from research.study.errors import DISK, TERMINATED, Refusal

CHUNK_SECONDS = 0.5  # one call of the compiled loop: how soon a signal is heard


class Order(NamedTuple):
    """What is asked for. members: each run's numbers and seed.

    mesh: the devices, where they are more than one.
    """

    settings: dict[str, Any]
    members: list[dict[str, Any]]
    report_every: int
    checkpoint_seconds: float
    accept: bool
    mesh: sharding.Shape | None = None


class Kept(NamedTuple):
    """What a checkpoint holds: all states, and the log since the last report.

    states: a State for each group of runs. loss, right: [runs, steps of a report].
    """

    states: Any
    loss: np.ndarray
    right: np.ndarray


class Loop(NamedTuple):
    """What the loop needs and does not change."""

    order: Order
    folder: Folder
    groups: list[list[sweeps.Run]]
    programs: list[sweeps.Programs]
    fed: Source
    keeper: processes.Keeper
    stop: threading.Event
    advanced: Any  # told of (step, loss)


def main(order: Order, out: Path, ended: Callable[[Folder], None]) -> int:
    """Trains, or goes on; the exit status.

    ended: called at the end of the run, while its folder is still held.
    """
    setup = trainability.setup_of(order.settings)
    mesh = None if order.mesh is None else sharding.mesh(order.mesh)
    fed = source(setup, order.report_every, mesh)  # what is wrong there is said first
    check_batch(order, fed.count)
    with contextlib.ExitStack() as held, processes.together():

        def ready() -> Folder:
            folder = folders.create(out, "reports")
            held.enter_context(folders.locked(folder, None))
            prepare(order, folder)
            return folder

        folder = processes.by_first(ready) or Folder(out)
        stopped = train(order, folder, setup, fed)
        if stopped or not sharding.leads():
            return stopped
        ended(folder)
    return 0


def check_batch(order: Order, have: int) -> None:
    """Raises Refusal where a batch is larger than the data."""
    batch = order.settings["batch"]
    if batch > have:
        name = order.settings["dataset"]
        raise Refusal(f"--batch {batch}: {name} has {have} examples to train on")


def runs_of(order: Order) -> list[sweeps.Run]:
    """Every member as a run. Raises Refusal where there is no critical point."""
    try:
        return [
            trainability.run_of({**order.settings, **member}, member["seed"])
            for member in order.members
        ]
    except NoCriticalPoint as error:
        raise Refusal(f"--initializer critical: {error}") from None


def train(order: Order, folder: Folder, setup: Setup, fed: Source) -> int:
    """Runs the loop under signals; the exit status."""
    streamed = fed.data is None  # each run then reads its own batches
    cells = 0 if order.mesh is None else order.mesh.cells
    if streamed and cells > 1:
        name = order.settings["dataset"]
        raise Refusal(f"--mesh cells={cells}: {name} is read from disk run by run")
    groups = sweeps.grouped(runs_of(order), 1 if streamed else at_a_time(order), cells)
    programs = [
        sweeps.programs(setup, fed.capacity, len(group) > 1, streamed, fed.mesh)
        for group in groups
    ]
    stop, failures = threading.Event(), queue.SimpleQueue()
    began = time.perf_counter()
    with contextlib.ExitStack() as stack:
        try:
            kept_in, seconds = folder.path / "checkpoints", order.checkpoint_seconds
            keeper = stack.enter_context(
                processes.keeper(kept_in, seconds, order.mesh is not None)
            )
            steps = order.settings["steps"] if sharding.leads() else 0
            advanced = stack.enter_context(progress(steps))
            parts = (order, folder, groups, programs, fed, keeper)
            loop = Loop(*parts, stop, advanced)

            def work() -> None:
                try:
                    run_all(loop)
                except BaseException as error:
                    failures.put(error)

            stopped = supervise([threading.Thread(target=work, daemon=True)], stop)
            if not failures.empty():
                raise failures.get()
            if stop.is_set() and not stopped:  # another process was told to
                stopped = TERMINATED
        except checkpoints.NotSaved as error:
            raise Refusal(f"{error}; what was saved before is kept", DISK) from None
        except checkpoints.Mismatch as error:
            raise Refusal(f"{error}; name another --out") from None
    if not sharding.leads():
        return stopped
    took = round(time.perf_counter() - began, 3)
    note(folder, {"ended": folders.now(), "seconds": took})
    if stopped:
        console.say(
            f"stopped: {folder.path} is saved; the same command goes on from there"
        )
    return stopped


def note(folder: Folder, event: dict[str, Any], **changed: Any) -> None:
    """Adds an event to the manifest's history, with what it changed."""
    manifest = folders.read_manifest(folder) or {}
    history = [*manifest["history"], event]
    folders.write_manifest(folder, {**manifest, **changed, "history": history})


def prepare(order: Order, folder: Folder) -> None:
    """Writes the folder's manifest, or compares: Refusal if it is another run's."""
    environment = host.environment() | {"dtype": order.settings["dtype"]}
    environment["matmul_precision"] = "default"
    asked = {**order.settings, "report_every": order.report_every}
    fresh = {
        "study": "train",
        "settings": {
            n: list(v) if isinstance(v, tuple) else v for n, v in asked.items()
        },
        "schema": folders.SCHEMA,
        "code": provenance.code(__name__, map(str, order.settings.values())),
        "environment": environment,
        "mesh": str(order.mesh or sharding.Shape()),
        "history": [],
    }
    manifest = folders.read_manifest(folder)
    if manifest is None:
        folders.write_manifest(folder, fresh)
        return
    if manifest["study"] != "train":
        raise Refusal(
            f"{folder.path}: holds {manifest['study']}, not a training run; "
            "name another --out"
        )
    old = manifest.get("settings", {})
    for name, value in fresh["settings"].items():
        if old.get(name) != value:
            raise Refusal(
                f"{folder.path}: holds another run: its {name} is "
                f"{_shown(old.get(name))}, not {_shown(value)}; name another --out"
            )
    said = folders.differences(manifest, fresh["code"], environment)
    if said and not order.accept:
        raise Refusal(
            f"{folder.path}: made by other code or on another machine: {said[0]}; "
            "use a new --out, or --accept-changes"
        )
    if said:
        changed = {"code": fresh["code"], "environment": environment}
        note(folder, {"accepted": said}, **changed)
    before = manifest.get("mesh", str(sharding.Shape()))
    if before != fresh["mesh"]:  # the same run: what it computes is what it was
        note(folder, {"mesh": [before, fresh["mesh"]]}, mesh=fresh["mesh"])
        console.say(
            f"begun on {before}, goes on on {fresh['mesh']}: the same numbers to float "
            "tolerance, no longer bit for bit"
        )


def _shown(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    return ", ".join("not set" if v is None else str(v) for v in values)


def at_a_time(order: Order) -> int:
    """How many runs fit in memory side by side."""
    from research.study import families, trials

    settings = order.settings
    one = trials.COPIES * families.cost(settings, settings["depth"]).memory
    if order.mesh is not None:
        one //= order.mesh.parameters
    fits = int(sharding.agreed(runner.budget(None) // one).min())
    if not fits:
        raise Refusal(
            f"depth {settings['depth']}, width {settings['width']}: one run needs "
            f"{console.size(one)}, and {console.size(runner.budget(None))} may be used"
        )
    return fits


def run_all(loop: Loop) -> None:
    """From the newest whole checkpoint, or from the start, to the last step."""
    order, total = loop.order, loop.order.settings["steps"]
    kept = fresh(loop)
    begun, kept = loop.keeper.restore(kept)
    step = max(begun, 0)
    if sharding.leads():
        if 0 < step < total:
            console.say(f"going on from step {step} of {total}")
        drop_reports(loop.folder, step)
    pace = Pace(loop.fed.capacity)
    with ThreadPoolExecutor(1 if order.mesh else host.cores()) as pool:
        turn = next_turn(loop, pace, step)
        while step < total and not turn.stop:
            done = step % order.report_every
            kept = advance(loop, pool, kept, done, turn.steps, pace)
            step += turn.steps
            reported = step % order.report_every == 0 or step == total
            if reported:
                report(loop, pool, kept, step)
                kept = kept._replace(loss=kept.loss * np.nan, right=kept.right * np.nan)
            loop.advanced(step, None if reported else float(np.nanmean(kept.loss)))
            turn = next_turn(loop, pace, step)
            if turn.save:
                loop.keeper.begin(step, kept)
    if step > begun:
        loop.keeper.save(step, kept)
    processes.unwatched()


class Turn(NamedTuple):
    """What all processes do next: so many steps; save before; or stop instead."""

    steps: int
    save: bool
    stop: bool


def next_turn(loop: Loop, pace: "Pace", step: int) -> Turn:
    """Process 0's next steps and save. Any process may stop them all."""
    processes.watched()
    every = loop.order.report_every
    left = min(every - step % every, loop.order.settings["steps"] - step)
    mine = (pace.steps(left), loop.keeper.due(), loop.stop.is_set())
    said = sharding.agreed(*mine)
    stop = bool(said[:, 2].any())
    if stop:
        loop.stop.set()
    return Turn(int(said[0, 0]), bool(said[0, 1]), stop)


def fresh(loop: Loop) -> Kept:
    """All runs at step 0."""
    states = tuple(
        programs.init(*sweeps.arguments(group))
        for programs, group in zip(loop.programs, loop.groups, strict=True)
    )
    runs = sum(map(len, loop.groups))
    empty = np.full((runs, loop.order.report_every), np.nan, np.float32)
    return Kept(states, empty, empty.copy())


class Pace:
    """How many steps a call should take, from how long the last ones took."""

    def __init__(self, most: int) -> None:
        self.calls, self.chunk, self.most = 0, 2, most

    def steps(self, left: int) -> int:
        return min(left, self.chunk, self.most)

    def took(self, steps: int, seconds: float) -> None:
        self.calls += 1
        if self.calls > 1:  # the first call compiles
            wanted = int(CHUNK_SECONDS * steps / max(seconds, 1e-6))
            self.chunk = max(1, min(wanted, 8 * self.chunk))


def advance(loop: Loop, pool, kept: Kept, done: int, count: int, pace: Pace) -> Kept:
    """All runs `count` steps later. done: steps since the last report."""
    began = time.perf_counter()

    def one(programs, group, state):
        _, _, hyper = sweeps.arguments(group)
        data = batches(loop.fed, state, count)
        state, log = programs.advance(state, hyper, data, np.int32(count))
        return state, np.atleast_2d(log.loss), np.atleast_2d(log.right)

    results = list(pool.map(one, loop.programs, loop.groups, kept.states))
    loss, right = np.array(kept.loss), np.array(kept.right)
    loss[:, done : done + count] = np.concatenate([r[1] for r in results])[:, :count]
    right[:, done : done + count] = np.concatenate([r[2] for r in results])[:, :count]
    pace.took(count, time.perf_counter() - began)
    return Kept(tuple(r[0] for r in results), loss, right)


def report(loop: Loop, pool, kept: Kept, step: int) -> None:
    """Writes the measures of all runs at a step: OUT/reports/STEP.npz."""

    def one(programs, state):
        test = programs.evaluate(state, loop.fed.test)
        states, layers = programs.profile(state, loop.fed.probe)
        return sharding.whole((test.loss, test.right, states, layers, state.diverged))

    results = list(pool.map(one, loop.programs, kept.states))
    if not sharding.leads():
        return
    joined = [np.concatenate([_of_runs(r[n], n) for r in results]) for n in range(5)]
    names = ("test_loss", "test_right", "log10_gradient", "log10_parameter", "diverged")
    arrays = {
        "train_loss": mean(kept.loss),
        "train_right": mean(kept.right),
        **dict(zip(names, joined, strict=True)),
    }
    path = loop.folder.path / "reports" / f"{step:09d}.npz"
    atomic.write_atomically(path, rows.pack(arrays))


def _of_runs(found: np.ndarray, which: int) -> np.ndarray:
    """With a leading axis of runs, which one run alone does not have."""
    profile = which in (2, 3)
    return found if found.ndim == 1 + profile else found[None]


def mean(log: np.ndarray) -> np.ndarray:
    """The mean over a report's steps [runs]; nan where a run has diverged in it."""
    taken = ~np.isnan(log).all(axis=0)
    return np.asarray(np.mean(log[:, taken], axis=1, dtype=np.float64), np.float32)


def drop_reports(folder: Folder, step: int) -> None:
    """Removes reports later than a step: they are made again."""
    for path in (folder.path / "reports").glob("*.npz"):
        if int(path.stem) > step:
            path.unlink()


@contextlib.contextmanager
def progress(total: int) -> Iterator[Any]:
    """A bar with steps done and time left; silent when piped."""
    with console.progress(total, "steps") as shown:
        at = [0]

        def advanced(step: int, loss: float | None) -> None:
            shown.advance(step - at[0])
            at[0] = step
            if loss is not None:
                shown.begin(f"loss {loss:.4g}")

        yield advanced


RUNS = run_all  # whose code a training folder records
