"""Training jobs by name: from catalogue entries to what `training` runs."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from research.architectures import ARCHITECTURES
from research.architectures.contract import Settings, Weights
from research.architectures.loops import LOOPS
from research.catalogues.activations import ACTIVATIONS
from research.catalogues.initializers import DRAWS, Rule
from research.catalogues.losses import TASKS
from research.catalogues.normalizers import NORMALIZERS
from research.catalogues.optimizers import OPTIMIZERS
from research.catalogues.schedules import SCHEDULES
from research.datasets import Data, DataError, Dataset, Stream, find
from research.datasets.images import cropped, flipped, normalised
from research.learning.training import Batch, Job

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
EVALUATED = 4096  # examples, at most, of a training set or of one not in memory
BORDER = 8  # a crop moves an image by up to an eighth of its side


class Setup(NamedTuple):
    """The static settings, by name: what a change of compiles a new program.

    augment: "flip" and "crop", in any order.
    data_dir: where TensorFlow Datasets has prepared its sets; "" for where it does.
    """

    architecture: str
    activation: str
    draw: str
    normalizer: str
    depth: int
    width: int
    dataset: str
    optimizer: str
    schedule: str = "constant"
    batch: int = 64
    dtype: str = "float32"
    accumulate: int = 1
    augment: tuple[str, ...] = ()
    data_dir: str = ""
    loop: str = "scan"


class Rules(NamedTuple):
    """The variances of the layer that reads the input, and of the others; traced."""

    first: Rule
    hidden: Rule


UNIT = Rules(Rule(1.0), Rule(1.0))


def job(setup: Setup, rules: Rules = UNIT) -> Job:
    """The job of a setup. rules: needed for fresh parameters alone; may be traced.

    Raises DataError where the data set is not to be had.
    """
    family, dataset = ARCHITECTURES[setup.architecture], found(setup)
    task = family.task(dataset.task)
    settings = Settings(
        width=setup.width,
        depth=setup.depth,
        activation=ACTIVATIONS[setup.activation].phi,
        weights=Weights(DRAWS[setup.draw], rules.hidden.gains, first=rules.first.gains),
        normalizer=NORMALIZERS[setup.normalizer],
        outputs=family.outputs(dataset.shape, dataset.classes),
        active_depth=setup.depth,
        every_step=task == "tokens",
    )
    return Job(
        net=LOOPS[setup.loop].change(family.build(settings)),
        task=TASKS[task],
        optimizer=OPTIMIZERS[setup.optimizer],
        schedule=SCHEDULES[setup.schedule],
        batch=setup.batch,
        read=_reader(dataset, splits(setup).train.scale),
        augment=_augmented(setup.augment) if setup.augment else None,
        dtype=DTYPES[setup.dtype],
        accumulate=setup.accumulate,
    )


def found(setup: Setup) -> Dataset:
    return find(setup.dataset, setup.data_dir or None)


def _reader(dataset: Dataset, scale: Any):
    """From examples as they are kept to what a net reads."""
    if dataset.stored == "uint8":
        return lambda x: normalised(x, scale)
    if dataset.stored == "int32":
        return lambda x: jax.nn.one_hot(x, dataset.shape[-1], dtype=jnp.float32)
    return lambda x: x


def _augmented(names: tuple[str, ...]):
    def augment(key, x):
        for number, name in enumerate(names):
            one = jax.random.fold_in(key, number)
            if name == "flip":
                x = flipped(one, x)
            else:
                x = cropped(one, x, max(1, x.shape[1] // BORDER))
        return x

    return augment


@functools.lru_cache(maxsize=2)
def _splits(dataset: str, data_dir: str):
    return find(dataset, data_dir or None).split()


def splits(setup: Setup) -> Any:
    """The data set's training and test part, read once."""
    return _splits(setup.dataset, setup.data_dir)


@functools.lru_cache(maxsize=2)
def _on_device(dataset: str, data_dir: str) -> tuple[Batch, Batch]:
    train, test = _splits(dataset, data_dir)
    if isinstance(train, Stream):
        raise DataError(f"{dataset} does not fit in memory; depthbench train reads it")
    return jax.device_put((Batch(train.x, train.y), first(test)))


def batches(setup: Setup) -> tuple[Batch, Batch]:
    """All training and all test examples, on the device. Raises DataError.

    Of a test set that is too large for memory, the first EVALUATED.
    """
    return _on_device(setup.dataset, setup.data_dir)


def first(part: Data | Stream, count: int = EVALUATED) -> Batch:
    """The first examples of a part; all of those that are in memory anyhow."""
    if isinstance(part, Stream):
        return Batch(*part.read(np.arange(min(count, part.length))))
    return Batch(part.x, part.y)


def example(setup: Setup) -> Any:
    """Two inputs as the data set keeps them: what a net's shapes are made from."""
    train = splits(setup).train
    return first(train, 2).x[:2]
