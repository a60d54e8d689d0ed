"""A state in several processes: each writes and reads its own shards, by Orbax.

No process ever has more of a split array than its shards. What a process answers for is
its share: of all copies of a shard one, so that every number is in one process's share.

The digest does not depend on how a state is split. An array is cut into blocks, by its
shape alone; the SHA-256 of each block, with its name and place, is a number of 256 bits,
and of these numbers any process can add up those of its share. Source: Bellare &
Micciancio 1997, A new paradigm for collision-free hashing, Eurocrypt.
"""

import asyncio
import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from depthbench.research.learning import arrays_on_disk, seals, sharding
from depthbench.research.learning.forms import Form, is_key
from depthbench.research.learning.seals import Seal

CUTS = 16  # of an axis, at most: shards of up to 16 devices along it are whole blocks
SUMS = 2**256
WORDS = 16  # numbers of 16 bits that a sum is sent as
PATIENCE = 300  # seconds that one process waits for what another is writing

_barriers = itertools.count()  # all processes save in step, so they count alike


class Part(NamedTuple):
    """A piece of an array, in host memory, and where in the array it begins."""

    name: str
    start: tuple[int, ...]
    shape: tuple[int, ...]  # of the whole array
    values: np.ndarray


def share(named: Mapping[str, Any]) -> list[Part]:
    """What this process answers for, copied; in all processes at once.

    named: arrays by name, typed keys by their data.
    """
    return [part for name, x in named.items() for part in _parts(name, x)]


def _parts(name: str, x: Any) -> list[Part]:
    shape, origin = tuple(x.shape), (0,) * x.ndim
    if not isinstance(x, jax.Array) or x.is_fully_addressable:
        # NumPy's arrays are the same in every process.
        mine = [Part(name, origin, shape, np.array(x))] if sharding.leads() else []
    elif not _of_whole_blocks(x):
        values = sharding.whole(x)
        mine = [Part(name, origin, shape, values)] if sharding.leads() else []
    else:
        mine = [
            Part(name, tuple(at.start or 0 for at in s.index), shape, np.array(s.data))
            for s in x.addressable_shards
            if s.replica_id == 0
        ]
    return mine


def _of_whole_blocks(x: jax.Array) -> bool:
    sizes = x.sharding.shard_shape(x.shape)
    return not any(
        size % block for size, block in zip(sizes, _block(x.shape), strict=True)
    )


def _block(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the blocks that an array is cut into."""
    return tuple(size // math.gcd(size, CUTS) if size else 1 for size in shape)


def total(parts: Iterable[Part]) -> int:
    """The sum of the SHA-256s of all blocks, modulo 2²⁵⁶."""
    return sum(map(_sum, parts)) % SUMS


def _sum(part: Part) -> int:
    added = 0
    for start, values in _blocks(part):
        place = hashlib.sha256(json.dumps([part.name, start]).encode())
        place.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
        added += int.from_bytes(place.digest())
    return added


def _blocks(part: Part) -> Iterator[tuple[list[int], np.ndarray]]:
    sizes = _block(part.shape)
    for corner in itertools.product(
        *(
            range(0, n, size) if n else (0,)
            for n, size in zip(part.values.shape, sizes, strict=True)
        )
    ):
        at = tuple(slice(c, c + size) for c, size in zip(corner, sizes, strict=True))
        start = [a + b for a, b in zip(part.start, corner, strict=True)]
        yield start, part.values[at]


def digest(forms: list[Form], added: int) -> str:
    """The digest of a state of these forms whose blocks' sum is `added`, in 64 digits."""
    head = json.dumps(forms).encode()
    return hashlib.sha256(head + added.to_bytes(32)).hexdigest()


def digest_of(forms: list[Form], arrays: Mapping[str, np.ndarray]) -> str:
    """The digest of arrays that this process has all of."""
    parts = (Part(n, (0,) * x.ndim, x.shape, x) for n, x in arrays.items())
    return digest(forms, total(parts))


def agreed_digest(forms: list[Form], named: Mapping[str, Any]) -> str:
    """The digest of arrays that are split over the processes; in all at once."""
    mine = total(share(named)).to_bytes(32)
    words = sharding.agreed(*np.frombuffer(mine, ">u2").tolist())
    sums = (int.from_bytes(row.astype(">u2").tobytes()) for row in words)
    return digest(forms, sum(sums) % SUMS)


def with_key_data(named: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays, typed keys by their data."""
    return {n: jax.random.key_data(x) if is_key(x) else x for n, x in named.items()}


# --------------------------------------------------------------------------- writing


class Begun(NamedTuple):
    """A save of several processes that this one has begun.

    share: what of the state this process answers for, for the digest. response: Orbax's.
    barriers: the numbers of those where all have written, and where it is sealed.
    """

    share: list[Part]
    response: Any
    barriers: tuple[int, int]


def begin(part: Path, named: Mapping[str, Any]) -> Begun:
    """Begins to write a state into the folder `part`, in all processes at once."""
    arrays = with_key_data(named)
    if sharding.leads():  # before Orbax's first wait for one another
        seals.emptied(part)
    response = arrays_on_disk.begin(part / "arrays", arrays)
    return Begun(share(arrays), response, (next(_barriers), next(_barriers)))


def finish(part: Path, seal: Seal, begun: Begun) -> None:
    """Ends a save, in all processes, once process 0 has sealed it."""
    written, sealed = begun.barriers
    added = total(begun.share)
    begun.response.result()
    files = seals.file_sums(part, _written_by(part, jax.process_index()))
    for name in files:
        seals.to_disk(part / name)
    record = _record(part, jax.process_index())
    record.write_text(json.dumps({"sum": hex(added), "files": files}))
    _wait_at(written, "all have written")
    if sharding.leads():
        seals.commit(part, _joined(part, seal))
    _wait_at(sealed, "it is sealed")


def _record(part: Path, process: int) -> Path:
    """Where a process says what it has written, until process 0 has sealed it."""
    return part / f"process-{process}.json"


def _written_by(part: Path, process: int) -> list[str]:
    """The files of a process: its shards; all that are no other's are process 0's."""
    others = [f"ocdbt.process_{n}" for n in range(jax.process_count()) if n != process]
    shard = f"ocdbt.process_{process}"
    return [
        name
        for name in seals.files_in(part)
        if name.startswith("arrays/")
        and (
            shard in (parts := name.split("/"))
            or (process == 0 and not any(other in parts for other in others))
        )
    ]


def _joined(part: Path, seal: Seal) -> Seal:
    """The seal of what all processes have written."""
    records = [_record(part, number) for number in range(jax.process_count())]
    each = [json.loads(record.read_bytes()) for record in records]
    for record in records:
        record.unlink()
    files = {name: file for one in each for name, file in one["files"].items()}
    added = sum(int(one["sum"], 16) for one in each) % SUMS
    state = digest(seal.forms, added)
    return seal._replace(schema=seals.SHARDS, digest=state, files=files)


def _wait_at(number: int, what: str) -> None:
    """Returns once all processes have come here; safe beside the devices' own work."""
    multihost = arrays_on_disk.orbax().multihost
    asyncio.run(
        multihost.sync_global_processes(
            f"depthbench {what}", operation_id=f"checkpoint {number}", timeout=PATIENCE
        )
    )
