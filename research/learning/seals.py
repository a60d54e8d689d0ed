"""The seal of a checkpoint: `seal.json`, by which it is known to be what was written.

It has a SHA-256 of the state and of every file, and the caller's metadata. Orbax reads
damaged files as if they were whole: nothing of a file is read before its checksum is right.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import structs

from depthbench.research.files import regular, sealed
from depthbench.research.files.schema import Malformed
from depthbench.research.learning.forms import Form

WHOLE = 1  # schema: one process wrote all, and `digest` is `forms.digest`
SHARDS = 2  # each process wrote its own, and `digest` is `shards.digest`
PART = ".part-"  # what is being written or removed; left by a killed run


class DamagedCheckpoint(ValueError):
    """A checkpoint that is not what was written."""


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    """A seal as it is read back."""

    schema: int
    step: int
    digest: str
    forms: list[tuple[str, str, tuple[int, ...]]]
    keys: dict[str, str]
    files: dict[str, str]
    metadata: dict[str, Any]


class Seal(NamedTuple):
    """What `seal.json` says of a checkpoint."""

    schema: int
    step: int
    digest: str
    forms: list[Form]
    keys: dict[str, str]  # the generators of typed keys, by name
    files: dict[str, str]  # SHA-256 by path
    metadata: dict[str, Any]


def files_in(folder: Path) -> list[str]:
    """Paths within the folder, in order."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in files)


def file_sums(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 by path."""
    return {name: _file_sum(folder / name) for name in names}


def _file_sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def to_disk(path: Path) -> None:
    """Forces a file or a folder's list of names out of the cache."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def discard(path: Path) -> None:
    """Deletes what has a name: a folder, a file or a link, which is not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def emptied(part: Path) -> Path:
    """The folder, which a checkpoint is then made in."""
    discard(part)
    part.mkdir()
    return part


def remove(path: Path) -> None:
    """Deletes a folder; what an interruption leaves of it does not look whole."""
    hidden = path.with_name(f"{PART}old-{path.name}")
    path.rename(hidden)
    shutil.rmtree(hidden)


def commit(part: Path, seal: Seal) -> None:
    """Seals what is in `part` and gives it its name, which no half of one ever has."""
    (part / "seal.json").write_bytes(sealed.packed(seal._asdict()))
    for path in [*part.rglob("*"), part]:
        to_disk(path)
    final = part.with_name(str(seal.step))
    if final.exists():
        remove(final)
    part.rename(final)
    to_disk(final.parent)


def read(path: Path) -> Seal:
    """The seal of a checkpoint's folder. Raises DamagedCheckpoint."""
    if path.is_symlink() or not path.is_dir():
        raise DamagedCheckpoint("it is no folder")
    for inner in path.rglob("*"):
        if inner.is_symlink():
            raise DamagedCheckpoint(f"{inner.relative_to(path)} is a link")
    try:
        body = sealed.opened(regular.read(path / "seal.json"), _Body)
    except OSError as error:
        raise DamagedCheckpoint(f"seal.json: {error.strerror}") from None
    except Malformed as error:
        raise DamagedCheckpoint(f"seal.json: {error}") from None
    if body.schema not in (WHOLE, SHARDS):
        raise DamagedCheckpoint("it was written by another version")
    if str(body.step) != path.name:
        raise DamagedCheckpoint(f"it is the checkpoint of step {body.step}")
    forms = [Form(*form) for form in body.forms]
    return Seal(**{**structs.asdict(body), "forms": forms})


def check_files(path: Path, files: dict[str, str]) -> None:
    """Raises DamagedCheckpoint, which names the first file that is not what was written."""
    for name, expected in files.items():
        try:
            kind = regular.kind_of(path / name)
        except OSError:
            kind = "missing"
        if kind:
            raise DamagedCheckpoint(f"{name} is {kind}")
        if _file_sum(path / name) != expected:
            raise DamagedCheckpoint(f"{name} does not match its checksum")
