"""The precision of matrix products that rows are stamped with."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """Products in float32, as every row is stamped, where the device would round factors.

    On a CPU nothing is rounded, and programs stay what they are. A study that measures
    other precisions says so itself.
    """
    import jax

    if jax.default_backend() == "cpu":
        yield
        return
    with jax.default_matmul_precision("highest"):
        yield
