"""Training states on disk: saved in the background, whole or not there, self-checked.

A checkpoint is the folder FOLDER/STEP with the state's arrays as Orbax writes them, and
`seal.json`: a SHA-256 of the state and of every file, and the caller's metadata. It is made
under a name that begins with a dot, forced to the disk, and renamed. So kill -9 and a
full disk leave the checkpoints that were there, and nothing else counts as one. Orbax's
own Checkpointer commits before a seal could be added, and reads damaged files as if they
were whole; nothing of a file is read here before its checksum is right. Nothing is pickled.
Where one of several processes saves, which Orbax does not let it, NumPy writes the arrays.

The writing is done by one thread, on a copy of the state. An ordinary SIGTERM ends the
process at once, as kill -9 does; to save first, let a handler set a flag and let the
loop that reads it call `save`. Leaving the `with` block finishes the save under way.

One process only: every array must be addressable from it. States of several devices are
gathered, and restored on whatever devices `like` names. Of a run's several processes one
saves (`research/engine/processes.py`).
"""

import contextlib
import hashlib
import json
import logging
import operator
import os
import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from research.lazy import lazily
from research.learning.forms import (
    Form,
    Mismatch,
    compare,
    digest_of,
    forms_of,
    is_key,
    named_arrays,
    on_host,
    placed,
)
from research.learning.forms import digest as digest

with lazily():
    import orbax.checkpoint as ocp

SCHEMA = 1
PART = ".part-"  # what is being written or removed; left by a killed run


class NotSaved(OSError):
    """A checkpoint that could not be written; those before it are still there."""


class Damaged(ValueError):
    """A checkpoint that is not what was written."""


class Restored(NamedTuple):
    """The newest whole checkpoint, and a sentence on each newer one that was damaged."""

    step: int
    state: Any
    metadata: dict[str, Any]
    damaged: list[str]


class Seal(NamedTuple):
    """What `seal.json` says of a checkpoint."""

    schema: int
    step: int
    digest: str
    forms: list[Form]
    keys: dict[str, str]  # the generators of typed keys, by name
    files: dict[str, str]  # SHA-256 by path
    metadata: dict[str, Any]


# --------------------------------------------------------------------- files and seal


def _file_sums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _file_sum(path) for path in files}


