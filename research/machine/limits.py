"""What the shell lets a process have (`ulimit`): too little ends C++ without a word."""

import resource

from depthbench.research.catalogues.catalogue import Mistake

GIB = 2**30
SPACE = 0.5 * GIB  # numpy, scipy and matplotlib, which are loaded to read and to draw
FILES = 64  # a training run has some thirty open while it writes a checkpoint
# jax with a small net, as compiled here, and what the threads of a core reserve.
JAX_SPACE, CORE_SPACE = 1.75 * GIB, 0.25 * GIB
WORK_SPACE = 0.25 * GIB  # of these, for the small net itself


def check() -> None:
    """Raises Mistake where no command could do its work; imports nothing large."""
    _check_space(SPACE)
    files = _soft(resource.RLIMIT_NOFILE)
    if files is not None and files < FILES:
        raise Mistake(
            f"only {files} files may be open at a time, and {FILES} are needed "
            f"(ulimit -n {FILES})"
        )


def check_for_jax(cores: int) -> None:
    """Raises Mistake where jax could not begin, or compile."""
    _check_space(_jax_space(cores))


def space_left(cores: int) -> int | None:
    """Bytes of address space that jax leaves to the work itself; None for no limit."""
    space = _soft(resource.RLIMIT_AS)
    if space is None:
        return None
    return max(0, int(space - _jax_space(cores) + WORK_SPACE))


def _jax_space(cores: int) -> float:
    return JAX_SPACE + CORE_SPACE * cores


def _check_space(least: float) -> None:
    space = _soft(resource.RLIMIT_AS)
    if space is not None and space < least:
        raise Mistake(
            f"only {space / GIB:.3g} GiB of address space may be used, and "
            f"{least / GIB:.3g} GiB are needed (ulimit -v {least / 1024:.0f}, or unlimited)"
        )


def _soft(limit: int) -> int | None:
    soft, _ = resource.getrlimit(limit)
    return None if soft == resource.RLIM_INFINITY else soft
