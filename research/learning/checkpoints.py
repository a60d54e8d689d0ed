"""Training states on disk: saved in the background, whole or not there, self-checked.

A checkpoint is the folder FOLDER/STEP with the state's arrays as Orbax writes them, and
`seal.json`: a SHA-256 of the state and of every file, and the caller's metadata. It is made
under a name that begins with a dot, forced to the disk, and renamed. So kill -9 and a
full disk leave the checkpoints that were there, and nothing else counts as one. Orbax's
own Checkpointer commits before a seal could be added, and reads damaged files as if they
were whole; nothing of a file is read here before its checksum is right. Nothing is pickled.

The writing is done by one thread, on a copy of the state. An ordinary SIGTERM ends the
process at once, as kill -9 does; to save first, let a handler set a flag and let the
loop that reads it call `save`. Leaving the `with` block finishes the save under way.

Of a run's several processes each opens the folder, which all can see, and calls `begin`,
`save` and `restore` at the same steps. Each writes its own shards and their checksums;
once all have, process 0 seals them, and alone renames and removes. A state is restored on
whatever devices and processes `like` is placed on, and each process reads its own shards.
"""

import contextlib
import functools
import itertools
import json
import math
import operator
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from depthbench.research.files.text import one_line
from depthbench.research.learning import (
    arrays_on_disk,
    checkpoint_reading,
    seals,
    sharding,
    shards,
)
from depthbench.research.learning.forms import (
    Mismatch,
    digest_of,
    forms_of,
    is_key,
    named_arrays,
    on_host,
)
from depthbench.research.learning.forms import digest as digest
from depthbench.research.learning.seals import PART, Seal


class NotSaved(OSError):
    """A checkpoint that could not be written; those before it are still there."""


class Restored(NamedTuple):
    """The newest whole checkpoint, and a sentence on each newer one that was damaged."""

    step: int
    state: Any
    metadata: dict[str, Any]
    damaged: list[str]


def _steps(folder: Path) -> list[int]:
    names = (path.name for path in folder.iterdir())
    return sorted(int(n) for n in names if n.isdecimal() and n == str(int(n)))


def _put_aside(folder: Path, step: int) -> None:
    """Moves a checkpoint to FOLDER/quarantine, under a name that is free there."""
    aside = folder / "quarantine"
    if aside.is_symlink():
        raise NotSaved(f"{aside}: is a link; remove it")
    aside.mkdir(exist_ok=True)
    names = (f"{step}{f'.{n}' * (n > 0)}" for n in itertools.count())
    free = next(name for name in names if not os.path.lexists(aside / name))
    (folder / str(step)).rename(aside / free)


@contextlib.contextmanager
def _or_not_saved(folder: Path, step: int) -> Iterator[None]:
    """Leaves no half of a checkpoint. Raises NotSaved, whatever went wrong."""
    try:
        yield
    except Exception as error:
        if sharding.leads():
            shutil.rmtree(folder / f"{PART}{step}", ignore_errors=True)
        raise NotSaved(
            f"{folder}: checkpoint {step} was not written: {_why(error)}"
        ) from error


def _write(folder: Path, keep: int, seal: Seal, arrays: dict[str, np.ndarray]) -> None:
    """Writes one checkpoint, then removes old ones. Raises NotSaved."""
    with _or_not_saved(folder, seal.step):
        part = seals.emptied(folder / f"{PART}{seal.step}")
        arrays_on_disk.write(part / "arrays", arrays)
        state = digest_of(seal.forms, arrays)
        files = seals.file_sums(part, seals.files_in(part))
        seals.commit(part, seal._replace(digest=state, files=files))
    with contextlib.suppress(OSError):
        _prune(folder, keep, seal.step)


def _write_shards(folder: Path, keep: int, seal: Seal, begun: shards.Begun) -> None:
    """Finishes a save of several processes, in all of them. Raises NotSaved."""
    with _or_not_saved(folder, seal.step):
        shards.finish(folder / f"{PART}{seal.step}", seal, begun)
    if sharding.leads():
        with contextlib.suppress(OSError):
            _prune(folder, keep, seal.step)


def _prune(folder: Path, keep: int, newest: int) -> None:
    """Keeps the newest ones. Later steps are of a run that was since restarted."""
    for step in _steps(folder):
        if step > newest:
            _put_aside(folder, step)
    for step in _steps(folder)[:-keep]:
        seals.remove(folder / str(step))


def _why(error: BaseException) -> str:
    """One line on what went wrong."""
    text = one_line(str(error))
    if "No space left" in text or "ENOSPC" in text:
        return "no space left on the disk"
    return one_line(text, 200) or type(error).__name__


def open(
    folder: str | os.PathLike[str], seconds: float = 60.0, keep: int = 3
) -> "Store":
    """The checkpoints of one run in a folder, which is made if it is not there.

    seconds: how long `maybe_save` waits between two.
    keep: how many to keep, the newest; the disk must hold one more while one is written.
    """
    return Store(folder, seconds, keep)


