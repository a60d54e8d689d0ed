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


def learned(
    fit: FittedNet,
    images: Any,
    targets: Any,
    side: int,
    steps: int,
    rate: float,
) -> list[np.ndarray]:
    """A patch for each target [side, side, channels], learned against a trained net.

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
    return [np.asarray(one.state.tree.params) for one in done]


def read_as(fit: FittedNet, patch: Any, images: Any, target: int, seed: int) -> float:
    """The share of images that a net reads as the target, the patch at a random place."""
    side = len(patch)
    corners = places(jax.random.key(seed), len(images), images.shape[1:], side)
    shown = put(jnp.asarray(patch), jnp.asarray(images), corners)
    return float(np.mean(fit.outputs(shown).argmax(axis=1) == target))
