"""Messages for the user: one line and an exit status, no traceback."""

import errno

from depthbench.research.catalogues import modules
from depthbench.research.catalogues.packages import distribution, install

USAGE = 2  # mended by typing something else
DISK = 74  # the disk is full or broken
LATER = 75  # somebody else is at it; try later
INTERRUPTED = 130
TERMINATED = 143


class Refusal(Exception):
    """Something that cannot be done as asked; the message is the one line to print."""

    def __init__(self, message: str, status: int = USAGE):
        super().__init__(message)
        self.status = status


# What the disk is to blame for; other errors of a file are mended by another name.
DISKS = (
    *(errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT, errno.EFBIG),
    *(errno.ENXIO, errno.ENODEV, errno.ESTALE),
)
OURS = "depthbench"  # what is missing there is a mistake


def status_of(error: OSError) -> int:
    """The exit status where a file could not be written or read.

    >>> status_of(OSError(errno.ENOSPC, "")), status_of(OSError(errno.EACCES, ""))
    (74, 2)
    """
    return DISK if error.errno in DISKS else USAGE


def missing(error: ModuleNotFoundError) -> Refusal:
    """What to install. Raises the error again where no package would help."""
    module = str(error.name).partition(".")[0]
    if module == OURS:
        raise error
    return Refusal(
        f"this needs {distribution(module)}, which is not installed: {install(module)}"
    )


def mended_outside(error: Exception) -> Refusal:
    """What no change of ours would mend: what system and machine do not give (a file,
    memory, a thread, a library), or what the user's own code has raised. Raises the error
    again where it is none of these."""
    if isinstance(error, OSError):
        why = error.strerror or str(error).partition("\n")[0] or type(error).__name__
        where = "a file" if error.filename is None else error.filename
        return Refusal(f"{where}: {why}", status_of(error))
    line = str(error).partition("\n")[0]
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in line:
        return Refusal(
            f"out of memory{line and ': '}{line[:200]}; ask for less at once"
        )
    if isinstance(error, ImportError) and not str(error.name).startswith(OURS):
        return Refusal(f"a package cannot be loaded: {line}")
    if "can't start new thread" in line:
        return Refusal("no more threads may be started here (ulimit -u)")
    if modules.place(error):
        return Refusal(modules.told(error))
    raise error
