"""The loop of a training run on disk: advance, report, save; and resume after any stop.

OUT/run.json      settings, code and environment
OUT/reports/      a .json and a .npz for each report: measures and gradient profiles of
                  all runs
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

import jax
import numpy as np
from msgspec.structs import replace

from depthbench.research.engine import console, processes, runner
from depthbench.research.engine.observers import UNSEEN, Observer
from depthbench.research.engine.order import Order, prepare, settings_of
from depthbench.research.engine.pace import Pace
from depthbench.research.engine.signals import supervise
from depthbench.research.learning import checkpoints, sharding, sweeps
from depthbench.research.learning.feed import Source
from depthbench.research.learning.system import System, diverged_at
from depthbench.research.machine import host
from depthbench.research.store import folder as folders
from depthbench.research.store import manifest, reports
from depthbench.research.store.folder import Folder
from depthbench.research.store.manifest import Event
from depthbench.research.study.errors import DISK, TERMINATED, Refusal


class Work(NamedTuple):
    """What is trained: any system. memory: bytes that one run of it takes."""

    system: System
    source: Source
    runs: list[sweeps.Run]
    memory: int


class Snapshot(NamedTuple):
    """What a checkpoint holds: all states, and the log since the last report.

    states: a State for each group of runs. log: each measure's [runs, steps of a report].
    """

    states: Any
    log: dict[str, np.ndarray]


class Session(NamedTuple):
    """What the loop needs and does not change."""

    order: Order
    folder: Folder
    work: Work
    groups: list[list[sweeps.Run]]
    programs: list[sweeps.Programs]
    keeper: processes.Keeper
    stop: threading.Event
    advanced: Any  # called with (step, the watched measure or None)
    observer: Observer  # in other processes than the first one that does nothing


def main(
    order: Order,
    ready: Callable[[Any], Work],
    out: Path,
    ended: Callable[[Folder], None],
    observer: Observer = UNSEEN,
) -> int:
    """Trains, or resumes; the exit status. observer: sees it, and changes no number.

    ready: from a mesh of devices, or None, to what is trained. Raises Refusal.
    ended: called at the end of the run, while its folder is still locked.
    """
    runner.pin()
    mesh = None if order.mesh is None else sharding.mesh(order.mesh)
    with contextlib.ExitStack() as held, processes.together():
        work = ready(mesh)
        # What is wrong in these is said before a folder is made.
        groups = grouped(order, work)

        def begun() -> Folder:
            folder = held.enter_context(folders.held(out, reports.STUDY))
            prepare(order, folder, work.source.data, work.system.form.name)
            return folder

        folder = processes.by_first(begun) or Folder(out)
        stopped = train(order, folder, work, groups, mesh, observer)
        if stopped or not sharding.leads():
            return stopped
        ended(folder)
    return 0


def grouped(order: Order, work: Work) -> list[list[sweeps.Run]]:
    """The runs that are trained side by side. Raises Refusal where one does not fit."""
    one_by_one = work.source.streamed  # each run then reads its own batches
    cells = 0 if order.mesh is None else order.mesh.cells
    if one_by_one and cells > 1:
        name = order.settings.get("dataset", "what is trained on")
        raise Refusal(
            f"--mesh cells={cells}: {name} is streamed from disk, separately for each run"
        )
    at_once = at_a_time(order, work)
    return sweeps.grouped(work.runs, 1 if one_by_one else at_once, cells)


def train(
    order: Order,
    folder: Folder,
    work: Work,
    groups: list[list[sweeps.Run]],
    mesh: Any,
    observer: Observer,
) -> int:
    """Runs the loop under signals; the exit status."""
    source = work.source
    programs = [
        sweeps.programs(
            work.system, source.feeds, source.capacity, len(group) > 1, mesh
        )
        for group in groups
    ]
    stop, failures = threading.Event(), queue.SimpleQueue()
    began = time.perf_counter()
    with contextlib.ExitStack() as stack:
        try:
            keeper = stack.enter_context(
                processes.keeper(
                    folder.checkpoints,
                    order.checkpoint_seconds,
                    order.mesh is not None,
                    reports.run_id(settings_of(order)),
                )
            )
            steps = order.steps if sharding.leads() else 0
            advanced = stack.enter_context(progress(steps, work.system.watch))
            parts = (order, folder, work, groups, programs, keeper)
            seen = observer if sharding.leads() else UNSEEN
            stack.callback(seen.ended)
            session = Session(*parts, stop, advanced, seen)

            def begin() -> None:
                try:
                    run_all(session)
                except BaseException as error:
                    failures.put(error)

            stopped = supervise([threading.Thread(target=begin, daemon=True)], stop)
            if not failures.empty():
                raise failures.get()
            if stop.is_set() and not stopped:  # a signal reached another process
                stopped = TERMINATED
        except checkpoints.NotSaved as error:
            raise Refusal(f"{error}; earlier checkpoints are kept", DISK) from None
        except checkpoints.Mismatch as error:
            raise Refusal(f"{error}; choose another --out") from None
    if not sharding.leads():
        return stopped
    _note(folder, time.perf_counter() - began, observer.profiled)
    if stopped:
        console.say(
            f"stopped: saved in {folder.path}; the same command resumes from there"
        )
    return stopped


def _note(folder: Folder, seconds: float, profiled: bool) -> None:
    """Notes the end of a session. profiled: its seconds are not a training's alone."""
    step = reports.arrived(folder, manifest.of(folder.path), ())
    ended = Event(ended=manifest.now(), seconds=round(seconds, 3), step=step)
    folders.note(folder, replace(ended, profiled=profiled or None))


