"""How many threads numerical libraries have of their own."""

import contextlib
from collections.abc import Iterator

from depthbench.research.lazy import lazily

with lazily():
    import threadpoolctl


@contextlib.contextmanager
def single() -> Iterator[None]:
    """One thread for BLAS and OpenMP in what is done within; also a decorator.

    Cells run side by side already, and on small arrays threads spend their time waiting
    for each other: k-means of a thousand examples takes fifty times as long on two busy
    cores. threadpoolctl comes with scikit-learn.
    """
    with threadpoolctl.threadpool_limits(1):
        yield
