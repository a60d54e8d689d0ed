"""Of a head of Ray that is gone nothing is asked: Ray waits for it for a minute, and then
ends the process. In place of Ray is what notes its calls; a real one is in test_processes.
"""

import atexit
import contextlib
import socket
import sys
import types

import pytest

from depthbench.research.engine.engines import on_ray
from depthbench.research.study.errors import LATER, Refusal

GONE = "127.0.0.1:1"


@pytest.fixture
def ray(monkeypatch):
    """Ray as it is called here; its calls are in `called`."""
    monkeypatch.setattr(on_ray, "secured", lambda insecure: None)
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_BACKEND_LOG_LEVEL"):
        monkeypatch.setenv(name, "as it was")  # begun sets them
    called = []
    note = lambda name, back=None: lambda *given, **named: called.append(name) or back
    task = types.SimpleNamespace(remote=note("send"))
    function = types.SimpleNamespace(options=note("options", task))
    context = types.SimpleNamespace(gcs_address=GONE)
    fake = types.ModuleType("ray")
    vars(fake).update(
        called=called,
        context=context,
        init=note("init"),
        shutdown=note("shutdown"),
        cancel=note("cancel"),
        get_runtime_context=lambda: context,
        remote=note("remote", lambda what: function),
    )
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setattr(atexit, "unregister", note("unregister"))
    return fake


@pytest.fixture
def answering(ray):
    """A Ray whose head is there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ray.context.gcs_address = f"127.0.0.1:{server.getsockname()[1]}"
        yield ray


def used(failing: bool = False) -> None:
    """Begins a Ray and has it cancel what it does."""
    with on_ray.begun(on_ray.RayRequest()) as engine:
        on_ray.RayTask(None, engine).cancel()
        if failing:
            raise ZeroDivisionError


@pytest.mark.parametrize("failing", [False, True])
def test_one_that_answers_is_asked_and_ended(answering, failing):
    with pytest.raises(ZeroDivisionError) if failing else contextlib.nullcontext():
        used(failing)
    assert answering.called == ["init", "cancel", "shutdown"]


@pytest.mark.parametrize("failing", [False, True])
def test_of_one_that_is_gone_nothing_is_asked(ray, failing):
    with pytest.raises(ZeroDivisionError) if failing else contextlib.nullcontext():
        used(failing)
    assert ray.called == ["init", "unregister"]


def test_it_is_asked_to_keep_the_task_once_however_many_jobs_are_sent(answering):
    with on_ray.begun(on_ray.RayRequest()) as engine:
        engine.options = {}
        for _ in range(3):
            engine._send(None)
        engine.gone.set()
        with pytest.raises(Refusal, match="is gone; finished cells are saved") as seen:
            engine._send(None)
    assert seen.value.status == LATER
    assert answering.called == ["init", "remote", "options", *3 * ["send"], "shutdown"]
