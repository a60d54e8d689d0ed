"""One small picture, put on images anywhere, and learned so that a net sees a target.

Brown et al. 2017, arXiv:1712.09665, whose patch is turned and scaled too; here it is
moved. It is the same for all images: what is descended is the mean of the target's log
odds over images and places, and after each step the patch is put back into the range that
images have.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.architectures.contract import Variables
from depthbench.research.catalogues.optimizers import OPTIMIZERS, length, transformation
from depthbench.research.learning import attacks, descent, feed, sweeps
from depthbench.research.learning.fits import FittedNet, Net, numbers
from depthbench.research.learning.supervised import Numbers
from depthbench.research.learning.system import System

RULE = OPTIMIZERS["adam"]


class Victim(NamedTuple):
    """What a patch is learned against, which does not change.

    target: [] the label that images are to be read as. low, high: [] the least and the
    largest number of a patch.
    """

    variables: Variables
    target: jax.Array
    low: jax.Array
    high: jax.Array


def places(key: jax.Array, count: int, image: tuple[int, ...], side: int) -> jax.Array:
    """[count, 2] upper left corners at which a patch lies within an image, at random."""
    room = jnp.array([image[0] - side + 1, image[1] - side + 1])
    return jax.random.randint(key, (count, 2), 0, room[None])


def put(patch: jax.Array, images: jax.Array, corners: jax.Array) -> jax.Array:
    """Images [batch, height, width, channels] with the patch [side, side, channels] on.

    corners: [batch, 2], as of `places`.
    """

    def one(image, corner):
        return jax.lax.dynamic_update_slice(image, patch, (corner[0], corner[1], 0))

    return jax.vmap(one)(images, corners)


@functools.lru_cache(maxsize=64)
def system(net: Net, side: int) -> System:
    """The learning of a patch against a net; its tree is a Learner of it and a Victim."""
    parts = net.parts

    def objective(patch, victim, batch, key):
        x = batch["inputs"]
        x = put(patch, x, places(key, len(x), x.shape[1:], side))
        logits = attacks.of_net(parts.net, victim.variables)(x)
        target = jnp.full(len(x), victim.target)
        odds, right = attacks.odds(logits, target), logits.argmax(axis=1) == target
        return {"loss": odds, "accuracy": right.astype(jnp.float32)}, victim

    def step(tree, hyper, batch, moment):
        gradient, (means, victim) = descent.gradients(
            objective, tree.params, tree.stats, batch, moment.key
        )
        rule = transformation(RULE, hyper.rule, ())
        size = length(RULE, hyper.rule.learning_rate)
        tree = descent.descended(tree, gradient, victim, rule, size)
        within = jnp.clip(tree.params, victim.low, victim.high)
        return tree._replace(params=within), means

    def given(key, hyper):
        raise TypeError("a patch begins from a victim: `start`")

    return System(given, step, lambda tree, batch: {})


def start(patch: Any, victim: Victim, hyper: Numbers) -> descent.Learner:
    """A patch before its first step."""
    return descent.learner(patch, victim, transformation(RULE, hyper.rule, ()))


def noise(seed: int, shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
    """A patch [side, side, channels] by chance, of numbers between low and high."""
    return np.random.RandomState(seed).uniform(low, high, shape).astype(np.float32)


def at_random(picture: Any, images: Any, seed: int) -> np.ndarray:
    """Images with the patch on, each at a random place of its own."""
    corners = places(jax.random.key(seed), len(images), images.shape[1:], len(picture))
    return np.asarray(put(jnp.asarray(picture), jnp.asarray(images), corners))


class Patch(NamedTuple):
    """A patch that was learned. picture: [side, side, channels]. log, diverged: as a
    `FittedNet` has them."""

    picture: np.ndarray
    target: int
    log: Any
    diverged: int | None


def learned(
    fit: FittedNet, images: Any, targets: Any, side: int, steps: int, rate: float
) -> list[Patch]:
    """A patch for each target, learned against a trained net.

    images: [examples, height, width, channels] that it is put on, in batches.
    """
    low, high = np.float32(images.min()), np.float32(images.max())
    shape = (side, side, images.shape[-1])
    runs = [sweeps.Run(n, numbers(fit.net, rate, steps)) for n in range(len(targets))]
    trees = [
        start(
            jnp.asarray(noise(run.seed, shape, low, high)),
            Victim(fit.variables, jnp.int32(target), jnp.array(low), jnp.array(high)),
            run.hyper,
        )
        for run, target in zip(runs, targets, strict=True)
    ]
    feeds = feed.drawn(fit.net.recipe.batch)
    problem = sweeps.Problem(system(fit.net, side), feeds, {"inputs": images}, {}, {})
    done = sweeps.ended(problem, runs, steps, trees)
    return [
        Patch(np.asarray(one.state.tree.params), int(target), one.log, one.diverged)
        for one, target in zip(done, targets, strict=True)
    ]


def successes(
    fit: FittedNet, pictures: Any, targets: Any, images: Any, labels: Any, seed: int
) -> np.ndarray:
    """The share of images of other classes that are read as the target, of each patch.

    pictures: [patches, side, side, channels]. targets: [patches]. images: [examples, …];
    each has the patch at a random place of its own, the same for all patches. labels:
    [examples]; an image with a label below 0 does not count.
    """
    side, shape = np.shape(pictures)[1], np.shape(images)[1:]
    corners = places(jax.random.key(seed), len(images), shape, side)
    pictures, targets = jnp.asarray(pictures), jnp.asarray(targets)
    found = _successes(fit.net)(
        fit.variables, pictures, targets, images, labels, corners
    )
    return np.asarray(found)


@functools.lru_cache(maxsize=64)
def _successes(net: Net) -> Any:
    @jax.jit
    def successes(variables, pictures, targets, images, labels, corners):
        logits = attacks.of_net(net.parts.net, variables)

        def share(pair):
            picture, target = pair
            read = jnp.argmax(logits(put(picture, images, corners)), axis=1) == target
            counts = (labels != target) & (labels >= 0)
            return jnp.sum(read & counts) / jnp.maximum(jnp.sum(counts), 1)

        return jax.lax.map(share, (pictures, targets))

    return successes
