"""The runner beside what measures: it alone writes rows, whatever units are sent to."""

import itertools
import threading

import pytest

from depthbench.research.engine import runner
from depthbench.research.engine.console import Progress
from depthbench.research.engine.engines.seam import Done
from depthbench.research.engine.engines.threads import Threads
from depthbench.research.store import folder as folders
from depthbench.research.store.folder import Folder
from depthbench.research.store.rows import cell_id
from depthbench.research.study import plan
from depthbench.research.study.declaration import Cost, Measured, Plan, Study
from depthbench.research.study.errors import Refusal

CELLS = [{"net": net, "n": n} for net in ("plain", "residual") for n in range(3)]
STUDY = Study(
    "any",
    "experiment",
    "?",
    "",
    {},
    {},
    "nowhere:measure",
    (),
    Plan(program=lambda cell: cell["net"]),
    threads=2,
)
SILENT = Progress(lambda what: None, lambda cells: None)


def order(missing=CELLS):
    ids = frozenset(cell_id(STUDY.name, cell, "none") for cell in missing)
    units = plan.units(STUDY, CELLS)
    return runner.Assignment(STUDY, units, ids, {"data": "none"}, 2**20, STUDY.threads)


def new(path):
    """A folder that is ready for cells."""
    (path / "cells").mkdir()
    return Folder(path)


def squares(unit, memory):
    return [Measured("ok", "", {"square": cell["n"] ** 2}) for cell in unit.cells]


def test_results_from_anywhere_become_rows(tmp_path):
    folder = new(tmp_path)
    sent = []

    def submit(unit, memory):
        assert memory == 2**20
        sent.extend(unit.cells)
        return squares(unit, memory)

    missing = CELLS[1:]
    outcome = runner.execute(order(missing), Threads(2, submit), folder, SILENT)
    assert (outcome.done, outcome.remaining, outcome.stopped) == (5, 0, 0)
    assert sorted(sent, key=CELLS.index) == missing
    records, damaged = folders.records(folder)
    assert not damaged
    rows = sorted((r.settings for r in records), key=CELLS.index)
    assert rows == missing
    assert all(r.values == {"square": r.settings["n"] ** 2} for r in records)


def test_workers_begin_with_programs_of_their_own_and_keep_to_them(tmp_path):
    both, programs = threading.Barrier(2, timeout=20), {}

    def submit(unit, memory):
        mine = programs.setdefault(threading.get_ident(), [])
        mine.append(unit.program)
        if len(mine) == 1:
            both.wait()  # until the other has begun as well
        return squares(unit, memory)

    runner.execute(order(), Threads(2, submit), new(tmp_path), SILENT)
    assert {mine[0] for mine in programs.values()} == {"plain", "residual"}
    for mine in programs.values():  # the other's are taken only once one's own are done
        assert len(list(itertools.groupby(mine))) <= 2
    assert sum(map(len, programs.values())) == len(CELLS)


def test_an_error_elsewhere_is_raised_here_and_rows_stay(tmp_path):
    folder = new(tmp_path)

    def submit(unit, memory):
        if unit.cells[0]["n"] == 2:
            raise RuntimeError("the node is gone")
        return squares(unit, memory)

    with pytest.raises(RuntimeError, match="the node is gone"):
        runner.execute(order(), Threads(2, submit), folder, SILENT)
    records, _ = folders.records(folder)
    assert records and all(r.settings["n"] < 2 for r in records)


def test_an_accelerator_has_as_many_units_in_flight_as_there_is_room_for(monkeypatch):
    study = STUDY._replace(threads=0)
    units = [
        unit._replace(cost=Cost(memory=10, peak=peak, seconds=1.0))
        for unit, peak in zip(plan.units(study, CELLS), (40, 100), strict=False)
    ]
    monkeypatch.setattr(runner.host, "cores", lambda: 16)
    timed = study._replace(timings=("ms",))
    for one in (study, timed):
        assert runner.workers(one, units, 100) == 16, "each core of a CPU has one"
    monkeypatch.setattr("jax.default_backend", lambda: "gpu")
    counts = {
        memory: runner.workers(study, units, memory) for memory in (1, 250, 10**6)
    }
    assert counts == {1: 1, 250: 2, 10**6: runner.IN_FLIGHT}
    assert 250 // counts[250] >= 100, "each has room at its largest"
    assert runner.workers(timed, units, 10**6) == 1
    assert runner.workers(STUDY, units, 10**6) == STUDY.threads
    monkeypatch.setattr(runner.host, "cores", lambda: 2)
    assert runner.workers(study, units, 10**6) == 2


class Twice:
    """An engine that gives each unit twice, the last one first, of some environment."""

    def __init__(self, **environment):
        self.environment = environment

    def run(self, work, stop, begin):
        for number, unit in reversed([*enumerate(work.units)] * 2):
            yield Done(number, squares(unit, work.memory), self.environment)


def test_what_comes_twice_and_in_any_order_is_one_row(tmp_path):
    folder, seen = new(tmp_path), []
    shown = Progress(lambda what: None, seen.append)
    outcome = runner.execute(order(), Twice(cores=9), folder, shown)
    assert (outcome.done, outcome.remaining) == (len(CELLS), 0) and sum(seen) == 6
    records, _ = folders.records(folder)
    assert {r.values["square"] for r in records} == {0, 1, 4}
    assert all(r.stamp["cores"] == 9 for r in records), "the worker's, not the driver's"


def test_a_worker_that_gives_other_bits_is_refused(tmp_path):
    folder = new(tmp_path)
    job = order()._replace(stamp={"data": "none", "device": "cpu", "jax": "0.10.2"})
    with pytest.raises(Refusal, match=r"jax was 0\.10\.2, is 0\.12"):
        runner.execute(job, Twice(device="cpu", jax="0.12"), folder, SILENT)
    assert not folders.records(folder)[0]


def test_workers_of_two_kinds_have_a_folder_each_where_they_may(tmp_path):
    folder, other = new(tmp_path), tmp_path / "kinds" / "other" / "cells"

    def elsewhere(environment):
        other.mkdir(parents=True, exist_ok=True)
        return Folder(other.parent)

    class Mixed(Twice):
        def run(self, work, stop, begin):
            for done in super().run(work, stop, begin):
                device = "gpu" if done.number % 2 else "cpu"
                yield done._replace(environment={"device": device})

    stamp = {"data": "none", "device": "cpu"}
    job = order()._replace(stamp=stamp, elsewhere=elsewhere)
    assert runner.execute(job, Mixed(), folder, SILENT).done == len(CELLS)
    (kind,) = folders.kinds(folder)
    devices = [
        {r.stamp["device"] for r in folders.records(f)[0]} for f in (folder, kind)
    ]
    assert devices == [{"cpu"}, {"gpu"}]


def test_more_workers_than_fit_are_not_begun(monkeypatch):
    """Of a study that reads a clock, no second one, whatever is typed."""
    monkeypatch.setattr("depthbench.research.machine.host.cores", lambda: 4)
    units, free = plan.units(STUDY, CELLS), STUDY._replace(threads=0)
    count = lambda study, typed: Threads(typed).place(study, units, 2**30).workers
    assert [count(free, typed) for typed in (None, 1, 3, 9)] == [4, 1, 3, 4]
    assert count(STUDY._replace(threads=1), 2) == 1
