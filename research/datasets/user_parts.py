"""A user's examples as nets read them: split, with a scale, and every class learned."""

from collections.abc import Sequence

import numpy as np

from depthbench.research.datasets.contract import Data, DataError, Scale, Splits, order
from depthbench.research.files.text import visible

AT_ONCE = 4096  # examples that are taken in float64 at a time
LEVELS = 256  # that a column has in float32, at least, between its ends
KEPT = "nothing was dropped or replaced"


def first_bad(name: str, line: str, count: int, whole: int, each: str) -> DataError:
    """The error of the first bad example, with how many of them there are.

    >>> str(first_bad("csv:a:b", "line 3 is empty", 1, 9, "rows"))
    'csv:a:b: line 3 is empty (1 of 9 rows is bad); nothing was dropped or replaced'
    """
    bad = f"{count:,} of {whole:,} {each} {'is' if count == 1 else 'are'} bad"
    return DataError(f"{name}: {visible(line)} ({bad}); {KEPT}")


def pieces(count: int) -> list[slice]:
    """All of so many examples, a piece at a time."""
    return [slice(first, first + AT_ONCE) for first in range(0, count, AT_ONCE)]


def unusable(values: np.ndarray) -> np.ndarray:
    """Which examples [examples, …] have NaN, infinity, or what float32 cannot hold."""
    flat = values.reshape(len(values), -1)
    bad = np.zeros(len(values), bool)
    for piece in pieces(len(values)):
        # NaN compares as False too.
        bad[piece] = ~np.all(np.abs(flat[piece]) <= np.finfo(np.float32).max, axis=1)
    return bad


def flattened(values: np.ndarray) -> list[int]:
    """The columns (the last axis's places) of which float32 would keep few levels.

    A column of dates in seconds differs by less than float32's step at that size.
    """
    if values.dtype.itemsize <= 4:
        return []
    axes = tuple(range(values.ndim - 1))
    low, high = values.min(axis=axes), values.max(axis=axes)
    largest = np.maximum(np.abs(low), np.abs(high)).astype(np.float32)
    steps = (high - low) / np.spacing(largest).astype(np.float64)
    return np.flatnonzero((high > low) & (steps < LEVELS)).tolist()


def scale_of_floats(x: np.ndarray) -> Scale:
    """(mean, deviation) of each column or channel of x [examples, …, columns].

    One that never changes has deviation 1: sums of up to 2²⁹ equal float32 are exact.
    """
    rows = x.reshape(-1, x.shape[-1])
    total = np.zeros(x.shape[-1])
    for piece in pieces(len(rows)):
        total += rows[piece].sum(axis=0, dtype=np.float64)
    mean, squares = total / len(rows), np.zeros_like(total)
    for piece in pieces(len(rows)):
        squares += np.square(rows[piece] - mean, dtype=np.float64).sum(axis=0)
    deviation = np.sqrt(squares / len(rows)).astype(np.float32)
    return mean.astype(np.float32), np.where(deviation > 0, deviation, 1)


def constant(x: np.ndarray) -> int:
    """How many columns or channels of x never change."""
    rows = x.reshape(-1, x.shape[-1])
    return int(np.sum(rows.min(axis=0) == rows.max(axis=0)))


def fifth(name: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Example numbers to learn and to judge by. Raises DataError where there is one."""
    if count < 2:
        raise DataError(
            f"{name}: has {count or 'no'} example{'s' * (count != 1)}; at least 2 are "
            "needed, one to learn and one to judge by"
        )
    return order(count)


def taught(
    name: str,
    train: np.ndarray,
    test: np.ndarray,
    classes: Sequence[str],
    hint: str = "",
) -> None:
    """Raises DataError where a class has no training example.

    train, test: labels [examples] below the number of classes, which have names.
    """
    counts = np.bincount(train, minlength=len(classes))
    if counts.all():
        return
    missing = np.flatnonzero(counts == 0)
    one = int(missing[0])
    held = int(np.sum(test == one))
    more = f", nor have {len(missing) - 1:,} others" if len(missing) > 1 else ""
    raise DataError(
        f"{name}: class {classes[one]} has no training example, and {held} to "
        f"judge by{more}: give it more, or leave it out{hint}"
    )


def one_class(name: str, classes: Sequence[str]) -> None:
    """Raises DataError where there is nothing to tell apart."""
    if len(classes) < 2:
        raise DataError(
            f"{name}: all examples are of one class, {classes[0]}: there is "
            "nothing to tell apart"
        )


def listed(names: Sequence[str], most: int = 10) -> str:
    """The first names and the last, in their order.

    >>> listed(["a", "b", "c", "d"], 3)
    'a, b, … d'
    """
    shown = [visible(name) for name in names]
    if len(shown) <= most:
        return ", ".join(shown)
    return f"{', '.join(shown[: most - 1])}, … {shown[-1]}"


def splits(parts: Sequence[tuple[np.ndarray, np.ndarray]], classes: int) -> Splits:
    """Parts (x, y) to train on and to judge by, floats with the scale of the first."""
    (x, y), (x_test, y_test) = parts
    scale = scale_of_floats(x) if x.dtype == np.float32 else None
    count = constant(x) if scale else 0
    note = f"{count} of {x.shape[-1]} columns never change" if count else ""
    return Splits(
        Data(x, y, classes, scale, note), Data(x_test, y_test, classes, scale)
    )
