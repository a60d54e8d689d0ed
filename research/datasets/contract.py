"""The contract of a data set: a declaration, and examples in memory or on disk."""

import hashlib
import importlib
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

from depthbench.research.catalogues.catalogue import DataError as DataError

Scale = tuple[np.ndarray, np.ndarray]
IN_MEMORY = 2 * 2**30  # bytes of x; a larger part is streamed


class Data(NamedTuple):
    """Examples in memory, inputs first.

    x: [examples, *shape] float32, or uint8 images, which have a `scale`; or tokens
      [examples, time] int32. An image's shape is (height, width, channels), a sequence's
      (time, features).
    y: labels [examples] int32 below `classes`; or numbers [examples, outputs] float32;
      or tokens [examples, time] int32, −1 where there is no target.
    classes: how many labels, outputs or tokens there are.
    scale: (mean, standard deviation), each [channels] float32, of the training inputs as
      they are stored; a net reads (x − mean) / deviation. Without one, floats are read as
      they are.
    note: a line on what is not as one would expect; "" where all is.
    """

    x: np.ndarray
    y: np.ndarray
    classes: int
    scale: Scale | None = None
    note: str = ""

    @property
    def length(self) -> int:
        return len(self.y)

    def read(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(x, y) of the examples of these numbers."""
        return self.x[numbers], self.y[numbers]


class Stream(NamedTuple):
    """Examples on disk, too large for memory.

    read: from example numbers [batch] to their (x, y), as in `Data`.
    contents: a digest of what is on disk; "" where only reading examples tells.
    """

    length: int
    read: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    classes: int
    scale: Scale | None = None
    note: str = ""
    contents: str = ""


class Splits(NamedTuple):
    """Examples to learn from, and examples that are kept to judge by."""

    train: Data | Stream
    test: Data | Stream


class Dataset(NamedTuple):
    """A data set that can be loaded; loader is "module:function" below this package.

    shape: of one example as a net reads it. Tokens become one-hot vectors on the device,
      so theirs is (time, vocabulary).
    enlarges: the name of the one whose images these are, with every pixel repeated, for
      nets that pool small images away.
    task: the kind of target: a label, numbers, or a token at each step.
    stored: the type of x.
    sizes: examples to train and to test on, where they are known without reading.
    causal: the target at each step is the next token, which a net must not have read.
    arguments: what the loader is called with; it returns Splits, or Data where the set
      has no split of its own.
    package: that the loader is below; "" where its whole name is given.
    mark: what the function `mark` gives of its parts, the same everywhere; "" where they
      differ between machines, or are not known before they are read.
    """

    name: str
    loader: str
    shape: tuple[int, ...]
    classes: int
    source: str
    enlarges: str = ""
    task: Literal["classes", "numbers", "tokens"] = "classes"
    stored: Literal["float32", "uint8", "int32"] = "float32"
    sizes: tuple[int, int] | None = None
    causal: bool = False
    arguments: tuple[Any, ...] = ()
    mark: str = ""
    package: str = __name__.rpartition(".")[0]

    def load(self) -> Data | Stream:
        """The whole data set in one piece, those to train on first. Raises DataError."""
        contents = self._read()
        whole = _joined(contents) if isinstance(contents, Splits) else contents
        check(self, whole, "all")
        return whole

    def in_memory(self, count: int) -> bool:
        """Whether so many examples are kept in memory; more are read when needed."""
        inner = self.shape[:1] if self.stored == "int32" else self.shape
        return count * math.prod(inner) * np.dtype(self.stored).itemsize <= IN_MEMORY

    def split(self) -> Splits:
        """The set's own split, or four fifths to train on and the rest. Raises DataError.

        Without one of its own, which example goes where is fixed and random.
        """
        contents = self._read()
        splits = contents if isinstance(contents, Splits) else _parted(contents)
        check(self, splits.train, "training")
        check(self, splits.test, "test")
        return splits

    def _read(self) -> Data | Splits:
        module, function = self.loader.split(":")
        name = f"{self.package}.{module}" if self.package else module
        read = getattr(importlib.import_module(name), function)
        contents = read(*self.arguments)
        parts = contents if isinstance(contents, Splits) else (contents,)
        for part in parts:
            if isinstance(part, Data):
                check_form(self, part.x, part.y)
        return contents


def order(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Example numbers to train and to test on: four fifths and the rest, always alike."""
    # RandomState's streams are frozen, those of default_rng may change (NEP 19).
    numbers = np.random.RandomState(0).permutation(count)
    return numbers[: count * 4 // 5], numbers[count * 4 // 5 :]


def _parted(data: Data) -> Splits:
    train, test = (
        data._replace(x=data.x[numbers], y=data.y[numbers])
        for numbers in order(len(data.y))
    )
    return Splits(train, test)


def _joined(splits: Splits) -> Data | Stream:
    """Both parts in one, those to train on first."""
    train, test = splits
    if isinstance(train, Data) and isinstance(test, Data):
        return train._replace(
            x=np.concatenate([train.x, test.x]),
            y=np.concatenate([train.y, test.y]),
            note=train.note or test.note,
        )
    count = train.length

    def read(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        there = [np.flatnonzero(numbers < count), np.flatnonzero(numbers >= count)]
        pieces = [
            part.read(numbers[places] - first)
            for part, places, first in zip(splits, there, (0, count), strict=True)
            if len(places)
        ]
        order = np.argsort(np.concatenate(there))
        x, y = (np.concatenate(arrays)[order] for arrays in zip(*pieces, strict=True))
        return x, y

    return Stream(
        count + test.length,
        read,
        train.classes,
        train.scale,
        train.note or test.note,
        fingerprint(splits),
    )


def spread(length: int, count: int) -> np.ndarray:
    """Numbers of at most `count` of so many examples: one of each of equal stretches.

    Which one of its stretch is random, and always the same: at equal steps a set whose
    labels come in turn would show few of them.
    """
    if count >= length:
        return np.arange(length)
    edges = np.arange(count + 1) * length // count
    places = np.random.RandomState(0).random_sample(count)
    return edges[:-1] + (places * np.diff(edges)).astype(np.int64)


def check(dataset: Dataset, data: Data | Stream, part: str) -> None:
    """Raises DataError unless examples are finite and labels fit the declaration.

    A Stream is checked batch by batch, by what reads it.
    """
    if isinstance(data, Stream):
        return
    if not 0 < len(data.y) == len(data.x):
        raise DataError(
            f"{dataset.name}: {len(data.x)} {part} examples with {len(data.y)} labels"
        )
    check_batch(dataset, data.x, data.y, part)


def check_batch(
    dataset: Dataset,
    x: np.ndarray,
    y: np.ndarray,
    part: str,
    numbers: np.ndarray | None = None,
) -> None:
    """The same for a batch of examples (x, y).

    numbers: of the examples in their part, where they are not the first ones in order.
    """
    check_form(dataset, x, y)

    def every(good: np.ndarray, what: str) -> None:
        if not good.all():
            place, bad = int(np.argmin(good)), int(np.sum(~good))
            first = place if numbers is None else int(numbers[place])
            whole = f"{len(good)} do" if numbers is None else f"the {len(good)} read do"
            raise DataError(
                f"{dataset.name}: {part} example {first} {what} "
                f"({bad} of {whole}); nothing was dropped or replaced"
            )

    for values, what in ((x, "input"), (y, "target")):
        if values.dtype.kind == "f":
            flat = values.reshape(len(values), -1)
            finite = np.all(np.isfinite(flat), axis=1)
            every(finite, f"has NaN or infinity in its {what}")
            small = np.all(np.abs(flat) <= np.finfo(np.float32).max, axis=1)
            every(small, f"has a number too large for float32 in its {what}")
    allowed = f"outside 0 to {dataset.classes - 1}"
    if dataset.stored == "int32":
        vocabulary = dataset.shape[-1]
        every(_within(x, 0, vocabulary), f"has a token outside 0 to {vocabulary - 1}")
    if dataset.task == "tokens":
        every(_within(y, -1, dataset.classes), f"has a target {allowed}")
    elif dataset.task == "classes":
        every(_within(y[:, None], 0, dataset.classes), f"has a label {allowed}")


# What is taken for a type that is declared, in words and by NumPy's kinds and sizes.
_KINDS = {
    "float32": ("floats", ("f2", "f4", "f8")),
    "uint8": ("bytes", ("u1",)),
    "int32": ("integers", ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")),
}


def check_form(dataset: Dataset, x: Any, y: Any) -> None:
    """Raises DataError unless x and y are arrays of the declared types and shapes."""
    inner = dataset.shape[:1] if dataset.stored == "int32" else dataset.shape
    targets = {
        "classes": ("int32", ()),
        "numbers": ("float32", (dataset.classes,)),
        "tokens": ("int32", dataset.shape[:1]),
    }
    wanted = {"inputs": (x, (dataset.stored, inner))}
    wanted["targets"] = (y, targets[dataset.task])
    for what, (values, (stored, shape)) in wanted.items():
        words, kinds = _KINDS[stored]
        form = f"must be {words} [{', '.join(map(str, ('examples', *shape)))}]"
        if not isinstance(values, np.ndarray):
            got = f"a {type(values).__name__}, no NumPy array"
            raise DataError(f"{dataset.name}: its {what} are {got}; {form}")
        fits = values.ndim > 0 and values.shape[1:] == shape
        if not fits or values.dtype.str[1:] not in kinds:
            got = f"{values.dtype} {list(values.shape)}"
            raise DataError(f"{dataset.name}: its {what} are {got}; {form}")


def _within(values: np.ndarray, lowest: int, end: int) -> np.ndarray:
    return np.all((values >= lowest) & (values < end), axis=1)


def fingerprint(data: Data | Stream | Splits) -> str:
    """SHA-256 of the examples and labels, as 64 hexadecimal digits.

    Of a Stream: of its length and its contents' digest; where it has none, of 64
    examples from all over it.
    """
    digest = hashlib.sha256()
    if isinstance(data, Splits):
        for part in data:
            digest.update(fingerprint(part).encode())
        return digest.hexdigest()
    if isinstance(data, Stream):
        digest.update(f"{data.length}{data.contents}".encode())
        if data.contents:
            return digest.hexdigest()
    arrays = (data.x, data.y) if isinstance(data, Data) else _sample(data)
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def mark(train: Data, test: Data) -> str:
    """16 digits that tell a set's parts from others, of each one's first 1,000 examples.

    Floats are rounded to 1/1024: the last bits of a sum or a sine are the processor's,
    what is drawn is not.
    """

    def steps(a: np.ndarray) -> np.ndarray:
        return np.rint(a * 1024.0).astype(np.int32) if a.dtype.kind == "f" else a

    def rounded(part: Data) -> Data:
        return part._replace(x=steps(part.x[:1000]), y=steps(part.y[:1000]))

    return fingerprint(Splits(rounded(train), rounded(test)))[:16]


def _sample(stream: Stream) -> tuple[np.ndarray, np.ndarray]:
    return stream.read(np.arange(min(stream.length, 64)) * max(1, stream.length // 64))
