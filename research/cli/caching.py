"""The flag --no-cache: every program is compiled, and none is kept."""

from contextlib import AbstractContextManager, nullcontext

from depthbench.research.machine import compiled

FLAG = "--no-cache"
KEEPING = ("run", "probe", "train", "claims", "reproduce")
COMMANDS = (*KEEPING, "verify")  # which compiles anew what it compares


def flag(parser) -> None:
    """Declares the flag."""
    parser.add_argument(
        FLAG,
        action="store_true",
        help="compile every program, and keep none; kept ones: depthbench doctor",
    )


def kept(command: str, options) -> AbstractContextManager[None]:
    """While a command runs: what it compiles is kept, or read, unless that is not wanted.

    Where JAX_COMPILATION_CACHE_DIR names a folder, `verify` reads from it.
    """
    if command not in COMMANDS:
        return nullcontext()
    if options.no_cache:
        return compiled.kept(False)
    return compiled.kept(True) if command in KEEPING else nullcontext()
