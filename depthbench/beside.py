"""Which `research` is imported: the one beside this package, and no other of that name."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OURS = ("research", "benchmarks", "experiments")


def check() -> None:
    """Raises ImportError, naming both folders, where another package hides ours.

    It looks for them only, so that nothing of the other is imported by us.
    """
    for name in OURS:
        place = place_of(name)
        if place not in (ROOT, None):
            raise ImportError(
                f"depthbench: {place} has a {name} that hides the one of {ROOT}, which "
                "depthbench needs: rename it, or start Python elsewhere"
            )


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
