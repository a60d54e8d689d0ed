"""npz:FILE: a user's arrays x and y, or x_train, y_train, x_test and y_test.

x is bytes of images [examples, height, width(, channels)], floats [examples, …] or tokens
[examples, time] of any integers; y is labels, numbers, or tokens at each step.
"""

from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np

from depthbench.research.datasets import user_parts
from depthbench.research.datasets.contract import IN_MEMORY, DataError, Dataset, Splits
from depthbench.research.datasets.pixels import scale_of
from depthbench.research.datasets.tfds_metadata import MOST_CLASSES
from depthbench.research.files import arrays

ONE, TWO = ("x", "y"), ("x_train", "y_train", "x_test", "y_test")
RENUMBERED = "np.unique(y, return_inverse=True)[1] numbers labels from 0 without gaps"

Part = tuple[np.ndarray, np.ndarray]


def contents(name: str, file: BinaryIO) -> tuple[Dataset, Splits]:
    """The declaration and the parts of an opened .npz. Raises DataError, OSError."""
    there: list[str] = []

    def choose(names: list[str]) -> Iterable[str]:
        there.extend(names)
        return _wanted(names)

    try:
        read = arrays.chosen(file, IN_MEMORY, choose)
    except arrays.NotArrays as error:
        raise DataError(
            f"{name}: {error}; np.savez(FILE, x=…, y=…) writes it"
        ) from None
    # The names are in the order of those that are allowed, whatever their case.
    named = list(read.items())
    halves = [(named[i], named[i + 1]) for i in range(0, len(named), 2)]
    parts = [_fitting(name, *half) for half in halves]
    if len(parts) == 2:
        for place, what in enumerate(("x", "y")):
            one, other = (part[place] for part in parts)
            if one.shape[1:] != other.shape[1:] or one.dtype.kind != other.dtype.kind:
                raise DataError(
                    f"{name}: {what}_train is {_form(one)}, {what}_test {_form(other)}: "
                    "they must be alike but for the number of examples"
                )
    dataset, parts = _declared(name, parts, [half[1][0] for half in halves])
    others = [other for other in there if other not in read]
    made = _split(dataset, parts)
    if others:
        line = f"not read: {user_parts.listed(others)}"
        made = _noted(made, line)
    return dataset, made


def _noted(parts: Splits, line: str) -> Splits:
    note = "; ".join(filter(None, (parts.train.note, line)))
    return parts._replace(train=parts.train._replace(note=note))


def _wanted(names: list[str]) -> list[str]:
    """The names of the arrays to read, in order. Raises NotArrays."""
    known = {one.lower(): one for one in names}
    for one in TWO + ONE:
        if sum(name.lower() == one for name in names) > 1:
            raise arrays.NotArrays(f"two arrays are named {one}")
    for wanted in (TWO, ONE):
        if all(one in known for one in wanted):
            return [known[one] for one in wanted]
    has = user_parts.listed(names) or "no arrays"
    raise arrays.NotArrays(
        f"must have the arrays {' and '.join(ONE)}, or {', '.join(TWO)} (it has {has})"
    )


def _form(array: np.ndarray) -> str:
    return f"{array.dtype} {list(array.shape)}"


def _fitting(name: str, inputs: tuple[str, Any], targets: tuple[str, Any]) -> Part:
    """A part's arrays in the forms that are known here. Raises DataError."""
    (x_name, x), (y_name, y) = inputs, targets
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or not len(x):
        raise DataError(
            f"{name}: {x_name} is {_form(x)}, {y_name} {_form(y)}: each must have an "
            "entry an example, and there must be some"
        )
    if 0 in x.shape or 0 in y.shape:
        raise DataError(f"{name}: {x_name} is {_form(x)}, {y_name} {_form(y)}: empty")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    return _inputs(name, x_name, x), _targets(name, y_name, y)


def _inputs(name: str, label: str, x: np.ndarray) -> np.ndarray:
    """x as it is kept: uint8 images with channels, float32, or int32 tokens."""
    if x.dtype.kind == "f":
        if not 2 <= x.ndim <= 4:
            raise DataError(
                f"{name}: {label} is {_form(x)}: must be [examples, numbers], [examples, "
                "time, numbers] or images [examples, height, width, channels]"
            )
        return _floats(name, label, x)
    if x.dtype == np.uint8 and x.ndim in (3, 4):
        return x if x.ndim == 4 else x[..., None]
    if x.ndim != 2 or x.dtype == np.uint8:
        raise DataError(
            f"{name}: {label} is {_form(x)}: must be uint8 images [examples, height, width"
            ", channels], floats, or tokens [examples, time] of a larger integer type; "
            "x.astype('float32') makes numbers of integers"
        )
    _whole(name, label, x, 0)
    return x.astype(np.int32)


