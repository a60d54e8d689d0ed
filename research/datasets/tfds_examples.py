"""Examples of a prepared set of TensorFlow Datasets, read without TensorFlow.

tensorflow_datasets is imported only here, when examples are read.
"""

import contextlib
import hashlib
import importlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from depthbench.research.catalogues.packages import install
from depthbench.research.datasets.contents import digest
from depthbench.research.datasets.contract import (
    Data,
    DataError,
    Dataset,
    Splits,
    Stream,
    check_batch,
    order,
    spread,
)
from depthbench.research.datasets.pixels import scale_of
from depthbench.research.datasets.tfds import used
from depthbench.research.datasets.tfds_metadata import Prepared, prepared
from depthbench.research.files.quiet import quietly
from depthbench.research.files.text import one_line

AT_ONCE = 4096  # examples read at a time, at most; a stream's scale is that of so many
BYTES_AT_ONCE = 2**28
UNLABELLED = -1  # the label of every example of a part whose labels are secret

Reader = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def load(name: str, folder: str, named: str | None) -> Splits:
    """The examples: each part in memory where it fits, else read from disk when parts."""
    info = prepared(name, Path(folder))
    parts, note = used(name, info.splits, named), ""
    dataset = Dataset(
        name, "", info.shape, info.classes, folder, stored=info.stored
    )  # source: the folder, for messages
    with quietly():
        if named is None and len(parts) == 2 and _unlabelled(dataset, info, parts[1]):
            parts, note = _labelled(name, info.splits, parts)
        sources = {part: _source(name, folder, part) for part in parts}
        numbers = [np.arange(len(sources[part])) for part in parts]
        if len(parts) == 1:
            parts, numbers = parts * 2, list(order(len(numbers[0])))
        pieces = []
        for part, chosen in zip(parts, numbers, strict=True):
            make = _data if dataset.in_memory(len(chosen)) else _stream
            read = _reader(dataset, info.keys, sources[part], part)
            pieces.append(make(dataset, read, chosen))
        train, test = (_digested(dataset, info.keys, parts, p) for p in pieces)
    return Splits(train, test._replace(scale=train.scale, note=note))


def _source(name: str, folder: str, split: str) -> Any:
    try:
        library: Any = importlib.import_module("tensorflow_datasets")  # an extra
    except ImportError as error:
        raise DataError(
            f"{name} needs tensorflow_datasets, which is not installed ({error}): "
            f"{install('tensorflow_datasets')}"
        ) from None
    with _said(name, folder):
        builder = library.builder_from_directory(folder)
        source = builder.as_data_source(split=split)
        len(source)  # opens the files
        return source


def _unlabelled(dataset: Dataset, info: Prepared, part: str) -> bool:
    """Whether a part has no labels, as far as 64 examples from all over it tell."""
    source = _source(dataset.name, dataset.source, part)
    with _said(dataset.name, dataset.source):
        numbers = spread(len(source), 64)
        examples = source.__getitems__([int(number) for number in numbers])
        return all(int(example[info.keys[1]]) == UNLABELLED for example in examples)


def _labelled(
    name: str, splits: dict[str, int], parts: tuple[str, ...]
) -> tuple[tuple[str, ...], str]:
    """The parts to use where the one to judge by has no labels, and a line on it."""
    train, test = parts
    says = f"{name}: its split {test} has no labels (all are {UNLABELLED})"
    others = [part for part in splits if part not in parts]
    if test == "test" and splits.get("validation"):
        return (train, "validation"), f"{says}; judged by its split validation instead"
    ways = " or ".join(f"{name}#{train},{part}" for part in others)
    raise DataError(
        f"{says}: name another to judge by, "
        + (f"as {ways}, or " if ways else "")
        + f"{name}#{train} for a fifth of {train}"
    )


def _reader(dataset: Dataset, keys: tuple[str, str], source: Any, part: str) -> Reader:
    """From example numbers to (x, y), in their order. Raises DataError."""

    def read(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with _said(dataset.name, dataset.source):
            examples = source.__getitems__([int(number) for number in numbers])
            x = np.stack([example[keys[0]] for example in examples])
            y = np.asarray([example[keys[1]] for example in examples])
        check_batch(dataset, x, y, part, numbers)
        return x.astype(dataset.stored, copy=False), y.astype(np.int32)

    return read


def _at_once(dataset: Dataset) -> int:
    """How many examples are read at a time."""
    size = math.prod(dataset.shape) * np.dtype(dataset.stored).itemsize
    return max(1, min(AT_ONCE, BYTES_AT_ONCE // size))


def _data(dataset: Dataset, read: Reader, numbers: np.ndarray) -> Data:
    step = _at_once(dataset)
    batches = [
        read(numbers[first : first + step]) for first in range(0, len(numbers), step)
    ]
    x, y = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    return Data(
        x, y, dataset.classes, scale_of(x) if dataset.stored == "uint8" else None
    )


def _stream(dataset: Dataset, read: Reader, numbers: np.ndarray) -> Stream:
    some = numbers[spread(len(numbers), _at_once(dataset))]
    scale = scale_of(read(some)[0]) if dataset.stored == "uint8" else None
    return Stream(len(numbers), lambda n: read(numbers[n]), dataset.classes, scale)


def _digested(
    dataset: Dataset, keys: tuple[str, str], parts: tuple[str, ...], part: Data | Stream
) -> Data | Stream:
    """The part; a Stream with a digest of what it is read from, and how."""
    if isinstance(part, Data):
        return part
    with _said(dataset.name, dataset.source):
        files = digest(Path(dataset.source))
    form = (keys, dataset.shape, dataset.stored, dataset.classes, parts, files)
    return part._replace(contents=hashlib.sha256(repr(form).encode()).hexdigest())


@contextlib.contextmanager
def _said(name: str, folder: str) -> Iterator[None]:
    """Whatever goes wrong in files that others wrote becomes one line."""
    try:
        yield
    except Exception as error:
        line = one_line(str(error))
        raise DataError(f"{name}: {folder} cannot be read: {line}") from error
