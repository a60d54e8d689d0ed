"""Any prepared data set of TensorFlow Datasets, by its name: where it is, what it is.

All of it is read from metadata on disk, so that a set that is missing is answered at once.
"""

import json
import os
import re
import shlex
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from depthbench.research.catalogues.packages import install
from depthbench.research.datasets.contract import DataError, Dataset, order
from depthbench.research.datasets.tfds_metadata import MOST, default_config, prepared

PREFIX = "tfds:"
NAME = re.compile(
    r"tfds:(\w+)(?:/(\w[\w.+-]*))?(?::(\d+\.\d+\.\d+))?(?:#([\w.-]+(?:,[\w.-]+)?))?"
)
VERSION = re.compile(r"\d+\.\d+\.\d+")


class Name(NamedTuple):
    """tfds:TITLE[/CONFIG][:VERSION][#PARTS], the parts comma-separated."""

    title: str
    config: str | None
    version: str | None
    parts: str | None

    def __str__(self) -> str:
        config = f"/{self.config}" if self.config else ""
        version = f":{self.version}" if self.version else ""
        return f"{PREFIX}{self.title}{config}{version}" + (
            f"#{self.parts}" if self.parts else ""
        )


def parsed(name: str) -> Name:
    """A name's parts. Raises DataError."""
    match = NAME.fullmatch(name)
    if match is None:
        raise DataError(
            f"{name}: must be tfds:NAME[/CONFIG][:1.2.3][#TRAIN[,TEST]], with the parts "
            "to train on and to judge by"
        )
    return Name(*match.groups())


def continued(name: str, recorded: Iterable[str]) -> str:
    """The recorded name where one says what this one leaves open; else the name.

    >>> continued("tfds:mnist", ["tfds:mnist:3.0.1"])
    'tfds:mnist:3.0.1'
    >>> continued("tfds:mnist:4.0.0", ["tfds:mnist:3.0.1"])
    'tfds:mnist:4.0.0'
    """
    match = NAME.fullmatch(name)
    for before in map(NAME.fullmatch, recorded):
        if match and before and match[4] == before[4]:
            pairs = zip(match.groups()[:3], before.groups()[:3], strict=True)
            if all(typed in (None, old) for typed, old in pairs):
                return before[0]
    return name


def find(name: str, data_dir: str | PathLike[str] | None = None) -> Dataset:
    """The Dataset of a name, prepared below data_dir; it has the name as resolved.

    Its training examples are the split "train"; those to judge by are "test", where
    there is none, or one without labels, "validation", and where there is neither a
    fixed fifth of "train". A name may say which: "…#train,validation", or "…#train" for
    a fifth of it.
    Raises DataError where it is not prepared, with what to do, or cannot be read here.
    """
    wanted = parsed(name)
    directory = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    root = Path(os.path.expanduser(directory))  # Path's own fails for an unknown user
    try:
        resolved, folder = _folder(wanted, root)
    except OSError as error:  # such as a name that is too long
        raise DataError(f"{name}: {root} cannot be read: {error.strerror}") from None
    full = str(resolved)
    info = prepared(full, folder)
    parts = used(full, info.splits, wanted.parts)
    return Dataset(
        full,
        "tfds_examples:load",
        info.shape,
        info.classes,
        f"TensorFlow Datasets, {folder}",
        stored=info.stored,
        sizes=_sizes(full, info.splits, parts),
        arguments=(full, str(folder), wanted.parts),
    )


def _folder(name: Name, root: Path) -> tuple[Name, Path]:
    """The newest version, or the requested one: its whole name, and where it is."""
    place, config = root / name.title, name.config
    if config is None and place.is_dir() and not _versions(place):
        config = _default_config(name, place)
    if config is not None:
        place /= config
    versions = _versions(place)
    if not versions:
        raise DataError(_missing(name._replace(config=config), str(name), root))
    if name.version is not None and name.version not in versions:
        raise DataError(
            f"{name}: prepared in {place} is {', '.join(versions)}, not {name.version}"
        )
    version = name.version or versions[-1]
    return name._replace(config=config, version=version), place / version


def _versions(place: Path) -> list[str]:
    """Versions that are prepared in a folder, oldest first."""
    versions = [
        path.parent.name
        for path in place.glob("*/dataset_info.json")
        if VERSION.fullmatch(path.parent.name)
    ]
    return sorted(versions, key=lambda version: tuple(map(int, version.split("."))))


def _default_config(name: Name, place: Path) -> str | None:
    """The configuration that is meant when none is named; None where none is there."""
    known = default_config(str(name), place)
    if known is not None:
        return known
    configs = sorted(path.name for path in place.iterdir() if _versions(path))
    if configs:
        example = name._replace(config=configs[0])
        raise DataError(f"{name}: name one of {', '.join(configs)}, as in {example}")
    return None


def _missing(name: Name, typed: str, root: Path) -> str:
    full = str(name._replace(parts=None)).removeprefix(PREFIX)
    there = {
        path.relative_to(root).parts[0]
        for depth in ("*/*", "*/*/*")
        for path in root.glob(f"{depth}/dataset_info.json")
    }
    # A JSON string is a Python string, with whatever quotes are in it.
    where = json.dumps(str(root), ensure_ascii=False)
    prepare = (
        f'import tensorflow_datasets as tfds; tfds.builder("{full}", '
        f'data_dir={where}, file_format="array_record").download_and_prepare()'
    )
    ways = [
        f"with a network, {install('tensorflow_datasets', 'tensorflow')} and "
        f"python -c {shlex.quote(prepare)}",
        "or copy a folder that was prepared elsewhere and name it with --data-dir or "
        "TFDS_DATA_DIR",
        "or use a set that needs no download"
        + (
            ": fashion_mnist is this one"
            if name.title == "fashion_mnist"
            else ", such as digits"
        ),
    ]
    has = f" (it has {', '.join(sorted(there))})" if there else ""
    return f"{typed} is not prepared in {root}{has}: {'; '.join(ways)}"


def used(name: str, splits: dict[str, int], named: str | None) -> tuple[str, ...]:
    """The one or two splits that are used. named: those of the name. Raises DataError."""
    parts = tuple((named or "train").split(","))
    for part in parts:
        if part not in splits:
            has = ", ".join(splits) or "none"
            raise DataError(f"{name}: has no split named {part} (splits: {has})")
    if len(parts) == 2 and parts[0] == parts[1]:
        raise DataError(
            f"{name}: {parts[0]} cannot be both what is learned and what it is judged by"
        )
    if named is None:
        parts += tuple(n for n in ("test", "validation") if n in splits)[:1]
    return parts


def _sizes(
    name: str, splits: dict[str, int], parts: tuple[str, ...]
) -> tuple[int, int]:
    """How many examples there are to train on and to judge by. Raises DataError."""
    for part in parts:
        if not splits[part]:
            raise DataError(f"{name}: its split {part} has no examples")
        if splits[part] > MOST:
            raise DataError(
                f"{name}: its split {part} has {splits[part]:,} examples; at most "
                f"{MOST:,} can be read"
            )
    if len(parts) == 2:
        return splits[parts[0]], splits[parts[1]]
    if splits[parts[0]] == 1:
        raise DataError(
            f"{name}: its split {parts[0]} has one example, of which none can be kept to "
            "judge by"
        )
    train, test = order(splits[parts[0]])
    return len(train), len(test)
