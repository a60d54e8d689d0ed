"""A data set in three parts: to learn from, to choose by, and to judge by."""

import functools
from typing import NamedTuple

import numpy as np

from depthbench.research.datasets import DataError, Stream, find
from depthbench.research.datasets.reading import reader


class Share(NamedTuple):
    """x: [examples, …] float32, as a net reads it. y: their targets."""

    x: np.ndarray
    y: np.ndarray

    @property
    def batch(self) -> dict[str, np.ndarray]:
        """As training takes it."""
        return {"inputs": self.x, "targets": self.y}

    def first(self, count: int) -> "Share":
        """The first so many examples."""
        return Share(self.x[:count], self.y[:count])


class Divided(NamedTuple):
    """train: what is learned from. valid: what settings are chosen by, a fifth of the
    training part. test: what is looked at once, at the end."""

    train: Share
    valid: Share
    test: Share
    classes: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an example."""
        return self.train.x.shape[1:]


@functools.lru_cache(maxsize=4)
def parts(name: str, train: int | None = None, data_dir: str | None = None) -> Divided:
    """The parts of a data set, always the same ones.

    train: how many examples are learned from and chosen by; all by default.
    Raises DataError where there are no data, or not so many.

    >>> [len(part.y) for part in parts("digits")[:3]]
    [1149, 288, 360]
    >>> [len(part.y) for part in parts("digits", train=100)[:3]]
    [80, 20, 360]
    """
    dataset = find(name, data_dir)
    whole, test = dataset.split()
    if isinstance(whole, Stream) or isinstance(test, Stream):
        raise DataError(f"{name} does not fit in memory; depthbench train reads it")
    count = len(whole.y) if train is None else train
    if not 5 <= count <= len(whole.y):
        raise DataError(
            f"{count} training examples of {name}; must be from 5 to {len(whole.y)}"
        )
    read = reader(dataset, whole.scale)
    order = np.random.RandomState(1).permutation(len(whole.y))[:count]
    x, y = np.asarray(read(whole.x[order]), np.float32), whole.y[order]
    learned = count - count // 5 - (count % 5 > 0)
    return Divided(
        Share(x[:learned], y[:learned]),
        Share(x[learned:], y[learned:]),
        Share(np.asarray(read(test.x), np.float32), test.y),
        whole.classes,
    )
