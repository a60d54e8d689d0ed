"""A checkpoint read back: in one process all of it, in several to each its shards."""

import errno
from pathlib import Path
from typing import Any

import jax
import numpy as np

from depthbench.research.files import regular
from depthbench.research.learning import arrays_on_disk, seals, sharding, shards
from depthbench.research.learning.forms import (
    Form,
    Mismatch,
    compare,
    digest_of,
    forms_of,
    placed,
)
from depthbench.research.learning.seals import DamagedCheckpoint, Seal

WRONG_STATE = "its state does not match its SHA-256"
WITHHELD = 3  # what a process tells others that was not let read


class Agreed(DamagedCheckpoint):
    """Damage that all processes know of, so that process 0 can say it for all."""


def withheld(error: Exception) -> bool:
    """Whether the machine did not let a checkpoint be read, which says nothing of it: for
    want of memory or of a device, or of what a file system gives. A file that is gone is
    damage."""
    if isinstance(error, OSError):
        return regular.withheld(error)
    machine = (MemoryError, jax.errors.JaxRuntimeError)
    return isinstance(error, machine) or "RESOURCE_EXHAUSTED" in str(error)


def leaves(path: Path, named: dict[str, Any]) -> tuple[list[Any], Seal]:
    """A checkpoint's arrays as those of these names are placed."""
    if jax.process_count() > 1:
        seal, arrays = _read_together(path, named)
        return [sharding.as_keys(arrays[n], x) for n, x in named.items()], seal
    seal, arrays = _read(path, forms_of(named))
    return [placed(arrays[n], x, seal.keys.get(n)) for n, x in named.items()], seal


def _sealed(path: Path, wanted: list[Form]) -> Seal:
    """The seal. Raises Mismatch where it is another state's, and DamagedCheckpoint."""
    seal = seals.read(path)
    try:
        compare(seal.forms, wanted)
    except Mismatch as error:
        raise Mismatch(f"{path}: {error}") from None
    return seal


def _read(path: Path, wanted: list[Form]) -> tuple[Seal, dict[str, np.ndarray]]:
    """Seal and arrays. Raises Mismatch; what else it raises says that it is damaged."""
    seal = _sealed(path, wanted)
    seals.check_files(path, seal.files)
    arrays = arrays_on_disk.read_whole(path / "arrays", seal.forms, seal.keys)
    of_state = shards.digest_of if seal.schema == seals.SHARDS else digest_of
    if of_state(seal.forms, arrays) != seal.digest:
        raise DamagedCheckpoint(WRONG_STATE)
    return seal, arrays


def _read_shards(path: Path, named: dict[str, Any]) -> tuple[Seal, dict[str, Any]]:
    """Seal and arrays, placed as `named`, typed keys by their data; by each process.

    The files are checked by all processes together, each by one; the state not yet.
    """
    wanted = forms_of(named)
    seal = _sealed(path, wanted)
    if seal.schema == seals.WHOLE:  # written by one process, so that one can hold it
        _, arrays = _read(path, wanted)
        return seal, sharding.data_placed(arrays, named)
    count, mine = jax.process_count(), jax.process_index()
    seals.check_files(path, dict(list(seal.files.items())[mine::count]))
    return seal, arrays_on_disk.read_placed(path / "arrays", named)


def _trouble(error: Exception | None) -> int:
    """The kind of an error, as processes tell it one another; 0 of none."""
    if error is None:
        return 0
    return 1 if isinstance(error, Mismatch) else WITHHELD if withheld(error) else 2


def _read_together(path: Path, named: dict[str, Any]) -> tuple[Seal, dict[str, Any]]:
    """`_read` in several processes at once, which all raise where one does: of what is
    withheld from one, too, nothing may be put aside by another."""
    seal, arrays, error = None, {}, None
    try:
        seal, arrays = _read_shards(path, named)
    except Exception as raised:  # Orbax may raise anything
        error = raised
    others = sharding.agreed(_trouble(error))[:, 0]
    if error is not None and (withheld(error) or not (others == WITHHELD).any()):
        raise error
    if (others == WITHHELD).any():
        where = int(np.flatnonzero(others == WITHHELD)[0])
        why = f"process {where} was not let read it, and says why"
        raise OSError(errno.EAGAIN, why, str(path))
    if others.any():
        where = int(np.flatnonzero(others)[0])
        raise Agreed(f"process {where} cannot read it, and says why")
    assert seal is not None
    if seal.schema == seals.SHARDS and (
        shards.agreed_digest(seal.forms, arrays) != seal.digest
    ):
        raise Agreed(WRONG_STATE)
    return seal, arrays
