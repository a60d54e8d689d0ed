"""How many threads numerical libraries have of their own."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from depthbench.research.lazy import lazily

with lazily():
    import threadpoolctl

_LOCK = threading.Lock()
_WITHIN: list[Any] = []  # the limits, as often as they are asked for


@contextlib.contextmanager
def single() -> Iterator[None]:
    """One thread for BLAS and OpenMP in what is done within; also a decorator.

    Cells run side by side already, and on small arrays threads spend their time waiting
    for each other: k-means of a thousand examples takes fifty times as long on two busy
    cores. threadpoolctl comes with scikit-learn. The limit is the process', and so stays
    until the last of its threads is done: who restored what it found might restore 1.
    """
    with _LOCK:
        limits = _WITHIN[0] if _WITHIN else threadpoolctl.threadpool_limits(1)
        _WITHIN.append(limits)
    try:
        yield
    finally:
        with _LOCK:
            _WITHIN.pop()
            if not _WITHIN:
                limits.restore_original_limits()
