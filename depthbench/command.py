"""The command: starts the `research` that is beside it, and no other of that name."""

import importlib.util
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]


def entry() -> NoReturn:
    """The console script. Where Python's path has another `research` before ours, nothing
    of that is imported: one line says where it is, and the exit status is 2."""
    other = stranger()
    if other is not None:
        print(
            f"depthbench: {other} hides depthbench's own research, which is in {ROOT}: "
            "leave that folder out of PYTHONPATH, or use python -P",
            file=sys.stderr,
        )
        sys.exit(2)
    from research.cli.main import main

    sys.exit(main())


def stranger() -> Path | None:
    """The `research` that Python would import in place of ours; None if there is none."""
    spec = importlib.util.find_spec("research")
    if spec is None or spec.origin is None:  # a folder without __init__.py hides none
        return None
    place = Path(spec.origin).resolve()
    ours = place == ROOT / "research" / "__init__.py"
    return None if ours else place.parent if place.name == "__init__.py" else place
