"""Embeddings of examples, in which distance means class: what they descend, and are fed.

An embedding is what a net gives for an example, at length 1: nets of different depths
give outputs of very different lengths, and only their directions are compared.

Classes that were never trained on are told apart by the nearest prototype, the mean of
the few examples that are given of each, or by a pair's own similarity.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.catalogues.losses import Loss
from depthbench.research.learning.feed import Feeds

SHARPNESS = 10.0  # of logits: times half the squared distance, from 0 to 20
MARGIN = 1.0  # pairs of different classes that are further apart are let be
ABSENT = -1e9  # the logit of a class of which an episode has nothing


def unit(h: Any) -> Any:
    """Rows [..., numbers] at length 1; 0 where all is 0.

    >>> unit(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    numpy = jnp if isinstance(h, jax.Array) else np
    square = numpy.sum(h * h, axis=-1, keepdims=True)
    # Below the root, so that the gradient at 0 is a number.
    return h / numpy.sqrt(numpy.maximum(square, 1e-20))


# ------------------------------------------------------------------ what is descended


def _logits(outputs: Any, batch: Any) -> Any:
    """Of each example for each class [batch, batch], whose prototype is how near.

    Classes are numbered from 0, and are at most as many as examples.
    """
    labels = jax.nn.one_hot(batch["targets"], len(outputs)) * batch["given"][:, None]
    count = jnp.sum(labels, axis=0)
    codes = unit(outputs)
    prototypes = (labels.T @ codes) / jnp.maximum(count, 1)[:, None]
    near = 2 * codes @ prototypes.T - jnp.sum(prototypes**2, axis=1)[None]
    return jnp.where(count[None] > 0, SHARPNESS * near / 2, ABSENT)


def _of_queries(each: Any, batch: Any) -> Any:
    """What is 0 where an example is given, and of the others' mean over all."""
    asked = 1 - batch["given"]
    return each * asked * (len(asked) / jnp.maximum(jnp.sum(asked), 1))


def _surprise(outputs: Any, batch: Any) -> Any:
    chances = jax.nn.log_softmax(_logits(outputs, batch))
    own = jnp.take_along_axis(chances, batch["targets"][:, None], axis=1)[:, 0]
    return _of_queries(-own, batch)


def _nearest(outputs: Any, batch: Any) -> Any:
    right = jnp.argmax(_logits(outputs, batch), axis=1) == batch["targets"]
    return _of_queries(right.astype(jnp.float32), batch)


def _contrast(outputs: Any, batch: Any) -> Any:
    """Of each of two halves' pairs; given to both, so that examples have one each."""
    one, other = jnp.split(unit(outputs), 2)
    same = jnp.equal(*jnp.split(batch["targets"], 2))
    square = jnp.sum((one - other) ** 2, axis=1)
    distance = jnp.sqrt(jnp.maximum(square, 1e-12))
    apart = jnp.maximum(MARGIN - distance, 0.0) ** 2
    return jnp.tile(jnp.where(same, square, apart) / 2, 2)


PROTOTYPES = Loss(
    "prototypes",
    _surprise,
    "Snell, Swersky & Zemel 2017, arXiv:1703.05175, equation 2, at length 1",
    others={"accuracy": _nearest},
    judged=("highest", "accuracy"),
)
CONTRAST = Loss("contrast", _contrast, "Hadsell, Chopra & LeCun 2006, CVPR, equation 4")


# ----------------------------------------------------------------------- what is fed


@functools.cache
def episodes(batch: int, given: int = 1, most: int = 16) -> Feeds:
    """Episodes of a few classes, as many examples of each, of which some are given.

    From inputs [classes, drawings, …]: batches of at most so many examples, of `most`
    classes or as many as there are. targets: numbered anew in each. given: 1 of what
    prototypes are made from, 0 of queries.
    """

    def feeds(data: Any, first: Any) -> Any:
        count, drawings = data["inputs"].shape[:2]
        way = min(most, count)
        shown = min(batch // way, drawings)

        def feed(key: Any, step: Any) -> dict[str, Any]:
            classes, chosen = _drawn(key, (count, drawings), way, shown)
            x = data["inputs"][classes[:, None], chosen].swapaxes(0, 1)
            mask = jnp.arange(shown) < given
            return {
                "inputs": x.reshape(-1, *x.shape[2:]),
                "targets": jnp.tile(jnp.arange(way), shown),
                "given": jnp.repeat(mask.astype(jnp.float32), way),
            }

        return feed

    return feeds


def _drawn(key: Any, counts: tuple[int, int], way: int, shown: int) -> tuple[Any, Any]:
    """Different classes [way], and different drawings of each [way, shown]."""
    key_class, key_drawing = jax.random.split(key)
    classes = jax.random.permutation(key_class, counts[0])[:way]
    keys = jax.random.split(key_drawing, way)
    every = jax.vmap(lambda key: jax.random.permutation(key, counts[1]))(keys)
    return classes, every[:, :shown]


@functools.cache
def pairs(batch: int) -> Feeds:
    """Pairs, the first half of a batch with its second; every second one of one class.

    From inputs [classes, drawings, …]; targets: classes.
    """

    def feeds(data: Any, first: Any) -> Any:
        count, drawings = data["inputs"].shape[:2]
        half = batch // 2

        def feed(key: Any, step: Any) -> dict[str, Any]:
            keys = jax.random.split(key, 4)
            one = jax.random.randint(keys[0], (half,), 0, count)
            further = jax.random.randint(keys[1], (half,), 1, count)
            same = jnp.arange(half) % 2 == 0
            other = jnp.where(same, one, (one + further) % count)
            first = jax.random.randint(keys[2], (half,), 0, drawings)
            on = jax.random.randint(keys[3], (half,), 1, drawings)
            classes = jnp.concatenate([one, other])
            chosen = jnp.concatenate([first, (first + on) % drawings])
            return {"inputs": data["inputs"][classes, chosen], "targets": classes}

        return feed

    return feeds


# ------------------------------------------------------------------- what is asked


class Questions(NamedTuple):
    """Fixed episodes of classes that were not trained on.

    classes: [episodes, way]. drawings: [episodes, way, given + asked], different ones of
    each class; the first `given` are the examples.
    """

    classes: np.ndarray
    drawings: np.ndarray
    given: int


def questions(
    classes: int, drawings: int, count: int, way: int, given: int, asked: int, seed: int
) -> Questions:
    """So many episodes, always the same of a seed.

    >>> questions(9, 4, count=2, way=5, given=1, asked=3, seed=0).drawings.shape
    (2, 5, 4)
    """
    random = np.random.RandomState(seed)
    chosen = [random.permutation(classes)[:way] for _ in range(count)]
    shown = [
        [random.permutation(drawings)[: given + asked] for _ in range(way)]
        for _ in range(count)
    ]
    return Questions(np.array(chosen), np.array(shown), given)


def answers(codes: np.ndarray, asked: Questions) -> np.ndarray:
    """The class that each query's nearest prototype is of, [episodes, way, asked].

    codes: [classes, drawings, numbers]. Near is by Euclidean distance. Right is the
    query's own place among the episode's classes.

    >>> codes = np.array([[[0.0], [0.1]], [[1.0], [0.4]]])
    >>> answers(codes, questions(2, 2, 1, way=2, given=1, asked=1, seed=0)).shape
    (1, 2, 1)
    """
    shown = codes[asked.classes[..., None], asked.drawings]  # [episodes, way, each, n]
    prototypes = shown[:, :, : asked.given].mean(axis=2)
    queries = shown[:, :, asked.given :]
    flat = queries.reshape(len(shown), -1, codes.shape[-1])
    square = (prototypes**2).sum(-1)[:, None] - 2 * flat @ prototypes.swapaxes(1, 2)
    return square.argmin(axis=-1).reshape(queries.shape[:3])


def accuracies(codes: np.ndarray, asked: Questions) -> np.ndarray:
    """The share of an episode's queries that are answered right, [episodes]."""
    own = np.arange(asked.classes.shape[1])[None, :, None]
    return np.mean(answers(codes, asked) == own, axis=(1, 2))