def _file_sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _to_disk(path: Path) -> None:
    """Forces a file or a folder's list of names out of the cache."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    """Deletes a folder; what an interruption leaves of it does not look whole."""
    hidden = path.with_name(f"{PART}old-{path.name}")
    path.rename(hidden)
    shutil.rmtree(hidden)


def _steps(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())


def _put_aside(folder: Path, step: int) -> None:
    """Moves a checkpoint to FOLDER/quarantine, where it is not in the way."""
    aside = folder / "quarantine" / str(step)
    shutil.rmtree(aside, ignore_errors=True)
    aside.parent.mkdir(exist_ok=True)
    (folder / str(step)).rename(aside)


def _write(folder: Path, keep: int, seal: Seal, arrays: dict[str, np.ndarray]) -> None:
    """Writes one checkpoint, then removes old ones. Raises NotSaved."""
    part, final = folder / f"{PART}{seal.step}", folder / str(seal.step)
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        _write_arrays(part / "arrays", arrays)
        seal = seal._replace(
            digest=digest_of(seal.forms, arrays), files=_file_sums(part)
        )
        body = seal._asdict()
        body["checksum"] = _checksum(body)
        (part / "seal.json").write_text(json.dumps(body) + "\n", encoding="utf-8")
        for path in [*part.rglob("*"), part]:
            _to_disk(path)
        if final.exists():
            _remove(final)
        part.rename(final)
        _to_disk(folder)
    except Exception as error:
        shutil.rmtree(part, ignore_errors=True)
        raise NotSaved(
            f"{folder}: checkpoint {seal.step} was not written: {_why(error)}"
        ) from error
    with contextlib.suppress(OSError):
        _prune(folder, keep, seal.step)


def _not_of_orbax(record: logging.LogRecord) -> bool:
    return f"{os.sep}orbax{os.sep}" not in record.pathname


def _orbax() -> Any:
    """Orbax, which may raise errors but not log them: dozens of tracebacks for one."""
    found = ocp.v1  # absl must make its logger before it can be asked for by name
    logging.getLogger("absl").addFilter(_not_of_orbax)
    return found


def _write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    if jax.process_count() > 1:  # Orbax would wait for the others to save as well
        np.savez(path.with_suffix(".npz"), *(arrays[name] for name in sorted(arrays)))
        return
    v1 = _orbax()
    context = v1.Context()
    context.array.saving.use_compression = False  # weights hardly shrink
    context.memory.deepcopy_host_arrays = False  # they are a copy: 5 times faster
    with context:  # Orbax does not take empty arrays; a form says all of them
        v1.save(path, {name: x for name, x in arrays.items() if x.size})


def _read_arrays(path: Path, forms: list[Form]) -> dict[str, np.ndarray]:
    alone = path.with_suffix(".npz")
    if alone.is_file():  # saved by one process of several
        named = sorted(forms, key=lambda form: form.name)
        with np.load(alone, allow_pickle=False) as found:
            each = [found[f"arr_{number}"] for number in range(len(named))]
        # NumPy keeps a bfloat16 as two bytes without a name.
        return {
            form.name: x.view(form.dtype) if x.dtype.kind == "V" else x
            for form, x in zip(named, each, strict=True)
        }
    empty = {f.name: np.zeros(f.shape, f.dtype) for f in forms if 0 in f.shape}
    v1 = _orbax()
    context = v1.Context()
    context.multiprocessing.active_processes = {jax.process_index()}
    context.multiprocessing.primary_host = jax.process_index()
    with context:
        return {**v1.load(path), **empty}


def _prune(folder: Path, keep: int, newest: int) -> None:
    """Keeps the newest ones. Later steps are of a run that was since begun again."""
    for step in _steps(folder):
        if step > newest:
            _put_aside(folder, step)
    for step in _steps(folder)[:-keep]:
        _remove(folder / str(step))


def _why(error: BaseException) -> str:
    """One line on what went wrong."""
    text = " ".join(str(error).split())
    if "No space left" in text or "ENOSPC" in text:
        return "no space left on the disk"
    return text[:200] or type(error).__name__


def _read_seal(path: Path) -> Seal:
    """Raises Damaged."""
    try:
        body = json.loads((path / "seal.json").read_bytes())
        checksum = body.pop("checksum")
    except Exception:
        raise Damaged("seal.json cannot be read") from None
    if checksum != _checksum(body):
        raise Damaged("seal.json does not match its checksum")
    if body["schema"] != SCHEMA:
        raise Damaged("it was written by another version")
    forms = [Form(name, dtype, tuple(shape)) for name, dtype, shape in body["forms"]]
    seal = Seal(**{**body, "forms": forms})
    if str(seal.step) != path.name:
        raise Damaged(f"it is the checkpoint of step {seal.step}")
    return seal


def _read(path: Path, wanted: list[Form]) -> tuple[Seal, dict[str, np.ndarray]]:
    """Seal and arrays. Raises Mismatch; what else it raises says that it is damaged."""
    seal = _read_seal(path)
    try:
        compare(seal.forms, wanted)
    except Mismatch as error:
        raise Mismatch(f"{path}: {error}") from None
    for name, expected in seal.files.items():
        if not (path / name).is_file():
            raise Damaged(f"{name} is missing")
        if _file_sum(path / name) != expected:
            raise Damaged(f"{name} does not match its checksum")
    arrays = _read_arrays(path / "arrays", seal.forms)
    if digest_of(seal.forms, arrays) != seal.digest:
        raise Damaged("its state does not match its SHA-256")
    return seal, arrays


# -------------------------------------------------------------------------- the store


def open(
    folder: str | os.PathLike[str], seconds: float = 60.0, keep: int = 3
) -> "Store":
    """The checkpoints of one run in a folder, which is made if it is not there.

    seconds: how long `maybe_save` waits between two.
    keep: how many to keep, the newest; the disk must hold one more while one is written.
    """
    return Store(folder, seconds, keep)


class Store:
    """Checkpoints of one run, newest last. For one process and one thread at a time.

    What saves is in its `with` block, which ends with the last save on the disk.
    """

    def __init__(self, folder: str | os.PathLike[str], seconds: float, keep: int):
        if keep < 1:
            raise ValueError(f"keep must be at least 1, not {keep}")
        self.folder = Path(folder).absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob(f"{PART}*"):
            shutil.rmtree(left)
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

    def restore(self, like: Any) -> Restored | None:
        """The newest checkpoint that is whole, or None; damaged ones are put aside.

        like: a pytree of arrays, or of jax.ShapeDtypeStruct with or without shardings.
        `damaged` here and of the result has a sentence on each that was skipped.
        Raises Mismatch when the newest whole one is of a different state.
        """
        self.wait()
        named = named_arrays(like)
        self.damaged = []
        for step in reversed(_steps(self.folder)):
            try:
                seal, arrays = _read(self.folder / str(step), forms_of(named))
            except (Mismatch, MemoryError):
                raise
            except Exception as error:  # Orbax may raise anything
                self.damaged.append(f"checkpoint {step} is damaged: {_why(error)}")
                with contextlib.suppress(OSError):
                    _put_aside(self.folder, step)
                continue
            leaves = [placed(arrays[n], x, seal.keys.get(n)) for n, x in named.items()]
            state = jax.tree.unflatten(jax.tree.structure(like), leaves)
            return Restored(step, state, seal.metadata, list(self.damaged))
        return None

    def begin(self, step: int, state: Any, metadata: dict[str, Any]) -> None:
        """Begins a save, when none is under way, and returns once the state is copied."""
        # A process that ends in the middle of Orbax's work may hang for five minutes.
        if self._worker is None:
            raise RuntimeError("checkpoints are saved in a `with` block of their store")
        named = named_arrays(state)
        keys = {n: str(jax.random.key_impl(x)) for n, x in named.items() if is_key(x)}
        plain = json.loads(json.dumps(metadata, allow_nan=False))
        seal = Seal(SCHEMA, operator.index(step), "", forms_of(named), keys, {}, plain)
        # The loop may donate or change its arrays at once: nothing may share their memory.
        arrays = {n: np.array(x, order="C") for n, x in on_host(named).items()}
        self._saved_at = time.monotonic()
        self._pending = self._worker.submit(
            _write, self.folder, self._keep, seal, arrays
        )
