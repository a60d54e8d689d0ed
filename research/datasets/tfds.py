"""Any prepared data set of TensorFlow Datasets, read without TensorFlow.

What a set is (shape, labels, sizes) is read from its metadata on disk, so that one that is
missing is answered at once; tensorflow_datasets is imported only to read examples.
"""

import contextlib
import importlib
import json
import logging
import math
import os
import re
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np

from research.datasets.contract import (
    Data,
    DataError,
    Dataset,
    Splits,
    Stream,
    check_batch,
    order,
)
from research.datasets.pixels import scale_of

PREFIX = "tfds:"
NAME = re.compile(r"tfds:(\w+)(?:/([\w.+-]+))?(?::(\d+\.\d+\.\d+))?")
VERSION = re.compile(r"\d+\.\d+\.\d+")
IN_MEMORY = 2 * 2**30  # bytes of x, both parts together; larger sets are streamed
AT_ONCE = 4096  # examples read at a time; a stream's scale is that of so many
INSTALL = "pip install 'depthbench[data]'"


Reader = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def find(name: str, data_dir: str | PathLike[str] | None = None) -> Dataset:
    """The Dataset of "tfds:NAME[/CONFIG][:VERSION]", prepared below data_dir.

    Its training examples are the split "train"; those to judge by are "test", where
    there is none "validation", and where there is neither a fixed fifth of "train".
    Raises DataError where it is not prepared, with what to do, or cannot be read here.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise DataError(
            f"{name}: must be tfds:NAME, tfds:NAME/CONFIG or tfds:NAME:1.2.3"
        )
    directory = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    root = Path(directory).expanduser()
    return _declared(name, _folder(name, root, *match.groups()))


def _folder(
    name: str, root: Path, title: str, config: str | None, version: str | None
) -> Path:
    """Where a set's newest version, or the requested one, is prepared."""
    place = root / title
    if config is None and place.is_dir() and not _versions(place):
        config = _default_config(name, place)
    if config is not None:
        place /= config
    versions = _versions(place)
    if not versions:
        raise DataError(_missing(name, root, title, config, version))
    if version is not None and version not in versions:
        raise DataError(
            f"{name}: prepared in {place} is {', '.join(versions)}, not {version}"
        )
    return place / (version or versions[-1])


def _versions(place: Path) -> list[str]:
    """Versions that are prepared in a folder, oldest first."""
    versions = [
        path.parent.name
        for path in place.glob("*/dataset_info.json")
        if VERSION.fullmatch(path.parent.name)
    ]
    return sorted(versions, key=lambda version: tuple(map(int, version.split("."))))


def _default_config(name: str, place: Path) -> str | None:
    """The configuration that is meant when none is named; None where none is there."""
    with contextlib.suppress(OSError, ValueError):
        known = json.loads((place / ".config" / "metadata.json").read_text())
        return str(known["default_config_name"])
    configs = sorted(path.name for path in place.iterdir() if _versions(path))
    if configs:
        raise DataError(
            f"{name}: name one of {', '.join(configs)}, as in {name}/{configs[0]}"
        )
    return None


def _missing(
    name: str, root: Path, title: str, config: str | None, version: str | None
) -> str:
    full = title + (f"/{config}" if config else "") + (f":{version}" if version else "")
    prepared = {
        path.relative_to(root).parts[0]
        for depth in ("*/*", "*/*/*")
        for path in root.glob(f"{depth}/dataset_info.json")
    }
    prepare = (
        f"import tensorflow_datasets as tfds; tfds.builder('{full}', "
        f"data_dir='{root}', file_format='array_record').download_and_prepare()"
    )
    ways = [
        f"with a network, pip install 'depthbench[data,tensorflow]' and "
        f'python -c "{prepare}"',
        "or copy a folder that was prepared elsewhere and name it with --data-dir or "
        "TFDS_DATA_DIR",
        "or use a set that needs no download"
        + (
            ": fashion_mnist is this one"
            if title == "fashion_mnist"
            else ", such as digits"
        ),
    ]
    has = f" (it has {', '.join(sorted(prepared))})" if prepared else ""
    return f"{name} is not prepared in {root}{has}: {'; '.join(ways)}"


def _declared(name: str, folder: Path) -> Dataset:
    """What the metadata in a folder say. Raises DataError where nets cannot read it."""
    try:
        info = json.loads((folder / "dataset_info.json").read_text())
        features = json.loads((folder / "features.json").read_text())
        features = features["featuresDict"]["features"]
        supervised = info.get("supervisedKeys", {}).get("tuple", {}).get("items", [])
        keys = tuple(item["featureKey"] for item in supervised)
        splits = {
            split["name"]: sum(map(int, split["shardLengths"]))
            for split in info["splits"]
        }
        described = [features[key] for key in keys]
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise DataError(
            f"{name}: the metadata in {folder} are damaged ({type(error).__name__}: "
            f"{error}); remove that folder and prepare it again"
        ) from None
    form = info.get("fileFormat", "tfrecord")
    if form != "array_record":
        raise DataError(
            f"{name}: {folder} contains {form} files, which only TensorFlow reads; "
            "prepare it again with file_format='array_record'"
        )
    if len(keys) != 2 or "classLabel" not in described[1]:
        raise DataError(f"{name}: its examples are not an input and a label each")
    shape, stored = _array(name, keys[0], described[0])
    used, sizes = _parts(name, splits)
    return Dataset(
        name,
        "tfds:load",
        shape,
        int(described[1]["classLabel"]["numClasses"]),
        f"TensorFlow Datasets, {folder}",
        stored=stored,
        sizes=sizes,
        arguments=(name, str(folder), keys, used),
    )


