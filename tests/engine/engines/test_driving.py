"""Jobs in other processes, without any: what becomes of what they say and of lost ones."""

import itertools
import threading

import pytest

from depthbench.research.engine.engines import driving, jobs
from depthbench.research.engine.engines.jobs import Began, Raised
from depthbench.research.engine.engines.seam import Done, Workload
from depthbench.research.study import plan
from depthbench.research.study.declaration import Cost, Measured, Plan, Study
from depthbench.research.study.errors import LATER, Refusal

CELLS = [{"net": net, "n": n} for net in ("plain", "residual") for n in range(3)]
STUDY = Study(
    *("any", "experiment", "?", "", {}, {}, "nowhere:measure", ()),
    Plan(program=lambda cell: cell["net"], cost=lambda cells, shared: Cost(1, 1, 1.0)),
)
WORK = Workload(STUDY, plan.units(STUDY, CELLS), memory=1, workers=2)
RESULT = [Measured("ok", "", {})]


class Told:
    """A job that says, turn by turn, what it is told to, and then has ended."""

    def __init__(self, turns):
        self.turns, self.cancelled = iter(turns), False
        self.over = False

    def said(self):
        said = next(self.turns, None)
        self.over = said is None
        return said or ()

    def ended(self):
        return self.over or self.cancelled

    def last_lines(self):
        return "Killed"

    def cancel(self):
        self.cancelled = True


def all_of(job):
    """Everything that a job with good luck says, a unit a turn."""
    return [(Began(n), Done(n, RESULT)) for n in job.units]


def run(tell, stop=None, work=WORK):
    """What the work gives, and the jobs that were sent; tell: what each says."""
    sent = []

    def send(job):
        sent.append((job, Told(tell(job, len(sent)))))
        return sent[-1][1]

    stop = stop or threading.Event()
    return driving.finished(work, send, stop, lambda text: None), sent


def test_a_job_is_a_program_and_every_unit_comes_once():
    done, sent = run(lambda job, count: all_of(job))
    assert sorted(d.number for d in done) == list(range(6))
    programs = [{unit.program for unit in job.units.values()} for job, _ in sent]
    assert sorted(map(sorted, programs)) == [["plain"], ["residual"]]


def test_a_long_program_is_split_and_its_other_parts_come_late():
    def cost(cells, shared):
        return Cost(1, 1, 60.0 if cells[0]["net"] == "plain" else 1.0)

    study = STUDY._replace(plan=STUDY.plan._replace(cost=cost))
    sent = jobs.of(WORK._replace(study=study, units=plan.units(study, CELLS)))
    times = [sum(u.cost.seconds for u in job.units.values()) for job in sent]
    assert times == [60.0, 3.0, 60.0, 60.0]


def test_only_the_last_of_programs_that_are_as_long_is_split():
    """Each worker traces one and a part of the third, and not parts of all three."""
    cells = [{"net": f"net {n % 3}", "n": n} for n in range(48)]
    cost = lambda cells, shared: Cost(1, 1, 10.0)
    study = STUDY._replace(plan=STUDY.plan._replace(cost=cost))
    work = WORK._replace(study=study, units=plan.units(study, cells))

    def lengths(start):
        sent = jobs.of(work, start)
        kinds = [{unit.program for unit in job.units.values()} for job in sent]
        return [len(job.units) for job in sent], [len(kind) for kind in kinds]

    assert lengths(0.0) == ([16, 16, 4, 4, 4, 4], [1] * 6)
    assert lengths(60.0) == ([24, 24], [2, 2])


def test_parts_of_a_program_take_as_long_whatever_its_units_cycle_through():
    """Depths 1 to 32 in turn: every other unit would be of deep nets in one part."""
    cells = [{"net": "plain", "n": n, "depth": 4 ** (n % 4)} for n in range(64)]
    cost = lambda cells, shared: Cost(1, 1, float(cells[0]["depth"]))
    study = STUDY._replace(plan=STUDY.plan._replace(cost=cost))
    sent = jobs.of(WORK._replace(study=study, units=plan.units(study, cells)))
    times = [sum(u.cost.seconds for u in job.units.values()) for job in sent]
    assert len(sent) == 4 and max(times) < 1.1 * min(times)
    assert all([*job.units] == sorted(job.units) for job in sent)


