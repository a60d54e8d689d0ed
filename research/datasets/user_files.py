"""A user's files as data sets: npz:FILE, csv:FILE:LABEL and images:DIR, by their names.

A name is kept as it is typed, with ~ for the home folder: rows have no user's name.
"""

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from depthbench.research.datasets import user_csv, user_images, user_npz
from depthbench.research.datasets.contract import DataError, Dataset, Splits
from depthbench.research.files import regular
from depthbench.research.files.text import visible

PREFIXES = ("npz:", "csv:", "images:")
NAMES = "npz:FILE, csv:FILE:LABEL or images:DIR"

Stamp = tuple[int, ...]  # what tells a file from what is at its path later


class UserFile(NamedTuple):
    """What a name points to. name: as rows have it. label: of a table's column."""

    kind: str
    name: str
    path: str
    label: str = ""


def is_name(name: str) -> bool:
    """Whether a name is one of a user's files.

    >>> is_name("npz:mine.npz"), is_name("tfds:mnist")
    (True, False)
    """
    return name.startswith(PREFIXES)


def meant(path: str) -> str:
    """The name of a file that is given by its path alone; "" where none is.

    >>> meant("mine.npz"), meant("mine")
    ('npz:mine.npz', '')
    """
    forms = {".npz": f"npz:{path}", ".csv": f"csv:{path}:LABEL"}
    folder = f"images:{path}" if "/" in path and os.path.isdir(path) else ""
    return forms.get(os.path.splitext(path)[1].lower(), folder)


def find(name: str, data_dir: str | PathLike[str] | None = None) -> Dataset:
    """The Dataset of a name, whose file is read, or whose folder is listed.

    Raises DataError, which says what is wrong with it.
    """
    if data_dir is not None:
        raise DataError(
            f"{name} names its file itself, and is not read below a folder: leave "
            f"--data-dir {data_dir} out"
        )
    place = parsed(name)
    with _blamed(place.name):
        if place.kind == "images":
            folder = Path(os.path.realpath(place.path))
            stamp = user_images.stamp(place.name, folder)
            dataset = user_images.listing(place.name, folder, stamp).dataset
        else:
            path = _file(place)
            stamp = _stamp(os.stat(path))
            dataset, _ = _read(place, path, stamp)
    return dataset._replace(loader="user_files:load", arguments=(place, stamp))


def load(place: UserFile, stamp: Stamp) -> Splits:
    """The examples of a place, if it is as it was. Raises DataError."""
    with _blamed(place.name):
        if place.kind == "images":
            folder = Path(os.path.realpath(place.path))
            if user_images.stamp(place.name, folder) != stamp:
                raise DataError(f"{place.name}: has other files than it had: try again")
            return user_images.load(place.name, folder, stamp)
        return _read(place, _file(place), stamp)[1]


@contextmanager
def _blamed(name: str) -> Iterator[None]:
    """Whatever is wrong becomes one line, though files may have any names within."""
    try:
        yield
    except DataError as error:
        raise DataError(visible(str(error))) from None
    except OSError as error:
        why = error.strerror or str(error)
        raise DataError(visible(f"{name}: {why}")) from None


# Read once by a process: of a few hundred cells each asks what its data set is.
@functools.lru_cache(maxsize=2)
def _read(place: UserFile, path: str, stamp: Stamp) -> tuple[Dataset, Splits]:
    with regular.opened(Path(path)) as file:
        if place.kind == "npz":
            made = user_npz.contents(place.name, file)
        else:
            made = user_csv.contents(place.name, file, place.label)
        now = _stamp(os.fstat(file.fileno()))
    if now != stamp:
        raise DataError(f"{place.name}: was written to while it was read: try again")
    dataset, (train, test) = made
    return dataset._replace(sizes=(train.length, test.length)), made[1]


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


# ----------------------------------------------------------------------------- names


def parsed(name: str) -> UserFile:
    """A name's parts. Raises DataError."""
    if visible(name) != name:
        raise DataError(f"{visible(name)}: has a character that cannot be shown")
    kind, _, typed = name.partition(":")
    label = ""
    if kind == "csv":
        typed, label = _parts(typed)
    if kind == "csv" and typed.strip() and not label:
        raise DataError(f"{name}: name the label's column too, as csv:FILE:LABEL")
    if not typed.strip():
        raise DataError(f"{name}: must be one of {NAMES}")
    path = os.path.expanduser(typed)
    if typed.startswith("~") and path == typed:
        raise DataError(
            f"{name}: no such user's home; for a name that begins with ~: ./{typed}"
        )
    short = f"{kind}:{_without_home(typed)}{':' * bool(label)}{label}"
    return UserFile(kind, short, path, label)


def _parts(typed: str) -> tuple[str, str]:
    """FILE and LABEL, either of which may have colons: the longest FILE that is there."""
    places = [place for place, sign in enumerate(typed) if sign == ":"]
    for place in reversed(places):
        if os.path.lexists(os.path.expanduser(typed[:place])):
            return typed[:place], typed[place + 1 :].strip()
    if os.path.lexists(os.path.expanduser(typed)):
        return typed, ""
    file, _, label = typed.rpartition(":")
    return file, label.strip()


def _without_home(path: str) -> str:
    home = os.path.expanduser("~").rstrip("/")
    if home.startswith("/") and path.startswith(f"{home}/"):
        return f"~{path[len(home) :]}"
    return path


def _file(place: UserFile) -> str:
    """The file that a place leads to, over links. Raises DataError, OSError."""
    path = os.path.realpath(place.path)
    if not os.path.lexists(path):
        here = "" if os.path.isabs(place.path) else f" in {os.getcwd()}"
        raise DataError(f"{place.name}: no such file{here}")
    kind = regular.kind_of(Path(path))
    if kind == "a folder":
        kind += ", not a file; images:DIR reads one folder a class"
    if kind:
        raise DataError(f"{place.name}: is {kind}")
    return path
