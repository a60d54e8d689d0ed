"""Processes in namespaces of their own: nothing of them listens or speaks beyond loopback,
and none outlives the first.

`python -m tests.loopback WORDS…` is begun in a fresh network namespace, brings loopback up
and becomes `python -m WORDS…`.
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys

SPACES = "unshare --net --pid --fork --mount-proc --kill-child --map-root-user".split()
UP_AND_RUNNING = 0x1 | 0x40
SET_FLAGS = 0x8914  # SIOCSIFFLAGS


def why_not() -> str:
    """Why no such process can be begun here; "" where one can."""
    try:
        done = subprocess.run([*SPACES, "true"], capture_output=True, text=True)
    except OSError as error:
        return f"unshare: {error.strerror}"
    return "" if not done.returncode else f"unshare: {done.stderr.strip()}"


def command(*words: str) -> list[str]:
    """The command line of `python -m WORDS…` in namespaces of its own."""
    return [*SPACES, sys.executable, "-m", "tests.loopback", *words]


if __name__ == "__main__":
    with socket.socket() as any_socket:
        request = struct.pack("16sh", b"lo", UP_AND_RUNNING)
        fcntl.ioctl(any_socket, SET_FLAGS, request)
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[1:]])
