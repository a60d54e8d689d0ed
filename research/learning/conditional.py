"""Conditional adversarial nets on pairs of images: pix2pix, or the same without the GAN.

Isola, Zhu, Zhou & Efros 2017, arXiv:1611.07004. The generator corrects the image that it
is given: what it gives is added to it, where `mask` asks for pixels. It descends λ times
its mean absolute error and, of a pair, what the discriminator makes of its image beside
the one that was given; the discriminator scores every patch of that pair.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.learning import fits, players
from depthbench.research.learning.fits import FittedNet, Net
from depthbench.research.learning.players import Player, Players
from depthbench.research.learning.sweeps import Ended
from depthbench.research.learning.system import Batch

GENERATOR, DISCRIMINATOR = "generator", "discriminator"
LAMBDA = 100.0  # the paper's weight of the absolute error
STEP = 0.1  # of the generator's outputs, so that a fresh net changes little


class ConditionalPair(NamedTuple):
    """A generator, and the discriminator of its images; None: absolute error alone."""

    generator: Net
    discriminator: Net | None = None

    @property
    def players(self) -> Players:
        return _players(self)


def corrected(given: Any, outputs: Any, mask: Any) -> Any:
    """The generator's image: what is given, and its outputs where it is asked."""
    return given + STEP * mask * outputs


@functools.lru_cache(maxsize=64)
def _players(pair: ConditionalPair) -> Players:
    if pair.discriminator is None:
        return ((GENERATOR, Player(pair.generator, _error, _probed_error)),)
    return (
        (DISCRIMINATOR, Player(pair.discriminator, _telling, _probed_telling)),
        (GENERATOR, Player(pair.generator, _fooling, _probed_fooling)),
    )


def _image(nets, batch):
    given = batch["inputs"]
    return corrected(given, nets[GENERATOR](given), batch["mask"])


def _absolute(image, batch):
    """The mean absolute error of pixels that are asked for [batch]."""
    wrong = jnp.abs(image - batch["targets"]) * batch["mask"]
    asked = jnp.sum(batch["mask"], axis=(1, 2, 3)) * image.shape[-1]
    return jnp.sum(wrong, axis=(1, 2, 3)) / asked


def _scores(nets, image, batch):
    """The discriminator's score of each patch of a pair [batch, rows, columns, 1]."""
    beside = jnp.concatenate([batch["inputs"], image], axis=-1)
    return nets[DISCRIMINATOR](beside)


def _mean(values):
    return jnp.mean(values, axis=tuple(range(1, values.ndim)))


def _error(nets, batch, key):
    error = _absolute(_image(nets, batch), batch)
    return {"loss": LAMBDA * error, "error": error}


def _fooling(nets, batch, key):
    image = _image(nets, batch)
    error, fooled = _absolute(image, batch), _fooled(nets, image, batch)
    return {"loss": LAMBDA * error + fooled, "error": error, "fooled": fooled}


def _fooled(nets, image, batch):
    return _mean(jax.nn.softplus(-_scores(nets, image, batch)))


def _telling(nets, batch, key):
    """Half of the cross-entropy, as in the paper: it learns the more slowly."""
    real = _mean(jax.nn.softplus(-_scores(nets, batch["targets"], batch)))
    image = jax.lax.stop_gradient(_image(nets, batch))
    made = _mean(jax.nn.softplus(_scores(nets, image, batch)))
    return {"loss": (real + made) / 2, "real": real, "made": made}


def _probed_error(nets, batch):
    def loss(outputs):
        image = corrected(batch["inputs"], outputs, batch["mask"])
        return LAMBDA * jnp.mean(_absolute(image, batch))

    return batch["inputs"], loss


def _probed_fooling(nets, batch):
    def loss(outputs):
        image = corrected(batch["inputs"], outputs, batch["mask"])
        error = LAMBDA * jnp.mean(_absolute(image, batch))
        return error + jnp.mean(_fooled(nets, image, batch))

    return batch["inputs"], loss


def _probed_telling(nets, batch):
    beside = jnp.concatenate([batch["inputs"], batch["targets"]], axis=-1)
    return beside, lambda scores: jnp.mean(jax.nn.softplus(-scores))


class Translator(NamedTuple):
    """A generator that was trained. log: each step's measures [steps], with its absolute
    error as `loss`. diverged: as of FittedNet."""

    net: FittedNet
    log: dict[str, Any]
    diverged: int | None

    def image(self, given: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Its images of those that are given [images, height, width, channels]."""
        return np.asarray(corrected(given, self.net.outputs(given), mask))


def train(
    pair: ConditionalPair,
    data: Batch,
    steps: int,
    rates: Sequence[float],
    seeds: Sequence[int],
    capacity: int = 0,
) -> list[list[Translator]]:
    """Generators after so many steps on pairs of images: of each rate its seeds.

    Both players learn at one rate, as in the paper.

    data: `inputs` and `targets` [images, height, width, channels], and `mask`, 1 where
    pixels are asked for [images, height, width, 1]. capacity: as of `sweeps.ended`.
    """
    ended = players.train(pair.players, data, steps, rates, seeds, capacity)
    return [[_translator(pair, one) for one in runs] for runs in ended]


def _translator(pair: ConditionalPair, run: Ended) -> Translator:
    nets, log = players.ended(pair.players, run, f"{GENERATOR} error")
    return Translator(nets[GENERATOR], log, run.diverged)


def beforehand(pair: ConditionalPair, data: Batch, seeds: int) -> fits.Beforehand:
    """The fresh generator's gradient on some pairs, and what a step of all costs."""
    return players.beforehand(pair.players, GENERATOR, data, seeds)
