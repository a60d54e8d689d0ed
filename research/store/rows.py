"""Rows on disk: one strict-JSON file per cell, complete or absent, with a checksum."""

import hashlib
import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from depthbench.research.files import arrays, regular, sealed
from depthbench.research.files.schema import Malformed, Scalar
from depthbench.research.files.sealed import digest
from depthbench.research.store import atomic
from depthbench.research.study.declaration import Cell, Measured, Row
from depthbench.research.study.errors import Refusal, status_of

SCHEMA = 1
NO_DATA = "none"  # in place of a hash, of cells that are fed with none


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One cell's file: settings, result, the stamp of where it was made."""

    id: str
    study: str
    settings: dict[str, Scalar]
    status: str
    reason: str
    values: dict[str, Scalar]
    stamp: dict[str, Scalar]
    profiles: str | None  # SHA-256 of the .npz beside it
    schema: int = SCHEMA

    @property
    def row(self) -> Row:
        """Settings, status and values in one flat dictionary."""
        return {
            **self.settings,
            "status": self.status,
            "reason": self.reason,
            **self.values,
            "id": self.id,
        }


class DamagedRow(ValueError):
    """A file that is not what was written."""


class Withheld(DamagedRow):
    """A file that was not let be read, and may be whole. status: of a refusal for it."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


def cell_id(study: str, settings: Cell, data: str) -> str:
    """16 hexadecimal digits that name a cell: study, settings, data's hash, schema."""
    return digest([SCHEMA, study, settings, data])[:16]


def digest_of(cell: Mapping[str, Any], digests: Mapping[Any, str]) -> str:
    """The hash of the data that a cell is fed with: of many, its own.

    digests: by data set, as cells name it.

    >>> digest_of({"dataset": "ring", "depth": 4}, {"digits": "0a", "ring": "1b"})
    '1b'
    >>> digest_of({"depth": 4}, {})
    'none'
    """
    return digests.get(cell.get("dataset"), NO_DATA)


def digests(data: Mapping[str, str]) -> set[str]:
    """The hashes that a folder's cells may be fed with: of its data, or of none, as some
    cells name no data set where others do.

    >>> sorted(digests({"ring": "1b"}))
    ['1b', 'none']
    """
    return {NO_DATA, *data.values()}


def record_of(
    study: str,
    cell: Cell,
    measured: Measured,
    stamp: dict[str, Any],
) -> tuple[Record, bytes | None]:
    """The record of a measured cell, and its profiles as .npz bytes.

    Raises Refusal for a value that no file could be read back with.
    """
    values = {name: _plain(value) for name, value in measured.values.items()}
    _check(study, values, measured)
    packed = pack(measured.profiles) if measured.profiles else None
    record = Record(
        cell_id(study, cell, stamp["data"]),
        study,
        cell,
        measured.status,
        measured.reason,
        values,
        stamp,
        hashlib.sha256(packed).hexdigest() if packed else None,
    )
    return record, packed


def _check(study: str, values: Mapping[str, Any], measured: Measured) -> None:
    """Raises Refusal for a measure of which no row can be read back."""
    texts = {"status": measured.status, "reason": measured.reason}
    wrong = {
        **{n: (v, "a text") for n, v in texts.items() if not isinstance(v, str)},
        **{
            n: (v, "a number, a text or None; arrays are profiles")
            for n, v in values.items()
            if not isinstance(v, Scalar)
        },
    }
    for name, (value, allowed) in wrong.items():
        kind = type(value).__name__
        raise Refusal(f"{study}: its measure gives {kind} as {name}; must be {allowed}")


def renamed(record: Record, identity: str) -> Record:
    """The record under another name than its settings'."""
    return msgspec.structs.replace(record, id=identity)


def _plain(value: Any) -> Any:
    """A JSON value: infinity is "inf", what does not exist is None."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def save(folder: Path, record: Record, packed: bytes | None) -> None:
    """Writes profiles, then the row, so that a row on disk always has its profiles."""
    content = sealed.packed(msgspec.structs.asdict(record))
    files = {} if packed is None else {folder / f"{record.id}.npz": packed}
    atomic.write_in_order({**files, folder / f"{record.id}.json": content})


def load(path: Path) -> Record:
    """The record in a file. Raises DamagedRow when the file is not what was written."""
    try:
        record = sealed.opened(regular.read(path), Record)
    except OSError as error:
        raise _unread(path, error) from None
    except Malformed as error:
        raise DamagedRow(f"{path.name}: {error}") from None
    if record.schema != SCHEMA:
        raise DamagedRow(f"{path.name}: written by another version of depthbench")
    if path.stem != record.id:
        raise DamagedRow(f"{path.name}: contains the row of another cell")
    if record.profiles is not None:
        _check_profiles(path.with_suffix(".npz"), record.profiles)
    return record


def _check_profiles(path: Path, digest: str) -> None:
    try:
        content = regular.read(path)
    except OSError as error:
        raise _unread(path, error) from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise DamagedRow(f"{path.name}: checksum does not match")


def _unread(path: Path, error: OSError) -> DamagedRow:
    why = "missing" if isinstance(error, FileNotFoundError) else str(error.strerror)
    if regular.withheld(error):
        return Withheld(f"{path.name}: {why}", status_of(error))
    return DamagedRow(f"{path.name}: {why}")


def pack(named: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as .npz bytes that depend on nothing but the arrays (numpy adds times)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in named.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue())
    return out.getvalue()


def profiles(folder: Path, identity: str) -> dict[str, np.ndarray]:
    """The arrays kept beside a cell's row, by name; empty where there are none."""
    path = folder / f"{identity}.npz"
    try:
        return arrays.read(path)
    except FileNotFoundError:
        return {}
    except arrays.NotArrays as error:
        raise Refusal(f"{path}: {error}") from None
    except OSError as error:
        raise Refusal(f"{path}: {error.strerror}") from None
