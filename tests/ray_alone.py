"""What is tried of a Ray of one process's own, with no network but loopback.

`python -m tests.ray_alone WHAT OUT WORDS…` prints what it came to as JSON.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

LATE = 120.0  # seconds


def processes(name: str) -> list[int]:
    """The processes whose command line has a name in it, of this namespace."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if name.encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:  # it has just ended
            continue
    return found


def wait_for(seen: Callable[[], object]) -> None:
    until = time.monotonic() + LATE
    while not seen():
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.1)


def begun(out: Path, words: list[str]) -> subprocess.Popen:
    """A run that has written a row."""
    command = [sys.executable, "-m", "depthbench", "run", *words, "--out", str(out)]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    driver = subprocess.Popen([*command, "--on", "ray"], text=True, **pipes)
    wait_for(lambda: any(out.glob("cells/*.json")) or driver.poll() is not None)
    return driver


def whole(driver: subprocess.Popen) -> dict:
    """A run that is left alone."""
    return {}


def stranger(driver: subprocess.Popen) -> dict:
    """A client that knows the address and no token."""
    (head, *_) = processes("gcs_server")
    words = Path(f"/proc/{head}/cmdline").read_bytes().decode().split("\0")
    (port,) = [w.partition("=")[2] for w in words if w.startswith("--gcs_server_port=")]
    if port == "0":  # the kernel has chosen one
        files = Path("/tmp/ray/session_latest").resolve().rglob("gcs_server_port*")
        port = next(file.read_text().strip() for file in files)
    program = (
        f"import ray; ray.init(address='127.0.0.1:{port}', log_to_driver=False); "
        "print('inside')"
    )
    environment = {n: v for n, v in os.environ.items() if not n.startswith("RAY_")}
    environment |= {
        "HOME": "/nowhere",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "x" * 64,
    }
    driver.send_signal(signal.SIGSTOP)  # its Ray is there as long as it is
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LATE,
    )
    driver.send_signal(signal.SIGCONT)
    return {"inside": "inside" in done.stdout, "why": done.stderr[-2000:]}


def interrupted(driver: subprocess.Popen) -> dict:
    """Ctrl-C."""
    driver.send_signal(signal.SIGINT)
    return {}


def killed(driver: subprocess.Popen) -> dict:
    """kill -9 of the driver: its Ray ends by itself."""
    driver.kill()
    return {}


def headless(driver: subprocess.Popen) -> dict:
    """The head is gone; for a while workers end what they have and are given more."""
    for process in processes("gcs_server"):
        os.kill(process, signal.SIGKILL)
    time.sleep(3)
    workers = processes("ray::")
    for process in workers:
        os.kill(process, signal.SIGSTOP)  # or all may be done before it is seen
    with contextlib.suppress(subprocess.TimeoutExpired):
        driver.wait(LATE)
    for process in workers:
        os.kill(process, signal.SIGCONT)
    return {}


def listening() -> list[str]:
    """The addresses that anything here listens at, as hexadecimal."""
    texts = (Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6"))
    words = [line.split() for text in texts for line in text.splitlines()]
    return sorted({w[1].partition(":")[0] for w in words if w[3] == "0A"})


WHATS = {f.__name__: f for f in (whole, stranger, interrupted, killed, headless)}

if __name__ == "__main__":
    what, out, *words = sys.argv[1:]
    driver = begun(Path(out), words)
    seen = {"listening": listening(), **WHATS[what](driver)}
    _, stderr = driver.communicate(timeout=3 * LATE)
    if what in ("interrupted", "killed"):
        wait_for(lambda: not processes("raylet") and not processes("gcs_server"))
    print(json.dumps({**seen, "status": driver.returncode, "stderr": stderr}))
