"""A recipe's data set as batches: dictionaries of its inputs and targets."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from depthbench.research.datasets import Data, DataError, Dataset, Splits, Stream, find
from depthbench.research.datasets import record as records
from depthbench.research.datasets.contract import spread
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.system import Batch

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


# A data set is a key of caches: another folder, or version, is another one.
@functools.lru_cache(maxsize=2)
def _splits(dataset: Dataset) -> Splits:
    return dataset.split()


def splits(recipe: Recipe) -> Splits:
    """The data set's training and test part, read once. Raises DataError."""
    return _splits(dataset(recipe))


@functools.lru_cache(maxsize=2)
def _on_device(dataset: Dataset) -> tuple[Batch, Batch]:
    train, test = _splits(dataset)
    if isinstance(train, Stream):
        raise DataError(
            f"{dataset.name} does not fit in memory; depthbench train reads it"
        )
    return jax.device_put((first(train), judged(test)))


def batches(recipe: Recipe) -> tuple[Batch, Batch]:
    """All training examples, and those to judge by, on the device. Raises DataError."""
    return _on_device(dataset(recipe))


def first(part: Data | Stream, count: int = EVALUATED) -> Batch:
    """The first examples of a part; all of those that are in memory anyhow."""
    if isinstance(part, Stream):
        return batch_of(*part.read(np.arange(min(count, part.length))))
    return batch_of(part.x, part.y)


def judged(test: Data | Stream) -> Batch:
    """All examples of a test part; of one not in memory EVALUATED, from all over it."""
    if isinstance(test, Stream):
        return batch_of(*test.read(spread(test.length, EVALUATED)))
    return batch_of(test.x, test.y)


def notes(dataset: Dataset, parts: Splits, record: Mapping[str, str]) -> list[str]:
    """A line on each thing about a set's parts that one would not expect."""
    lines = records.notes(dataset, parts, record)
    test = parts.test
    if isinstance(test, Stream) and test.length > EVALUATED:
        lines.append(
            f"{dataset.name}: too large for memory, so judged by {EVALUATED:,} of its "
            f"{test.length:,} test examples, one of each of as many equal stretches"
        )
    return lines


def some(recipe: Recipe) -> Any:
    """Two inputs as the data set keeps them: what a net's shapes are made from."""
    return first(splits(recipe).train, 2)["inputs"][:2]