def _targets(name: str, label: str, y: np.ndarray) -> np.ndarray:
    """y as it is kept: int32, or float32 [examples, outputs]."""
    if y.ndim > 2:
        raise DataError(
            f"{name}: {label} is {_form(y)}: must be labels [examples], numbers "
            "[examples, outputs] or tokens [examples, time]"
        )
    if y.ndim == 2 and _one_hot(y):
        raise DataError(
            f"{name}: {label} is {_form(y)} of a 1 and zeros: for labels save "
            "y.argmax(1), which are whole numbers [examples]"
        )
    if y.dtype.kind == "f":
        return _floats(name, label, y if y.ndim == 2 else y[:, None])
    _whole(name, label, y, -1 if y.ndim == 2 else 0)
    return y.astype(np.int32)


def _one_hot(y: np.ndarray) -> bool:
    return bool(np.all((y == 0) | (y == 1)) and np.all(np.sum(y == 1, axis=1) == 1))


def _floats(name: str, label: str, values: np.ndarray) -> np.ndarray:
    bad = user_parts.unusable(values)
    if bad.any():
        first = int(np.argmax(bad))
        line = f"{label}[{first}] has NaN, infinity or a number too large for float32"
        raise user_parts.first_bad(name, line, int(bad.sum()), len(bad), "examples")
    columns = user_parts.flattened(values)
    if columns:
        raise DataError(
            f"{name}: {label}[..., {columns[0]}] differs by less than float32 can tell at "
            "its size: subtract what its numbers have in common"
        )
    return values.astype(np.float32)


def _whole(name: str, label: str, values: np.ndarray, lowest: int) -> None:
    """Raises DataError for whole numbers that are none of tokens or labels."""
    good = (values >= lowest) & (values < MOST_CLASSES)
    bad = np.any(~good.reshape(len(values), -1), axis=1)
    if bad.any():
        first = int(np.argmax(bad))
        wrong = values[first][~good[first]].ravel()[0]
        line = f"{label}[{first}] has {wrong}, outside {lowest} to {MOST_CLASSES - 1:,}"
        error = user_parts.first_bad(name, line, int(bad.sum()), len(bad), "examples")
        more = f"; {RENUMBERED}" if values.ndim == 1 else ""
        raise DataError(f"{error}{more}")


def _declared(
    name: str, parts: list[Part], labels: list[str]
) -> tuple[Dataset, list[Part]]:
    """What arrays are, and the same arrays. labels: the names of the targets."""
    (x, y), last = parts[0], parts[-1]
    tokens = x.dtype == np.int32
    vocabulary = max(int(part[0].max()) for part in parts) + 1 if tokens else 0
    shape = (x.shape[1], vocabulary) if tokens else x.shape[1:]
    dataset = Dataset(name, "", shape, 0, "a file of yours", stored=str(x.dtype))
    if y.dtype == np.float32:
        return dataset._replace(task="numbers", classes=y.shape[1]), parts
    if y.ndim == 2:
        if not tokens or y.shape[1] != x.shape[1]:
            raise DataError(
                f"{name}: {labels[0]} is {_form(y)} beside inputs {_form(x)}: whole "
                "numbers [examples, time] are tokens at each step of tokens; for numbers "
                "save floats"
            )
        count = max(vocabulary, *(int(part[1].max()) + 1 for part in parts))
        causal = all(_next(*part) for part in parts)
        more = {"task": "tokens", "classes": count, "causal": causal}
        return dataset._replace(shape=(x.shape[1], count), **more), parts
    count = int(y.max()) + 1
    beyond = last[1] >= count
    if beyond.any():
        first = int(np.argmax(beyond))
        line = f"{labels[-1]}[{first}] is {last[1][first]}, of which none is learned"
        raise user_parts.first_bad(
            name, line, int(beyond.sum()), len(beyond), "examples"
        )
    user_parts.one_class(name, [str(number) for number in range(count)])
    return dataset._replace(classes=count), parts


def _next(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether the target at each step is the next token."""
    here, following = y[:, :-1], x[:, 1:]
    return bool(np.all((here == following) | (here == -1)) and np.any(here >= 0))


def _split(dataset: Dataset, parts: list[Part]) -> Splits:
    """Training and test part. Raises DataError."""
    if len(parts) == 1:
        ((x, y),) = parts
        numbers = user_parts.fifth(dataset.name, len(y))
        parts = [(x[chosen], y[chosen]) for chosen in numbers]
    if dataset.task == "classes":
        names = [str(number) for number in range(dataset.classes)]
        (_, train), (_, test) = parts
        user_parts.taught(dataset.name, train, test, names, f"; {RENUMBERED}")
    made = user_parts.splits(parts, dataset.classes)
    if dataset.stored == "uint8":
        scale = scale_of(parts[0][0])
        made = Splits(*(part._replace(scale=scale) for part in made))
    return made
