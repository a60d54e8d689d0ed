"""Values of flags that several commands have."""

import os.path
from collections.abc import Sequence
from pathlib import Path

from research.catalogues.catalogue import nearest
from research.datasets import tfds
from research.store import folder as folders
from research.store.folder import Folder
from research.study.errors import Refusal

SIZES = ("smoke", "standard", "full")
TABLE_OR_JSON = ("table", "json")


def one_of(flag: str, value: str, allowed: Sequence[str]) -> None:
    """Raises Refusal when the value is not one of those allowed."""
    if value not in allowed:
        raise Refusal(f"{flag} {value}: {nearest(value, allowed)}")


def bytes_of_gib(text: str | None) -> int | None:
    """Bytes from a number of GiB. Raises Refusal."""
    if text is None:
        return None
    try:
        gib = float(text)
    except ValueError:
        gib = -1.0
    if not 0 < gib < 1e9:
        raise Refusal(f"--memory {text}: must be a number of GiB above 0")
    return int(gib * 2**30)


def continued(name: str, out: Path) -> str:
    """A data set's name, with the version that a run in the folder was begun with.

    A newer one that was prepared since is another data set. Raises Refusal.
    """
    folder = Folder(out)
    if not name.startswith(tfds.PREFIX) or not os.path.isfile(folder.manifest):
        return name
    recorded = (folders.read_manifest(folder) or {}).get("data", {})
    return tfds.continued(name, recorded)
