"""Traces: operations from events, and which steps of a training are traced."""

import pytest

from depthbench.research.engine import profiling
from depthbench.research.engine.profiling import Operation, ProfiledTraining


def event(name, start, length, pid=1, tid=1, **args):
    return {
        "ph": "X", "pid": pid, "tid": tid, "ts": start, "dur": length, "name": name,
        "args": args,
    }  # fmt: skip


def named(kind, name, pid, tid=None):
    return {"ph": "M", "name": kind, "pid": pid, "tid": tid, "args": {"name": name}}


def test_a_loops_time_is_not_that_of_what_it_contains():
    """Microseconds: the loop has 100, of which its two products have 30 and 20."""
    events = [
        event("dot", 60, 20, hlo_op="dot.1", hlo_module="jit_f"),
        event("while", 0, 100, hlo_op="while.2", hlo_module="jit_f"),
        event("dot", 10, 30, hlo_op="dot.1", hlo_module="jit_f"),
        event("python", 0, 500),  # no operation of XLA's
        event("dot", 0, 50, tid=2, hlo_op="dot.1", hlo_module="jit_f"),  # beside it
    ]
    found = profiling.of_events(events)
    assert found == [
        Operation("dot.1", "jit_f", 3, pytest.approx(0.1), pytest.approx(2 / 3)),
        Operation("while.2", "jit_f", 1, pytest.approx(0.05), pytest.approx(1 / 3)),
    ]


def test_what_follows_at_once_is_not_contained():
    events = [event("a", 0, 10, hlo_op="a"), event("b", 10, 10, hlo_op="b")]
    assert {one.name: one.total_ms for one in profiling.of_events(events)} == {
        "a": pytest.approx(0.01),
        "b": pytest.approx(0.01),
    }


@pytest.mark.parametrize("lines", ["streams", "operations"])
def test_an_accelerators_operations_are_counted_once(lines):
    """Its kernels are on streams, and on a line of operations, where there is one."""
    events = [
        named("process_name", "/device:GPU:0", 7),
        named("process_name", "/host:CPU", 1),
        named("thread_name", "Stream #20(Compute)", 7, 20),
        named("thread_name", "XLA Modules", 7, 2),
        event("gemm_kernel", 0, 10, 7, 20, hlo_op="dot.1", hlo_module="jit_f"),
        event("MemcpyD2D", 10, 5, 7, 20),
        event("jit_f", 0, 15, 7, 2),
        event("launch", 0, 15, 1, 9, hlo_op="dot.1"),
    ]
    if lines == "operations":
        events += [
            named("thread_name", "XLA Ops", 7, 3),
            event("dot.1", 0, 10, 7, 3, hlo_module="jit_f"),
            event("copy", 10, 5, 7, 3),
        ]
    found = profiling.of_events(events)
    assert [one.count for one in found] == [1, 1]
    assert found[0][:2] == ("dot.1", "jit_f")
    assert [one.share for one in found] == [pytest.approx(2 / 3), pytest.approx(1 / 3)]


def test_no_events_are_no_operations():
    assert profiling.of_events([]) == []


@pytest.fixture
def traces(monkeypatch):
    """What is traced, in place of jax's profiler: the folder, as a trace is open."""
    import contextlib

    open_ = []

    @contextlib.contextmanager
    def traced(folder):
        open_.append(folder)
        yield
        open_.remove(folder)

    monkeypatch.setattr(profiling, "traced", traced)
    monkeypatch.setattr(profiling, "operations", lambda folder: [])
    monkeypatch.setattr(profiling, "save", lambda folder, found: None)
    return open_


def steps_traced(observer, open_, begin, every, total, chunk=64):
    """The steps whose call is made while a trace is open."""
    seen, step = [], begin
    observer.begun(None, begin)
    while step < total:
        left = min(every - step % every, total - step)
        count = min(observer.most(step, left), chunk)
        observer.stepping(step)
        if open_:
            seen += range(step, step + count)
        step += count
        observer.stepped(step, {})
    observer.ended()
    assert not open_
    return seen


@pytest.mark.parametrize(
    ("steps", "begin", "every", "total", "first"),
    [
        (10, 0, 50, 100, 2),  # after two to warm up
        (10, 30, 50, 100, 32),  # of a training that is resumed
        (10, 0, 10, 100, 10),  # between two reports
        (10, 43, 50, 100, 50),
        (10, 0, 5, 100, 2),  # reports are closer than that: within it
        (98, 0, 50, 100, 2),  # all but those that warm up
        (12, 45, 50, 60, 47),  # no room after the report
    ],
)
def test_so_many_steps_are_traced_once_they_are_warm(
    steps, begin, every, total, first, tmp_path, traces
):
    observer = ProfiledTraining(tmp_path, steps, every, total)
    seen = steps_traced(observer, traces, begin, every, total)
    assert seen == list(range(first, first + steps))
    assert observer.profiled


def test_short_calls_are_traced_until_there_are_enough(tmp_path, traces):
    observer = ProfiledTraining(tmp_path, 10, 50, 100)
    assert steps_traced(observer, traces, 0, 50, 100, chunk=3) == list(range(2, 12))


def test_too_few_steps_that_are_left_are_a_line(tmp_path, traces, capsys):
    observer = ProfiledTraining(tmp_path, 10, 50, 100)
    assert steps_traced(observer, traces, 95, 50, 100) == []
    assert "only 5 steps are left" in capsys.readouterr().err and not observer.profiled


def test_what_the_profiler_cannot_do_is_a_line(tmp_path, monkeypatch, capsys):
    def traced(folder):
        raise RuntimeError("Only one profile may be run at a time.")

    monkeypatch.setattr(profiling, "traced", traced)
    observer = ProfiledTraining(tmp_path, 10, 50, 100)
    assert steps_traced(observer, [], 0, 50, 100) == []
    (line,) = capsys.readouterr().err.splitlines()
    assert "not profiled: RuntimeError: Only one profile" in line
