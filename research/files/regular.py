"""Files read as nothing but files: no link is followed, and nothing is waited for."""

import os
import stat
from pathlib import Path
from typing import BinaryIO


class NotRegular(OSError):
    """What has a file's name and is none; `strerror` says what it is instead."""


GONE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, NotRegular)


def withheld(error: OSError) -> bool:
    """Whether a file that may be whole was not let be read, as for want of permission or by
    a disk that is away. That it is gone is damage.

    >>> withheld(PermissionError(13, "denied")), withheld(FileNotFoundError(2, "gone"))
    (True, False)
    """
    return bool(error.errno) and not isinstance(error, GONE)


def opened(path: Path) -> BinaryIO:
    """A regular file, opened for reading.

    Raises NotRegular for a link, a folder, a pipe or a device, and OSError.
    """
    # O_NONBLOCK: to open a pipe that nobody writes to would wait for ever.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    kind = kind_of(path)
    if kind:
        raise NotRegular(0, f"is {kind}", str(path))
    return os.fdopen(os.open(path, flags), "rb")


def read(path: Path) -> bytes:
    """All of a regular file. Raises as `opened`."""
    with opened(path) as file:
        return file.read()


def kind_of(path: Path) -> str:
    """What is there instead of a file, as "a link"; "" for a file. Raises OSError."""
    mode = os.lstat(path).st_mode
    kinds = {stat.S_IFREG: "", stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder"}
    kinds |= {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")
