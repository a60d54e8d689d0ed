"""Values of flags that several commands have."""

import os
from collections.abc import Sequence
from pathlib import Path

from depthbench.research.catalogues import axes
from depthbench.research.catalogues.axes import Axis
from depthbench.research.catalogues.catalogue import nearest
from depthbench.research.datasets import tfds
from depthbench.research.store import manifest
from depthbench.research.study.errors import Refusal

SIZES = ("smoke", "standard", "full")
TABLE_OR_JSON = ("table", "json")


def one_of(flag: str, value: str, allowed: Sequence[str]) -> None:
    """Raises Refusal when the value is not one of those allowed."""
    if value not in allowed:
        raise Refusal(f"{flag} {value}: {nearest(value, allowed)}")


def integer(flag: str, text: str, low: int = 1, high: float = 10**9) -> int:
    """A whole number within bounds. Raises Mistake."""
    axis = Axis("", (), kind="integer", low=low, high=high, single=True)
    (value,) = axis.parse(flag, text)
    assert isinstance(value, int)
    return value


def number(flag: str, text: str, axis: Axis) -> float:
    """One number of an axis. Raises Mistake."""
    (value,) = axis._replace(single=True).parse(flag, text)
    assert isinstance(value, float)
    return value


def bytes_of_gib(text: str | None) -> int | None:
    """Bytes from a number of GiB. Raises Refusal."""
    if text is None:
        return None
    gib = axes.number(text)
    if gib is None or not 0.001 <= gib <= 1e6:
        raise Refusal(
            f"--memory {text}: must be a number of GiB from 0.001 to 1,000,000"
        )
    return int(gib * 2**30)


def path(flag: str, text: str) -> Path:
    """A path as it is typed; ~ and ~user at its beginning are home, as in a shell.

    Raises Refusal for what cannot be a path here: a name that is too long, or one below
    a file.
    """
    expanded = os.path.expanduser(text)
    if text.startswith("~") and expanded == text:
        raise Refusal(
            f"{flag} {text}: no such user's home; for a name that begins with ~: ./{text}"
        )
    place = Path(expanded)
    try:
        place.stat()
    except FileNotFoundError:
        pass
    except NotADirectoryError:
        file = next(above for above in place.parents if above.is_file())
        raise Refusal(f"{flag} {text}: not writable: {file} is a file") from None
    except OSError as error:
        raise Refusal(f"{flag} {text}: {error.strerror}") from None
    return place


def path_of_folder(flag: str, text: str) -> Path:
    """The path of a folder, there or not. Raises Refusal where something else is."""
    place = path(flag, text)
    if place.exists() and not place.is_dir():
        raise Refusal(f"{flag} {text}: is a file, not a folder")
    return place


def existing_folder(flag: str, text: str) -> Path:
    """The path of a folder that is there. Raises Refusal."""
    place = path_of_folder(flag, text)
    if not place.is_dir():
        raise Refusal(f"{flag} {text}: no such folder")
    return place


def continued(name: str, out: Path) -> str:
    """A data set's name, with the version that a run in the folder was begun with.

    A newer one that was prepared since is another data set. Raises Refusal.
    """
    if not name.startswith(tfds.PREFIX):
        return name
    before = manifest.read(out).manifest
    return tfds.continued(name, before.data if before else {})
