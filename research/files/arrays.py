"""Arrays from .npz files: what they would take is known before anything is unpacked.

Only plain arrays are read: whole numbers and floats, whose sizes in the zip's directory
and in their own headers agree, and which come to no more than MOST together.
"""

import errno
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from depthbench.research.files import regular

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
DESCRIPTION = re.compile(rb"'descr': '?([^',]{1,16})")
PIECE = 2**24  # bytes unpacked at a time
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
    with regular.opened(path) as file:
        return chosen(file, most)


def chosen(
    file: BinaryIO, most: int, choose: Callable[[list[str]], Iterable[str]] = list
) -> dict[str, np.ndarray]:
    """Some arrays of an opened .npz; the others are not unpacked. Raises NotArrays.

    most: bytes of those that are read. choose: from all names to those to be read.
    """
    try:
        count = _entries(file)
        with zipfile.ZipFile(file) as archive:
            members = _named(archive.infolist(), count)
            wanted = {name: members[name] for name in choose(list(members))}
            _check(wanted.values(), most)
            return {name: _array(archive, member) for name, member in wanted.items()}
    except NotArrays:
        raise
    except (*DAMAGE, OSError) as error:
        # A place before the file's beginning, where only a damaged directory points.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise NotArrays("does not contain plain arrays") from None


def _entries(file: BinaryIO) -> int:
    """The number of entries, of which zipfile makes an object each: there are few."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END.size - 20))
    tail = file.read()
    end = tail[-_END.size :]
    if len(end) < _END.size or not end.startswith(b"PK\5\6"):
        raise NotArrays("does not end as a zip file does")
    *_, count, length, _, _ = _END.unpack(end)
    # A zip64 directory would be found by this mark, and have sizes of its own.
    if length > DIRECTORY or tail.startswith(b"PK\6\7"):
        raise NotArrays("has a directory of too many names")
    return count


def _named(members: list[zipfile.ZipInfo], count: int) -> dict[str, zipfile.ZipInfo]:
    names = {member.filename: member for member in members}
    if not len(names) == len(members) == count or not all(
        n.endswith(".npy") for n in names
    ):
        raise NotArrays("has other names than those of arrays")
    return {name[: -len(".npy")]: member for name, member in names.items()}


def _check(members: Iterable[zipfile.ZipInfo], most: int) -> None:
    total = sum(member.file_size for member in members)
    if total > most:
        raise NotArrays(f"unpacks to {total} bytes, more than the {most} it may")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:  # reads no more than the directory says
        if np.lib.format.read_magic(file) != (1, 0):
            raise NotArrays(f"{member.filename} is of another format of arrays")
        text = file.read(*struct.unpack("<H", file.read(2)))
        header = HEADER.fullmatch(text)
        if header is None:
            raise NotArrays(f"{member.filename} is {_other(text)}")
        dtype = np.dtype(header["dtype"].decode())
        shape = tuple(map(int, re.findall(rb"\d+", header["shape"])))
        size = math.prod(shape) * dtype.itemsize
        if size != member.file_size - file.tell():
            raise NotArrays(f"{member.filename} has not the size of its shape")
        content = bytearray(size)
        # In pieces, as without a count a stream that goes on beyond its size is unpacked
        # whole.
        for start in range(0, size, PIECE):
            piece = file.read(min(PIECE, size - start))
            if len(piece) < min(PIECE, size - start):
                raise NotArrays(f"{member.filename} is cut off")
            content[start : start + len(piece)] = piece
    flat = np.frombuffer(content, dtype, size // dtype.itemsize)
    return flat.reshape(shape, order="F" if header["columns"] == b"True" else "C")


def _other(header: bytes) -> str:
    """What an array is that is not read."""
    found = DESCRIPTION.search(header)
    kind = found[1].decode("ascii", "replace") if found else "nothing known"
    if kind.strip("<>|=").startswith("O"):
        return "an array of Python objects, which are never unpickled"
    return f"no array of numbers (its type is {kind})"
