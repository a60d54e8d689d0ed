"""A recipe's data set as batches: dictionaries of its inputs and targets."""

import functools
from typing import Any

import jax
import numpy as np

from research.datasets import Data, DataError, Dataset, Splits, Stream, find
from research.learning.recipe import Recipe
from research.learning.system import Batch

EVALUATED = 4096  # examples, at most, of a training set or of one not in memory


def batch_of(x: Any, y: Any) -> Batch:
    """Examples as the data set keeps them; tokens stay integers."""
    return {"inputs": x, "targets": y}


def check(batch: Batch) -> None:
    """Raises DataError unless a batch is arrays of numbers, one entry an example."""
    counts = {}
    for name, tree in batch.items():
        for array in jax.tree.leaves(tree, is_leaf=lambda leaf: leaf is None):
            shape = getattr(array, "shape", ())
            if not shape or getattr(array.dtype, "kind", "") in tuple("OSUMm"):
                what = f"{array.dtype} {list(shape)}" if shape else repr(array)[:40]
                raise DataError(f"{name} are {what}; must be an array of numbers")
            counts[name] = shape[0]
    if len(set(counts.values())) > 1:
        each = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise DataError(f"a batch has one entry an example of each: {each}")


def dataset(recipe: Recipe) -> Dataset:
    return find(recipe.dataset, recipe.data_dir or None)


@functools.lru_cache(maxsize=2)
def _splits(name: str, data_dir: str) -> Splits:
    return find(name, data_dir or None).split()


def splits(recipe: Recipe) -> Splits:
    """The data set's training and test part, read once. Raises DataError."""
    return _splits(recipe.dataset, recipe.data_dir)


@functools.lru_cache(maxsize=2)
def _on_device(name: str, data_dir: str) -> tuple[Batch, Batch]:
    train, test = _splits(name, data_dir)
    if isinstance(train, Stream):
        raise DataError(f"{name} does not fit in memory; depthbench train reads it")
    return jax.device_put((first(train), first(test)))


def batches(recipe: Recipe) -> tuple[Batch, Batch]:
    """All training and all test examples, on the device. Raises DataError.

    Of a test set that is too large for memory, the first EVALUATED.
    """
    return _on_device(recipe.dataset, recipe.data_dir)


def first(part: Data | Stream, count: int = EVALUATED) -> Batch:
    """The first examples of a part; all of those that are in memory anyhow."""
    if isinstance(part, Stream):
        return batch_of(*part.read(np.arange(min(count, part.length))))
    return batch_of(part.x, part.y)


def some(recipe: Recipe) -> Any:
    """Two inputs as the data set keeps them: what a net's shapes are made from."""
    return first(splits(recipe).train, 2)["inputs"][:2]
