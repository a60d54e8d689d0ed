"""Learning from few labels and many examples without: pseudo-labels, as loss and feed.

Lee 2013, ICML Workshop on Challenges in Representation Learning: an example without a
label is taught the class that the net itself finds likeliest, with a weight that grows
during training. At weight 0 it is supervised learning from the labels alone.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.catalogues.losses import Loss
from depthbench.research.learning.feed import Feeds

UNLABELLED = -1
BEGINS, WHOLE = 0.2, 0.7  # shares of training: without pseudo-labels, and with all


def _surprise(outputs: Any, batch: Any) -> Any:
    guessed = jnp.argmax(jax.lax.stop_gradient(outputs), axis=-1)
    known = batch["targets"] != UNLABELLED
    labels = jnp.where(known, batch["targets"], guessed)
    losses = optax.softmax_cross_entropy_with_integer_labels(outputs, labels)
    return losses * batch["weight"]


PSEUDO = Loss("pseudo_labels", _surprise, "Lee 2013, WREPL, equation 15")


@functools.cache
def half_labelled(batch: int, steps: int) -> Feeds:
    """Batches of which the first half is labelled, and the second is not.

    From inputs and targets [examples, …]; order [examples] of them, of which the first
    `labels` have labels; and `trust`, the pseudo-labels' weight at the end. weight: of
    each example, so that the batch's mean is a half's mean and `trust` of the other's.
    """

    def feeds(data: Any, first: Any) -> Any:
        half = batch // 2

        def feed(key: Any, step: Any) -> dict[str, Any]:
            key_known, key_other = jax.random.split(key)
            known = jax.random.randint(key_known, (half,), 0, data["labels"])
            other = jax.random.randint(key_other, (half,), 0, len(data["order"]))
            chosen = data["order"][jnp.concatenate([known, other])]
            done = (step / steps - BEGINS) / (WHOLE - BEGINS)
            trust = data["trust"] * jnp.clip(done, 0.0, 1.0)
            place = jnp.arange(2 * half)
            return {
                "inputs": data["inputs"][chosen],
                "targets": jnp.where(place < half, data["targets"][chosen], UNLABELLED),
                "weight": 2.0 * jnp.where(place < half, 1.0, trust),
            }

        return feed

    return feeds


def class_by_class(targets: Any, seed: int) -> np.ndarray:
    """An order of examples [examples]: one of each class, then a second of each, and on.

    targets: numbers of classes, [examples]. Within a class examples are in random order.

    >>> targets = np.array([0, 0, 0, 1, 1])
    >>> targets[class_by_class(targets, seed=0)].tolist()
    [0, 1, 0, 1, 0]
    """
    order = np.random.RandomState(seed).permutation(len(targets))
    mixed = np.asarray(targets)[order]
    rank = np.zeros(len(mixed), np.int64)
    for label in np.unique(mixed):
        own = mixed == label
        rank[own] = np.arange(own.sum())
    return order[np.lexsort((mixed, rank))]


def labelled(targets: Any, count: int, seed: int) -> np.ndarray:
    """The order of `class_by_class`, of which the first `count` have labels.

    Raises DataError where they are fewer than the classes, or more than the examples.
    """
    classes = len(np.unique(targets))
    if not classes <= count <= len(targets):
        raise DataError(
            f"{count} labels; must be from {classes}, one a class, to {len(targets)}"
        )
    return class_by_class(targets, seed)
