"""A stranger's files in a run's folder: other contents, and a checksum that is right."""

import hashlib
import json
from pathlib import Path
from typing import Any

from depthbench.research.files import sealed
from depthbench.research.store import manifest, rows


def resealed(path: Path, **changes: Any) -> None:
    """A JSON file with changed fields."""
    body = json.loads(path.read_bytes())
    del body["checksum"]
    path.write_bytes(sealed.packed({**body, **changes}))


def edited(folder: Path, **changes: Any) -> None:
    """The folder's manifest, in both copies."""
    for name in manifest.NAMES:
        if (folder / name).exists():
            resealed(folder / name, **changes)


def rewritten(path: Path, profiles: bytes | None = None, **changes: Any) -> None:
    """A cell or a report, and what is beside it."""
    if profiles is not None:
        path.with_suffix(".npz").write_bytes(profiles)
        changes["profiles"] = hashlib.sha256(profiles).hexdigest()
    resealed(path, **changes)


def arrays_of(path: Path) -> dict[str, Any]:
    """The arrays beside a cell or a report."""
    return rows.profiles(path.parent, path.stem)
