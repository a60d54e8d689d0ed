"""How many threads numerical libraries have of their own."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from depthbench.research.lazy import lazily

with lazily():
    import threadpoolctl

_LOCK = threading.Lock()
_inside = 0
_WITHIN: list[Any] = []  # of all who are within, and of who left before the last


@contextlib.contextmanager
def single() -> Iterator[None]:
    """One thread for BLAS and OpenMP in what is done within; also a decorator.

    Cells run side by side already, and on small arrays threads spend their time waiting
    for each other: k-means of a thousand examples takes fifty times as long on two busy
    cores. threadpoolctl comes with scikit-learn. The limit is the process', and so stays
    until the last of its threads is done: who restored what it found might restore 1.
    A library that is loaded within has the limit from the next who enters.
    """
    global _inside
    with _LOCK:
        _take_control()
        _WITHIN.append(threadpoolctl.threadpool_limits(1))
        _inside += 1
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            _take_control()
            while not _inside and _WITHIN:  # the first's last: it found what was before
                _WITHIN.pop().restore_original_limits()


def _take_control() -> None:
    """Lets this thread set OpenBLAS's threads: from 3.8 on threadpoolctl heeds only that
    which did so first, for as long as it lives, and says nothing to others."""
    of_blas = getattr(threadpoolctl, "OpenBLASController", None)
    if clear := getattr(of_blas, "clear_controlling_thread", None):
        clear(force=True)
