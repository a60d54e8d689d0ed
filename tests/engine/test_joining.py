"""A process whose peers never come: it says so, gives up, and can be stopped meanwhile."""

import signal
import socket
import subprocess
import sys

import pytest

from depthbench.research.cli.main import main
from depthbench.research.engine import processes, relay
from depthbench.research.engine.processes import lost
from depthbench.research.study.errors import LATER
from tests.engine.test_signals import begun, check, strike
from tests.without_jax import without_jax

WORDS = "train --depth 1 --width 8 --steps 9 --batch 16 --mesh data=2 --num-processes 2"
HURRIED = """
import sys
from depthbench.research.cli.main import main
from depthbench.research.engine import joining
joining.EVERY, joining.WAIT = 0.5, 1.5
sys.exit(main(sys.argv[1:]))
"""


def alone() -> list[str]:
    """The command of one process of two; of the other there is none."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    return [*WORDS.split(), "--coordinator", coordinator, "--process-id", "1"]


@pytest.mark.slow
def test_a_process_whose_peers_never_come_gives_up(clean_environment, tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", HURRIED, *alone()],
        cwd=tmp_path,
        env=clean_environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    first, second, last = result.stderr.splitlines()
    assert result.returncode == 75
    assert "waiting for 2 processes at --coordinator 127.0.0.1:" in first
    assert first.endswith("0 s of 2") and second.endswith("1 s of 2")
    assert "not all of 2 processes have come within 2 s" in last
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_ctrl_c_ends_the_waiting(clean_environment, tmp_path):
    result = strike(begun(alone(), tmp_path, clean_environment), signal.SIGINT, 2.0)
    assert result is not None
    check(result, signal.SIGINT, slow=4)


@pytest.mark.parametrize("port", ["0", "65536", "99999", "-1", "x", ""])
def test_a_port_that_cannot_be_is_refused(port, tmp_path, capsys):
    line = [*WORDS.split(), "--coordinator", f"h:{port}", "--process-id", "0"]
    status = without_jax()(main)([*line, "--out", str(tmp_path / "out")])
    stderr = capsys.readouterr().err
    assert status == 2 and stderr.count("\n") == 1
    assert f"--coordinator h:{port}: must be HOST:PORT" in stderr
    assert not (tmp_path / "out").exists()


def relayed(text: str) -> str:
    """What a process's C++ has written, as it is passed on."""
    done = subprocess.run(
        [sys.executable, relay.__file__, "ours"],
        input=text,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    return done.stderr


def test_our_line_comes_before_those_of_jaxs_service():
    service = (
        "E1 Polled an error from coordination service (this\nF2 Terminating process"
    )
    service += " because the JAX\n    @ 0x7f9423a40634\n"
    assert relayed(f"before\n{service}") == f"before\nours\n{service}"
    assert relayed("an unfinished") == "an unfinished"
    said = f"depthbench: {lost(0, 2, 'Connection reset')}\n{service}"
    assert relayed(said) == said
    first = "E0 coordination_service.cc:1549] [7] Use error polling to propagate the"
    assert relayed(f"{first}\n{service}") == f"ours\n{first}\n{service}"


@pytest.fixture
def left(monkeypatch):
    """Within a run of two processes: what is written to descriptor 2, then the status."""
    ended = []
    monkeypatch.setattr(processes.jax, "process_count", lambda: 2)
    monkeypatch.setattr(processes.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(processes.os, "write", lambda _, text: ended.append(text))
    monkeypatch.setattr(processes.os, "_exit", ended.append)
    return ended


@pytest.mark.parametrize("kind", [ValueError, processes.jax.errors.JaxRuntimeError])
def test_what_is_not_sent_is_a_line_whenever_it_fails(left, kind):
    """While a program begins it is a ValueError, and later one of jax's own."""
    with processes.together():
        raise kind("UNKNOWN: Gloo AllGather failed: Connection closed by peer")
    line, status = left
    assert status == LATER and line.count(b"\n") == 1
    assert relay.SAID in line and b"AllGather failed" in line


def test_an_error_of_another_kind_stays_what_it_is(left):
    with pytest.raises(ValueError, match="shapes"), processes.together():
        raise ValueError("shapes do not agree")
    assert not left
