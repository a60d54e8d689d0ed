"""Arrays from .npz files: what they would take is known before anything is unpacked.

Only what this project writes is read: whole numbers and floats, whose sizes in the zip's
directory and in their own headers agree, and which come to no more than MOST together.
"""

import io
import math
import re
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from research.files import regular

MOST = 2**28  # bytes: of 1,000 runs of 10,000 layers with three profiles each, twice
DIRECTORY = (
    2**16
)  # bytes of the zip's directory, of some thousand names; less is between the arrays
_END = struct.Struct("<4s4H2LH")  # the end of a directory without a comment
# As NumPy writes it: of whole numbers and floats, which are no objects and no fields.
HEADER = re.compile(
    rb"\{'descr': '(?P<dtype>[<>|][iuf]\d{1,2})', 'fortran_order': "
    rb"(?P<columns>True|False), "
    rb"'shape': \((?P<shape>(?:\d+, )*(?:\d+,?)?)\), \} *\n"
)
# What zipfile, zlib and NumPy make of a damaged file.
DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, ValueError, OverflowError)
DAMAGE += (EOFError, NotImplementedError, RuntimeError, TypeError)


class NotArrays(ValueError):
    """A file that is no .npz of plain arrays of such a size; the message says why."""


def read(path: Path, most: int = MOST) -> dict[str, np.ndarray]:
    """The arrays of an .npz by name. Raises NotArrays, and OSError.

    most: bytes of all of them, unpacked.
    """
    # Before each array there is less than its line of the directory.
    if path.stat(follow_symlinks=False).st_size > most + 2 * DIRECTORY:
        raise NotArrays(f"is larger than the {most} bytes that its arrays may take")
    content = regular.read(path)
    count = _entries(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            _check(members, count, most)
            return {m.filename[: -len(".npy")]: _array(archive, m) for m in members}
    except NotArrays:
        raise
    except DAMAGE:
        raise NotArrays("does not contain plain arrays") from None


def _entries(content: bytes) -> int:
    """The number of entries, of which zipfile makes an object each: there are few."""
    end = content[-_END.size :]
    if len(end) < _END.size or not end.startswith(b"PK\5\6"):
        raise NotArrays("does not end as a zip file does")
    *_, count, size, _, _ = _END.unpack(end)
    # A zip64 directory would be found by this mark, and have sizes of its own.
    if size > DIRECTORY or content[-_END.size - 20 :].startswith(b"PK\6\7"):
        raise NotArrays("has a directory of too many names")
    return count


def _check(members: list[zipfile.ZipInfo], count: int, most: int) -> None:
    names = {member.filename for member in members}
    if not len(names) == len(members) == count or not all(
        n.endswith(".npy") for n in names
    ):
        raise NotArrays("has other names than those of arrays")
    total = sum(member.file_size for member in members)
    if total > most:
        raise NotArrays(f"unpacks to {total} bytes, more than the {most} it may")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:  # reads no more than the directory says
        if np.lib.format.read_magic(file) != (1, 0):
            raise NotArrays(f"{member.filename} is of another format of arrays")
        header = HEADER.fullmatch(file.read(*struct.unpack("<H", file.read(2))))
        if header is None:
            raise NotArrays(f"{member.filename} is no array of numbers")
        dtype = np.dtype(header["dtype"].decode())
        shape = tuple(map(int, re.findall(rb"\d+", header["shape"])))
        size = math.prod(shape) * dtype.itemsize
        if size != member.file_size - file.tell():
            raise NotArrays(f"{member.filename} has not the size of its shape")
        # A count, as without one a stream that goes on beyond its size is unpacked whole.
        content = file.read(size)
    if len(content) != size:
        raise NotArrays(f"{member.filename} is cut off")
    flat = np.frombuffer(bytearray(content), dtype, size // dtype.itemsize)
    return flat.reshape(shape, order="F" if header["columns"] == b"True" else "C")
