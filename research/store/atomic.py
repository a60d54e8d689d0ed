"""The one way in which files of a run are written: completely or not at all."""

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from depthbench.research.study.errors import Refusal, status_of

TEMPORARY = re.compile(r"\.(.+)\.\d+\.tmp")  # a killed process leaves it behind


class NotWritten(Refusal):
    """A file that the disk or its folder's owner did not let be written."""


def temporary(name: str) -> str:
    """The name of what is to become a file or a folder of this name, of nobody else's.

    Processes of several machines may share a folder, and have equal numbers there.

    >>> temporary_of(temporary("run.json")), temporary("a") == temporary("a")
    ('run.json', False)
    """
    return f".{name}.{os.getpid()}{secrets.randbelow(10**9):09}.tmp"


def temporary_of(name: str) -> str:
    """The name of the file that one of this name was to become; "" where none was."""
    match = TEMPORARY.fullmatch(name)
    return match[1] if match else ""


def write_atomically(path: Path, content: bytes, synced: bool = True) -> None:
    """Writes the file completely or not at all, whatever interrupts.

    synced: as of `write_in_order`. Raises NotWritten when the disk is full or refuses.
    """
    write_in_order({path: content}, synced)


def write_in_order(files: Mapping[Path, bytes], synced: bool = True) -> None:
    """Files of one folder, one after the other: each is there whole or not at all.

    synced: on the disk too, where a machine that stops leaves them; not for what is of use
    to another process alone. Raises NotWritten when the disk is full or refuses.
    """
    for path, content in files.items():
        beside = path.with_name(temporary(path.name))
        try:
            with open(beside, "xb") as file:  # a link there is not written through
                file.write(content)
                if synced:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(beside, path)
            if (
                synced and path == [*files][-1]
            ):  # once: a sync of a folder takes milliseconds
                sync_folder(path.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            why = f"cannot write {path}: {error.strerror}"
            raise NotWritten(why, status_of(error)) from None


def sync_folder(folder: Path) -> None:
    """Puts the folder's names on the disk: a new name is not in the file's own fsync."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network disks sync no folders
            raise
    finally:
        os.close(handle)
