"""A function measured for a report: what is said before, and while it takes long."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import jax

from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.engine import console
from depthbench.research.machine import host
from depthbench.research.models.functional import Functional
from depthbench.research.models.taken import line_of
from depthbench.research.report import probed
from depthbench.research.report.probed import Report
from depthbench.research.signal import model_states, states
from depthbench.research.signal.states import Progress

Tree = Any
PATIENCE = 5.0  # seconds without a line
LARGE = 2**30  # bytes of states that are said before


def report(fn: Functional) -> Report:
    """The report of a function. Raises Mistake."""
    net = model_states.network(fn)
    needed = net.memory()
    if needed >= LARGE:
        console.say(
            f"the states take {console.size(needed)} (free: "
            f"{console.size(host.available_memory())}); a smaller batch takes less"
        )
    with undisturbed():
        measured = model_states.measured(fn, net, _told_if_long())
    return probed.report(
        rows=list(states.rows(measured)),
        parameters=measured.log10_parameter_gradient,
        zeros=measured.zeros,
        without_gradient=measured.without_gradient,
        loss=measured.value,
    )


def _told_if_long() -> Progress:
    """Says how far it is, each time that so many seconds have passed."""
    last = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= PATIENCE and done < total:
            last = time.monotonic()
            console.say(f"probing: {done:,} of {total:,} segments")

    return progress


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Within the block a lack of memory is a Mistake, and jax's settings for finding bugs
    are off: a nan is our mark of what cannot be measured, and not the user's."""
    try:
        with jax.debug_nans(False), jax.debug_infs(False), jax.transfer_guard("allow"):
            yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
            raise Mistake(f"batch: out of memory: {line_of(error)}") from None
        raise
