"""The machine's best rates, its treatment of denormals, and its load by others."""

import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from depthbench.research.machine import timing


class Load(NamedTuple):
    """What is large enough to fill a machine.

    sides: of square matrices. operations: of a call's products, at least. copied: bytes
      of an array that is copied: more than the caches hold.
    """

    sides: tuple[int, ...]
    operations: float
    copied: int


LOADS = {"cpu": Load((512, 1024), 2**25, 2**28)}
# Milliseconds of an accelerator's: beside them, the tens of microseconds that it takes to
# begin a call and to hear of its end are few.
LARGE = Load((4096, 8192), 2**43, 2**31)


class Precision(NamedTuple):
    """What products are computed in. matmul: jax's name for it."""

    dtype: Any
    matmul: str


class Ceilings(NamedTuple):
    """The best rates seen: operations a second of products, bytes a second of copies."""

    product: float
    copy: float


def load() -> Load:
    """What fills the machine that jax uses here."""
    return LOADS.get(jax.default_backend(), LARGE)


def ceilings(precision: Precision) -> Ceilings:
    """The best of square matrix products of several sizes; and a := s a + b of long
    arrays in place, whose two reads and one write go to memory."""
    sides, operations, copied = load()
    product = max(
        timing.product_gflops(side, side, 0.1, *precision, operations) for side in sides
    )
    length = copied // 4
    held = jnp.full((length,), 1.0), jnp.full((length,), 0.5)
    triad = jax.jit(lambda a, b: 0.5 * a + b, donate_argnums=0)
    a, b = held

    def call():
        nonlocal a
        a = triad(a, b)
        return a

    step = timing.repeat(call, 7, 0.1)
    return Ceilings(1e9 * product, 3 * copied / (step.low_ms / 1e3))


def denormals() -> str:
    """Whether compiled code keeps numbers below 1e-38, or has 0 instead of them."""
    small = jax.jit(lambda x: 0.5 * x)(jnp.float32(1.2e-38))
    return "kept" if float(small) > 0 else "flushed"


class Clocks(NamedTuple):
    """Seconds: wall time, CPU time of all processes, and CPU time of this one."""

    clock: float
    busy: float | None
    process: float


def moment() -> Clocks:
    """This moment. busy: None where the system does not tell."""
    return Clocks(time.perf_counter(), _busy(), time.process_time())


def _busy() -> float | None:
    """Seconds that cores have worked, or were taken away, since the machine started."""
    try:
        first = Path("/proc/stat").read_text().splitlines()[0]
    except OSError:
        return None
    user, nice, system, _, _, *more = map(int, first.split()[1:9])
    return (user + nice + system + sum(more)) / os.sysconf("SC_CLK_TCK")


def others(before: Clocks, after: Clocks) -> float | None:
    """How many cores were at other processes' work, on average, between two moments.

    >>> others(Clocks(0.0, 0.0, 0.0), Clocks(2.0, 3.0, 1.0))
    1.0
    """
    if before.busy is None or after.busy is None or after.clock <= before.clock:
        return None
    spent = (after.busy - before.busy) - (after.process - before.process)
    return max(0.0, spent / (after.clock - before.clock))
