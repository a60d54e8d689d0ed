"""What tells a folder of large files from others, without reading all of it."""

import hashlib
import os
import stat
from pathlib import Path

import numpy as np

BLOCK = 16 * 2**10  # bytes
BLOCKS = 4096  # of all files together, but LEAST of each
LEAST = 3


def digest(folder: Path) -> str:
    """SHA-256 of the files' names, sizes and blocks: first, last, and evenly between.

    At most 64 MiB are read, or 48 KiB of each file, so 100 GB take a second or less.
    It does not see a change that leaves each file's name and size, falls between the
    blocks, and moves no record. What is read of a file of up to 1 MiB, where there are no
    more than 64 of them, is all of it. Metadata (*.json) are left out, and so is where
    the folder is. Raises OSError.
    """
    whole = hashlib.sha256()
    files = _files(folder)
    each = max(LEAST, BLOCKS // max(1, len(files)))
    for path in files:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            whole.update(f"{len(path.name)} {path.name} {size} ".encode())
            for offset in _offsets(size, each):
                whole.update(os.pread(file.fileno(), BLOCK, offset))
    return whole.hexdigest()


def _files(folder: Path) -> list[Path]:
    """The regular files, in order of their names: to open a pipe would wait for ever."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix != ".json" and stat.S_ISREG(path.stat().st_mode)
    )


def _offsets(size: int, count: int) -> list[int]:
    """Where blocks begin: all of a small file's, so many of a large one's."""
    if size <= count * BLOCK:
        return list(range(0, size, BLOCK))
    return [int(offset) for offset in np.linspace(0, size - BLOCK, count)]
