"""The command: nothing of the current folder is taken for a package that it needs."""

import importlib.util
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]

# What any command may import first. A user's file of such a name is not to be run.
IMPORTS = (
    "jax jaxlib flax optax orbax numpy scipy sklearn mnist1d matplotlib PIL msgspec rich"
).split()


def entry() -> NoReturn:
    """The console script. Where Python's path has a numpy.py of the current folder before
    NumPy, nothing of that is imported: one line says where it is, and the exit status is
    2."""
    other = stranger()
    if other:
        print(
            f"depthbench: {place_of(other)} has a {other} that hides the one which "
            "depthbench needs: leave that folder out of PYTHONPATH",
            file=sys.stderr,
        )
        sys.exit(2)
    from depthbench.research.cli import entry as command

    command.entry()


def stranger() -> str:
    """The first module that would not be the one that is meant; "" if there is none."""
    try:
        here = Path.cwd().resolve()
    except FileNotFoundError:  # it has been removed, and holds nothing
        return ""
    places = {name: place_of(name) for name in IMPORTS} if here != ROOT else {}
    return next((name for name, place in places.items() if place == here), "")


def place_of(name: str) -> Path | None:
    """The folder that a module would be imported from, or was; None where there is none."""
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # a module without a spec, put into sys.modules by hand
        file = getattr(sys.modules[name], "__file__", None)
        return None if file is None else _folder(file)
    if spec is None or spec.origin is None:  # a folder without __init__.py hides none
        return None
    return _folder(spec.origin)


def _folder(file: str) -> Path:
    path = Path(file).resolve()
    return path.parents[1] if path.name == "__init__.py" else path.parent