def _array(
    name: str, key: str, feature: dict[str, Any]
) -> tuple[tuple[int, ...], Literal["uint8", "float32"]]:
    """An input's shape, where all examples have the same, and the type it is kept in."""
    kind = feature.get("image") or feature.get("tensor") or {}
    stored = str(kind.get("dtype", "of another kind"))
    dimensions = [int(size) for size in kind.get("shape", {}).get("dimensions", [])]
    image = stored == "uint8" and len(dimensions) == 3
    if not image and stored not in ("float32", "float64"):
        raise DataError(
            f"{name}: its {key!r} is {stored}, neither a uint8 image nor floats"
        )
    if not dimensions or min(dimensions) < 1:
        raise DataError(
            f"{name}: its {key!r} has no fixed size; networks here read one size"
        )
    return tuple(dimensions), "uint8" if image else "float32"


def _parts(
    name: str, splits: dict[str, int]
) -> tuple[tuple[str, ...], tuple[int, int]]:
    """The one or two splits that are used, and how many examples are for what."""
    if "train" not in splits:
        has = ", ".join(splits) or "none"
        raise DataError(f"{name}: has no split named train (splits: {has})")
    for other in ("test", "validation"):
        if other in splits:
            return ("train", other), (splits["train"], splits[other])
    train, test = order(splits["train"])
    return ("train",), (len(train), len(test))


def load(
    name: str, folder: str, keys: tuple[str, str], used: tuple[str, ...]
) -> Splits:
    """The examples: in memory where they fit, else read from disk when used."""
    dataset = _declared(name, Path(folder))
    with _quiet():
        sources = [_source(name, folder, split) for split in used]
        numbers = [np.arange(len(source)) for source in sources]
        if len(sources) == 1:
            sources, numbers = sources * 2, list(order(len(sources[0])))
        size = math.prod(dataset.shape) * np.dtype(dataset.stored).itemsize
        make = _data if size * sum(map(len, numbers)) <= IN_MEMORY else _stream
        readers = [_reader(dataset, source, keys) for source in sources]
        train, test = map(make, [dataset] * 2, readers, numbers)
    return Splits(train, test._replace(scale=train.scale))


def _source(name: str, folder: str, split: str) -> Any:
    try:
        library: Any = importlib.import_module("tensorflow_datasets")  # an extra
    except ImportError as error:
        raise DataError(
            f"{name} needs tensorflow_datasets, which is not installed ({error}): {INSTALL}"
        ) from None
    with _said(name, folder):
        builder = library.builder_from_directory(folder)
        return builder.as_data_source(split=split)


def _reader(dataset: Dataset, source: Any, keys: tuple[str, str]) -> Reader:
    """From example numbers to (x, y), in their order. Raises DataError."""

    def read(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with _said(dataset.name, dataset.arguments[1]):
            examples = source.__getitems__([int(number) for number in numbers])
            x = np.stack([example[keys[0]] for example in examples])
            y = np.asarray([example[keys[1]] for example in examples], np.int32)
        x = x.astype(dataset.stored, copy=False)
        check_batch(dataset, x, y, "read")
        return x, y

    return read


def _data(dataset: Dataset, read: Reader, numbers: np.ndarray) -> Data:
    batches = [
        read(numbers[first : first + AT_ONCE])
        for first in range(0, len(numbers), AT_ONCE)
    ]
    x, y = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    return Data(
        x, y, dataset.classes, scale_of(x) if dataset.stored == "uint8" else None
    )


def _stream(dataset: Dataset, read: Reader, numbers: np.ndarray) -> Stream:
    some = np.linspace(0, len(numbers) - 1, min(len(numbers), AT_ONCE)).astype(int)
    scale = scale_of(read(numbers[some])[0]) if dataset.stored == "uint8" else None
    return Stream(len(numbers), lambda n: read(numbers[n]), dataset.classes, scale)


@contextlib.contextmanager
def _said(name: str, folder: str) -> Iterator[None]:
    """Whatever goes wrong in files that others wrote becomes one line."""
    try:
        yield
    except Exception as error:
        line = " ".join(str(error).split())
        raise DataError(f"{name}: {folder} cannot be read: {line}") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps back the advice of tensorflow_datasets to install yet another package."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