def at_a_time(order: Order, work: Work) -> int:
    """How many runs fit in memory side by side."""
    one = work.memory // (1 if order.mesh is None else order.mesh.parameters)
    fits = int(sharding.agreed(runner.budget(None) // one).min())
    if not fits:
        settings = order.settings
        named = (f"{n} {settings[n]}" for n in ("depth", "width") if n in settings)
        raise Refusal(
            f"{', '.join(named)}: one run needs {console.size(one)}, and "
            f"{console.size(runner.budget(None))} may be used"
        )
    return fits


def run_all(session: Session) -> None:
    """From the newest whole checkpoint, or from the start, to the last step."""
    order, total = session.order, session.order.steps
    snapshot = fresh(session)
    begun, snapshot = session.keeper.restore(snapshot, lost_report(session))
    snapshot = opened(session, snapshot)
    step = max(begun, 0)
    if sharding.leads():
        if 0 < step < total:
            console.say(f"resuming from step {step} of {total}")
        reports.remove(session.folder, step)
    session.observer.begun(session.work, step)
    pace = Pace(session.work.source.capacity)
    with ThreadPoolExecutor(1 if order.mesh else host.cores()) as pool:
        turn = next_turn(session, pace, step)
        while step < total and not turn.stop:
            done = step % order.report_every
            session.observer.stepping(step)
            snapshot = advance(session, pool, snapshot, done, turn.steps, pace)
            step += turn.steps
            new = slice(done, done + turn.steps)
            log = {name: array[:, new] for name, array in snapshot.log.items()}
            session.observer.stepped(step, log)
            reported = step % order.report_every == 0 or step == total
            if reported:
                report(session, pool, snapshot, step)
                snapshot = snapshot._replace(log=_empty(snapshot.log))
            watched = snapshot.log[session.work.system.watch]
            session.advanced(step, None if reported else _mean(watched))
            turn = next_turn(session, pace, step)
            if turn.save:
                session.keeper.begin(step, closed(session, snapshot))
    if step > begun:
        session.keeper.save(step, closed(session, snapshot))
    processes.unwatched()


def lost_report(session: Session) -> int:
    """The step of the first report that has to be made again, in all processes.

    Its checkpoint must be of an earlier step. One step beyond the last where none is lost.
    """
    step = session.order.steps + 1
    if sharding.leads():
        folder = session.folder
        have, lines = reports.read(folder, manifest.of(folder.path), quarantine=True)
        for line in lines:
            console.say(f"damaged, moved to quarantine, will be made again: {line}")
        last = reports.arrived(folder, manifest.of(folder.path), have)
        due = reports.due(settings_of(session.order), last)
        there = {reports.step_of(record) for record in have}
        step = min((s for s in due if s not in there), default=step)
    return int(sharding.agreed(step)[0, 0])


class Turn(NamedTuple):
    """What all processes do next: so many steps; save before; or stop instead."""

    steps: int
    save: bool
    stop: bool


def next_turn(session: Session, pace: Pace, step: int) -> Turn:
    """Process 0's next steps and save. Any process may stop them all."""
    processes.watched()
    every = session.order.report_every
    left = min(every - step % every, session.order.steps - step)
    wanted = pace.steps(min(left, session.observer.most(step, left)))
    mine = (wanted, session.keeper.due(), session.stop.is_set())
    votes = sharding.agreed(*mine)
    stop = bool(votes[:, 2].any())
    if stop:
        session.stop.set()
    return Turn(int(votes[0, 0]), bool(votes[0, 1]), stop)


def fresh(session: Session) -> Snapshot:
    """All runs at step 0, as they are saved."""
    states = tuple(
        programs.init(*sweeps.arguments(group))
        for programs, group in zip(session.programs, session.groups, strict=True)
    )
    return Snapshot(states, _empty(_log(session, states)))


def opened(session: Session, snapshot: Snapshot) -> Snapshot:
    """What was saved, as steps are taken from it."""
    pairs = zip(session.programs, snapshot.states, strict=True)
    states = tuple(programs.opened(state) for programs, state in pairs)
    return snapshot._replace(states=states)


def closed(session: Session, snapshot: Snapshot) -> Snapshot:
    """What is saved: the same of a net's layers however steps go through them."""
    pairs = zip(session.programs, snapshot.states, strict=True)
    states = tuple(programs.closed(state) for programs, state in pairs)
    return snapshot._replace(states=states)


def _log(session: Session, states: Any) -> dict[str, np.ndarray]:
    """Room for what a report's steps measure of all runs."""
    state, group = states[0], session.groups[0]
    _, hyper = sweeps.arguments(group)
    data = session.work.source.following(state, 1)
    programs = session.programs[0]
    state = jax.eval_shape(programs.opened, state)
    _, log = jax.eval_shape(programs.advance, state, hyper, data, np.int32(0))
    room = len(session.work.runs), session.order.report_every
    return {name: np.zeros(room, np.float32) for name in log}


def _empty(log: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.full_like(array, np.nan) for name, array in log.items()}


def advance(
    session: Session, pool, snapshot: Snapshot, done: int, count: int, pace: Pace
) -> Snapshot:
    """All runs `count` steps later. done: steps since the last report."""
    began = time.perf_counter()

    def one(programs, group, state):
        _, hyper = sweeps.arguments(group)
        data = session.work.source.following(state, count)
        state, log = programs.advance(state, hyper, data, np.int32(count))
        return state, {name: np.atleast_2d(array) for name, array in log.items()}

    results = list(pool.map(one, session.programs, session.groups, snapshot.states))
    log = {name: np.array(array) for name, array in snapshot.log.items()}
    for name, array in log.items():
        logged = np.concatenate([part[name] for _, part in results])
        array[:, done : done + count] = logged[:, :count]
    pace.took(count, time.perf_counter() - began)
    return Snapshot(tuple(state for state, _ in results), log)


def report(session: Session, pool, snapshot: Snapshot, step: int) -> None:
    """Writes the measures of all runs at a step: OUT/reports/STEP.json and .npz.

    train_NAME, test_NAME of every measure; of every net that can be probed
    log10_gradient_NET, log10_parameter_NET; diverged.
    """
    source = session.work.source

    def one(programs, group, state):
        test = programs.evaluate(state, source.test)
        nets = programs.profile(state, source.probe)
        measures = {f"test_{name}": value for name, value in test.items()}
        for net, (states, layers) in nets.items():
            measures[f"log10_gradient_{net}"] = states
            measures[f"log10_parameter_{net}"] = layers
        measures = sharding.whole({**measures, "diverged": diverged_at(state.diverged)})
        # With a leading axis of runs, which one run alone does not have.
        return {n: a if len(group) > 1 else a[None] for n, a in measures.items()}

    results = list(pool.map(one, session.programs, session.groups, snapshot.states))
    if not sharding.leads():
        return
    arrays = {
        **{f"train_{name}": mean(array) for name, array in snapshot.log.items()},
        **{n: np.concatenate([part[n] for part in results]) for n in results[0]},
    }
    run = reports.run_id(settings_of(session.order))
    reports.save(session.folder, run, step, arrays)
    session.observer.reported(step, arrays)


def _mean(watched: Any) -> float:
    """The mean of what is a number; nan where nothing is, as in runs that diverge."""
    numbers = watched[~np.isnan(watched)]
    return float(np.mean(numbers)) if numbers.size else np.nan


def mean(log: np.ndarray) -> np.ndarray:
    """The mean over a report's steps [runs]; nan where a run has diverged in it."""
    logged = ~np.isnan(log).all(axis=0)
    logged |= not logged.any()  # of no step: all runs have diverged
    return np.asarray(np.mean(log[:, logged], axis=1, dtype=np.float64), np.float32)


@contextlib.contextmanager
def progress(total: int, watch: str) -> Iterator[Any]:
    """A bar with steps done and time left; silent when piped."""
    with console.progress(total, "steps") as shown:
        at = [0]

        def advanced(step: int, watched: float | None) -> None:
            shown.advance(step - at[0])
            at[0] = step
            if watched is not None:
                shown.begin(f"{watch} {watched:.4g}")

        yield advanced
