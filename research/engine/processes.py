"""A run in one process, or in several in lockstep, of which the first writes.

Every process computes the same numbers and takes part in all that is sent between devices.
Each writes and reads its own shards of a checkpoint; all else that is read and written on
disk, and what is said, is process 0's.
"""

import contextlib
import faulthandler
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from depthbench.research.engine import console
from depthbench.research.files.text import one_line
from depthbench.research.learning import checkpoints, sharding
from depthbench.research.learning.forms import is_key
from depthbench.research.study.errors import LATER, Refusal

HUNG = 900.0  # seconds, with compilation, that a turn of under a second cannot take


def by_first(work: Callable[[], Any]) -> Any:
    """What `work` gives in process 0, and None in others; a Refusal there is all's."""
    result, refusal = None, None
    if sharding.leads():
        try:
            result = work()
        except Refusal as error:
            refusal = error
    status = int(sharding.agreed(refusal.status if refusal else 0)[0, 0])
    if refusal is not None:
        raise refusal
    if status:
        raise Refusal(f"process {jax.process_index()} exits with process 0", status)
    return result


def watched() -> None:
    """To be called at each turn: processes that wait for one another for ever are ended,
    and say where they waited."""
    if jax.process_count() > 1:
        faulthandler.dump_traceback_later(HUNG, exit=True)


def unwatched() -> None:
    """To be called after the last turn."""
    if jax.process_count() > 1:
        faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Ends this process when what another one should have sent does not come."""
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        # What is sent between processes before the first step fails as a ValueError.
        sent = isinstance(error, jax.errors.JaxRuntimeError) or "Gloo" in str(error)
        if jax.process_count() == 1 or not sent:
            raise
        why = one_line(str(error), 120)
        line = lost(jax.process_index(), jax.process_count(), why)
        # Beside what C++ writes, so that the line is not written twice (`relay`).
        os.write(2, f"depthbench: {line}\n".encode())
        # Sooner than that jax's service ends it, and says which one is gone.
        time.sleep(2 * sharding.HEARTBEAT)
        os._exit(LATER)


def lost(number: int, count: int, why: str = "it has ended") -> str:
    """What is said where another process is gone."""
    return (
        f"process {number} of {count} lost another one ({why}); the same commands resume "
        "from the last checkpoint"
    )


class Keeper:
    """The checkpoints of a run, whatever its mesh and processes. run: its id."""

    def __init__(self, store: checkpoints.Store, spread: bool, run: str):
        self._store, self._spread, self._run = store, spread, {"run": run}

    def restore(self, like: Any, below: int) -> tuple[int, Any]:
        """(step, state) of the newest whole checkpoint, placed as `like`; or (-1, like).

        below: its step is to be less. Raises Mismatch when it is of another state.
        """
        if jax.process_count() > 1:
            return self._read(like, below) or (-1, like)
        if not self._spread:
            return self._read(jax.eval_shape(lambda: like), below) or (-1, like)
        # To the host first: a state may be too large for any one device.
        read = self._read(jax.tree.map(_on_host, like), below)
        if read is None:
            return -1, like
        step, state = read
        return step, sharding.as_placed(sharding.whole(state), like)

    def _read(self, like: Any, below: int) -> tuple[int, Any] | None:
        restored = self._store.restore(like, below, self._run)
        for line in self._store.damaged:
            console.say(line)
        return None if restored is None else (restored.step, restored.state)

    def due(self) -> bool:
        """Whether it is time for a save. Raises NotSaved when the last one failed."""
        return self._store.due()

    def begin(self, step: int, state: Any) -> None:
        """Begins a save, in all processes at once, which continue meanwhile."""
        self._store.begin(step, state, self._run)

    def save(self, step: int, state: Any) -> None:
        """Saves, in all processes at once. Raises NotSaved."""
        self._store.save(step, state, self._run)


def _on_host(leaf: Any) -> Any:
    """What a checkpoint is read into: NumPy's, and a form for keys."""
    if is_key(leaf):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
    return np.empty(leaf.shape, leaf.dtype)


@contextlib.contextmanager
def keeper(
    folder: Path, seconds: float, spread: bool, run: str = ""
) -> Iterator[Keeper]:
    """The checkpoints of a folder. spread: the state is split over a mesh.

    run: what tells them from another run's, which are not restored.
    """
    with checkpoints.open(folder, seconds) as store:
        yield Keeper(store, spread, run)