class Store:
    """Checkpoints of one run, newest last. For one thread at a time, in each process.

    What saves is in its `with` block, which ends with the last save on the disk.
    """

    def __init__(self, folder: str | os.PathLike[str], seconds: float, keep: int):
        if keep < 1:
            raise ValueError(f"keep must be at least 1, not {keep}")
        self.folder = Path(folder).absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        if sharding.leads():
            for left in self.folder.glob(f"{PART}*"):
                seals.discard(left)
        self.damaged: list[str] = []  # by the last `restore`
        self._seconds, self._keep = seconds, keep
        self._worker: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None
        self._saved_at = time.monotonic()

    def __enter__(self) -> "Store":
        self._worker = ThreadPoolExecutor(1, "checkpoints")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.wait()
        except NotSaved:
            if kind is None:  # else there is something worse to tell
                raise
        finally:
            worker, self._worker = self._worker, None
            if worker is not None:
                worker.shutdown()

    def maybe_save(self, step: int, state: Any, metadata: dict[str, Any]) -> bool:
        """Whether a save was begun: the last one was `seconds` ago and is finished.

        Takes as long as copying the state off the device; the rest is done meanwhile.
        metadata: what JSON can hold.
        Raises NotSaved when the save before it failed.
        """
        due = self.due()
        if due:
            self.begin(step, state, metadata)
        return due

    def due(self) -> bool:
        """Whether the last save was `seconds` ago and is finished. Raises NotSaved."""
        if self._pending is not None and self._pending.done():
            self.wait()
        late = time.monotonic() - self._saved_at >= self._seconds
        return late and self._pending is None

    def save(self, step: int, state: Any, metadata: dict[str, Any]) -> None:
        """Saves now, and returns when it is on the disk. Raises NotSaved."""
        with contextlib.suppress(NotSaved):  # this save makes up for the one before
            self.wait()
        self.begin(step, state, metadata)
        self.wait()

    def wait(self) -> None:
        """Returns when the save that is under way is on the disk. Raises NotSaved."""
        pending = self._pending
        if pending is not None:
            try:
                pending.result()
            finally:
                if pending.done():
                    self._pending = None

    def restore(
        self,
        like: Any,
        below: float = math.inf,
        metadata: Mapping[str, Any] | None = None,
    ) -> Restored | None:
        """The newest checkpoint that is whole, or None; damaged ones are put aside.

        below: one of a smaller step. metadata: that it was saved with; None for any.
        like: a pytree of arrays, or of jax.ShapeDtypeStruct with or without shardings;
        in several processes of arrays as they are to be placed.
        `damaged` here and of the result has a sentence on each that was skipped.
        Raises Mismatch when the newest whole one is of a different state, and what the
        machine raised where it did not let one be read; nothing is put aside then.
        """
        self.wait()
        named = named_arrays(like)
        self.damaged = []
        while (step := self._newest(below)) is not None:
            path = self.folder / str(step)
            try:
                leaves, seal = checkpoint_reading.leaves(path, named)
                if metadata is not None and seal.metadata != metadata:
                    raise checkpoint_reading.Agreed("it is of another run")
            except Mismatch:
                raise
            except Exception as error:  # Orbax may raise anything
                if checkpoint_reading.withheld(error):
                    raise
                line = f"checkpoint {step} is damaged: {_why(error)}"
                if sharding.leads():
                    self.damaged.append(line)
                    with contextlib.suppress(OSError):
                        _put_aside(self.folder, step)
                elif not isinstance(error, checkpoint_reading.Agreed):
                    self.damaged.append(f"process {jax.process_index()}: {line}")
                below = step
                continue
            state = jax.tree.unflatten(jax.tree.structure(like), leaves)
            return Restored(step, state, seal.metadata, list(self.damaged))
        return None

    def _newest(self, below: float) -> int | None:
        """Process 0's newest step below one, in all processes."""
        steps = [-1]
        if sharding.leads():
            steps += [step for step in _steps(self.folder) if step < below]
        newest = int(sharding.agreed(steps[-1])[0, 0])
        return None if newest < 0 else newest

    def begin(self, step: int, state: Any, metadata: dict[str, Any]) -> None:
        """Begins a save, when none is under way, and returns once the state is copied."""
        # A process that ends in the middle of Orbax's work may hang for five minutes.
        if self._worker is None:
            raise RuntimeError("checkpoints are saved in a `with` block of their store")
        named = named_arrays(state)
        keys = {n: str(jax.random.key_impl(x)) for n, x in named.items() if is_key(x)}
        plain = json.loads(json.dumps(metadata, allow_nan=False))
        step = operator.index(step)
        seal = Seal(seals.WHOLE, step, "", forms_of(named), keys, {}, plain)
        write: Callable[[], None]
        if jax.process_count() > 1:
            self.wait()  # others than process 0 are not asked whether they are done
            with _or_not_saved(self.folder, step):
                begun = shards.begin(self.folder / f"{PART}{step}", named)
            write = functools.partial(
                _write_shards, self.folder, self._keep, seal, begun
            )
        else:
            # The loop may donate or change its arrays: nothing may share their memory.
            arrays = {n: np.array(x, order="C") for n, x in on_host(named).items()}
            write = functools.partial(_write, self.folder, self._keep, seal, arrays)
        self._saved_at = time.monotonic()
        self._pending = self._worker.submit(write)
