"""The seal of a checkpoint: `seal.json`, by which it is known to be what was written.

It has a SHA-256 of the state and of every file, and the caller's metadata. Orbax reads
damaged files as if they were whole: nothing of a file is read before its checksum is right.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from research.learning.forms import Form

WHOLE = 1  # schema: one process wrote all, and `digest` is `forms.digest`
SHARDS = 2  # each process wrote its own, and `digest` is `shards.digest`
PART = ".part-"  # what is being written or removed; left by a killed run


class DamagedCheckpoint(ValueError):
    """A checkpoint that is not what was written."""


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


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def to_disk(path: Path) -> None:
    """Forces a file or a folder's list of names out of the cache."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def emptied(part: Path) -> Path:
    """The folder, which a checkpoint is then made in."""
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    return part


def remove(path: Path) -> None:
    """Deletes a folder; what an interruption leaves of it does not look whole."""
    hidden = path.with_name(f"{PART}old-{path.name}")
    path.rename(hidden)
    shutil.rmtree(hidden)


def commit(part: Path, seal: Seal) -> None:
    """Seals what is in `part` and gives it its name, which no half of one ever has."""
    body = seal._asdict()
    body["checksum"] = _checksum(body)
    (part / "seal.json").write_text(json.dumps(body) + "\n", encoding="utf-8")
    for path in [*part.rglob("*"), part]:
        to_disk(path)
    final = part.with_name(str(seal.step))
    if final.exists():
        remove(final)
    part.rename(final)
    to_disk(final.parent)


def read(path: Path) -> Seal:
    """The seal of a checkpoint's folder. Raises DamagedCheckpoint."""
    try:
        body = json.loads((path / "seal.json").read_bytes())
        checksum = body.pop("checksum")
    except Exception:
        raise DamagedCheckpoint("seal.json cannot be read") from None
    if checksum != _checksum(body):
        raise DamagedCheckpoint("seal.json does not match its checksum")
    if body["schema"] not in (WHOLE, SHARDS):
        raise DamagedCheckpoint("it was written by another version")
    forms = [Form(name, dtype, tuple(shape)) for name, dtype, shape in body["forms"]]
    seal = Seal(**{**body, "forms": forms})
    if str(seal.step) != path.name:
        raise DamagedCheckpoint(f"it is the checkpoint of step {seal.step}")
    return seal


def check_files(path: Path, files: dict[str, str]) -> None:
    """Raises DamagedCheckpoint, which names the first file that is not what was written."""
    for name, expected in files.items():
        if not (path / name).is_file():
            raise DamagedCheckpoint(f"{name} is missing")
        if _file_sum(path / name) != expected:
            raise DamagedCheckpoint(f"{name} does not match its checksum")