def test_short_programs_are_joined_where_processes_are_slow_to_begin():
    cells = [{"net": f"net {n}", "n": 0} for n in range(40)]
    study = STUDY._replace(compile_seconds=1.0)  # and one to measure: of 80 seconds
    work = WORK._replace(study=study, units=plan.units(study, cells))

    def counts(start, work=work):
        return [len(job.units) for job in jobs.of(work, start)]

    assert counts(0.0) == [1] * 40
    assert counts(1.0) == [10] * 4  # twenty seconds each
    assert counts(60.0) == [20] * 2  # there are two workers
    assert sorted(n for job in jobs.of(work, 1.0) for n in job.units) == [*range(40)]
    uneven = WORK._replace(units=plan.units(STUDY, [*cells[:2], *CELLS[:3]]))
    assert [[*job.units] for job in jobs.of(uneven, 60.0)] == [[2, 3, 4], [0, 1]]
    free = study._replace(
        compile_seconds=0.0,
        plan=study.plan._replace(cost=lambda cells, shared: Cost(1, 1, 0.0)),
    )
    assert counts(1.0, work._replace(study=free, units=plan.units(free, cells))) == [
        20,
        20,
    ]
    timed = work._replace(study=study._replace(timings=("seconds",)))
    assert counts(60.0, timed) == [1] * 40


def test_units_of_a_lost_job_are_sent_again_but_not_those_that_are_done():
    def tell(job, count):
        whole = all_of(job)
        return whole if count else [whole[0], (Began([*job.units][1]),)]

    done, sent = run(tell)
    assert sorted(d.number for d in done) == list(range(6))
    assert len(sent) == 3
    (first, _), (again, _) = sent[0], sent[2]
    assert [*again.units] == [*first.units][1:]


def test_a_unit_that_ends_its_process_three_times_becomes_rows_and_the_rest_goes_on():
    poison = 1

    def tell(job, count):
        before = itertools.takewhile(lambda n: n != poison, job.units)
        whole = [(Began(n), Done(n, RESULT)) for n in before]
        return [*whole, (Began(poison),)] if poison in job.units else all_of(job)

    done, sent = run(tell)
    by_number = {d.number: d.measured[0] for d in done}
    assert sorted(by_number) == list(range(6))
    assert (
        by_number[poison].status == "crashed" and "Killed" in by_number[poison].reason
    )
    assert {by_number[n].status for n in by_number if n != poison} == {"ok"}
    assert sum(poison in job.units for job, _ in sent) == driving.TRIES


def test_what_a_unit_raises_is_raised_here_and_not_tried_again():
    def tell(job, count):
        return [(Began(0), jobs._said_of(ValueError("a bad unit")))]

    done, sent = run(tell)
    with pytest.raises(
        jobs.WorkerError, match=r"(?s)in a worker:.*ValueError: a bad unit"
    ):
        list(done)
    assert len(sent) == 2 and all(told.cancelled for _, told in sent)


def test_what_came_before_an_error_is_kept():
    def tell(job, count):
        whole, error = all_of(job), jobs._said_of(ValueError("a bad unit"))
        return [(*whole[0], Began([*job.units][1]), error)]  # all seen at once

    done, _ = run(tell)
    kept = []
    with pytest.raises(jobs.WorkerError):
        kept.extend(d.number for d in done)
    assert kept == [0]


def test_processes_that_end_before_they_begin_end_the_run():
    done, sent = run(lambda job, count: [])
    with pytest.raises(Refusal, match="before they begin: Killed") as caught:
        list(done)
    assert caught.value.status == LATER
    assert len(sent) <= driving.TRIES * WORK.workers + WORK.workers


def test_a_stop_lets_units_end_and_begins_no_other():
    stop = threading.Event()

    def tell(job, count):
        for number in job.units:
            yield (Began(number),)
            stop.set()  # while it is measured
            yield ()
            yield (Done(number, RESULT),)

    done, sent = run(tell, stop)
    assert {d.number for d in done} == {next(iter(job.units)) for job, _ in sent}
    assert all(told.cancelled for _, told in sent)


def test_code_that_differs_is_refused_by_the_worker():
    (job, *_) = jobs.of(WORK)
    (said,) = jobs.perform(job._replace(code="0" * 16))
    assert isinstance(said, Raised)
    with pytest.raises(Refusal, match="has other code"):
        raise jobs.error_of(said)
