"""The command: starts the `research` that is beside it, and no other of that name."""

import sys
from pathlib import Path
from typing import NoReturn

from depthbench.beside import ROOT, place_of

# What any command may import first. A user's file of such a name is not to be run.
IMPORTS = (
    "jax jaxlib flax optax orbax numpy scipy sklearn mnist1d matplotlib PIL msgspec rich"
).split()


def entry() -> NoReturn:
    """The console script. Where Python's path has another `research` before ours, or a
    numpy.py of the current folder before NumPy, nothing of that is imported: one line says
    where it is, and the exit status is 2."""
    other = stranger()
    if other:
        print(
            f"depthbench: {place_of(other)} has a {other} that hides the one which "
            "depthbench needs: leave that folder out of PYTHONPATH",
            file=sys.stderr,
        )
        sys.exit(2)
    from research.cli import entry as command

    command.entry()


def stranger() -> str:
    """The first module that would not be the one that is meant; "" if there is none."""
    if place_of("research") not in (ROOT, None):
        return "research"
    try:
        here = Path.cwd().resolve()
    except FileNotFoundError:  # it has been removed, and holds nothing
        return ""
    places = {name: place_of(name) for name in IMPORTS} if here != ROOT else {}
    return next((name for name, place in places.items() if place == here), "")
