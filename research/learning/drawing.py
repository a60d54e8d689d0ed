"""From a sentence to a scene: a net that draws, and one that recognises in training.

A conditional variational autoencoder (Sohn, Lee & Yan 2015, NIPS, section 4.1), whose
prior does not depend on the sentence. The drawer is given the sentence's words and
Gaussian numbers for what no sentence says; in training these come from the recogniser,
which sees the scene. Both descend the bound with the variance of pixels at its optimum,
the mean square error of the batch (Rybkin, Daniilidis & Levine 2021, arXiv:2006.13202),
so that no weight is to be chosen between error and divergence.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.learning import fits, players
from depthbench.research.learning.fits import FittedNet, Net
from depthbench.research.learning.players import Player, Players
from depthbench.research.learning.sweeps import Ended
from depthbench.research.learning.system import Batch, System

DRAWER, RECOGNISER = "drawer", "recogniser"
LEAST = 1e-6  # variance of pixels: of scenes that are drawn exactly
LOGS = (-8.0, 4.0)  # of a recognised variance: beyond, a fresh net's overflow


class Sketcher(NamedTuple):
    """The nets. drawer: from numbers and words, a vector, to a scene's numbers.
    recogniser: from a scene to twice as many numbers, means and log variances. words: how
    many there are.

    A batch has `inputs`, sentences [batch, length], and `targets`, scenes [batch, …].
    """

    drawer: Net
    recogniser: Net
    words: int

    @property
    def numbers(self) -> int:
        """How many say what a sentence does not."""
        return self.recogniser.task.outputs // 2

    @property
    def players(self) -> Players:
        return _players(self)

    @property
    def system(self) -> System:
        """Both nets' training."""
        return players.system(self.players)


@functools.lru_cache(maxsize=64)
def _players(pair: Sketcher) -> Players:
    bound = functools.partial(_bound, pair)
    probes = (_probed_drawer, _probed_recogniser)
    drawing, recognising = (functools.partial(probe, pair) for probe in probes)
    return (
        (DRAWER, Player(pair.drawer, bound, drawing)),
        (RECOGNISER, Player(pair.recogniser, bound, recognising)),
    )


def given(numbers: Any, sentences: Any, words: int) -> Any:
    """What a drawer is given [batch, numbers + length × words], each of mean square 1."""
    said = words**0.5 * jax.nn.one_hot(sentences, words)
    return jnp.concatenate([numbers, said.reshape(len(said), -1)], axis=-1)


def bound(scenes: Any, drawn: Any, means: Any, logs: Any) -> dict[str, Any]:
    """The bound's parts of each example [batch]: `loss`, per number of a scene, `square`,
    the mean square error, and `divergence` of what was recognised from the prior, in nats.

    scenes, drawn: [batch, …]. means, logs: of the numbers, and of their variances [batch,
    numbers]. Over the batch the loss is that of the best variance of pixels, log(mean
    square) / 2, up to a constant, and has its gradient.
    """
    wrong = jnp.square(drawn.reshape(scenes.shape) - scenes)
    square = jnp.mean(wrong.reshape(len(scenes), -1), axis=-1)
    best = jax.lax.stop_gradient(jnp.mean(square)) + LEAST
    divergence = jnp.sum(jnp.square(means) + jnp.exp(logs) - logs - 1, axis=-1) / 2
    loss = (jnp.log(best) + square / best - 1) / 2 + divergence / scenes[0].size
    return {"loss": loss, "square": square, "divergence": divergence}


def _halves(outputs: Any) -> tuple[Any, Any]:
    means, logs = jnp.split(outputs, 2, axis=-1)
    return means, jnp.clip(logs, *LOGS)


def _drawn(pair, nets, outputs, batch, key):
    """The bound's parts, of what a recogniser gave."""
    means, logs = _halves(outputs)
    noise = jax.random.normal(key, means.shape)
    asked = given(means + jnp.exp(logs / 2) * noise, batch["inputs"], pair.words)
    return bound(batch["targets"], nets[DRAWER](asked), means, logs)


def _bound(pair, nets, batch, key):
    return _drawn(pair, nets, nets[RECOGNISER](batch["targets"]), batch, key)


def _probed_drawer(pair, nets, batch):
    means, logs = _halves(nets[RECOGNISER](batch["targets"]))

    def loss(drawn):
        return jnp.mean(bound(batch["targets"], drawn, means, logs)["loss"])

    return given(means, batch["inputs"], pair.words), loss


def _probed_recogniser(pair, nets, batch):
    def loss(outputs):
        key = jax.random.key(0)
        return jnp.mean(_drawn(pair, nets, outputs, batch, key)["loss"])

    return batch["targets"], loss


class FittedSketcher(NamedTuple):
    """Both nets after training. log: each step's measures [steps], with the drawer's
    `loss`. diverged: as of FittedNet."""

    pair: Sketcher
    drawer: FittedNet
    recogniser: FittedNet
    log: Mapping[str, Any]
    diverged: int | None

    @property
    def grain(self) -> float:
        """The deviation of pixels from what is drawn, as training had it in the end."""
        return fits.at_end(self, f"{DRAWER} square") ** 0.5

    def scenes(self, sentences: np.ndarray, seed: int = 0) -> np.ndarray:
        """A scene [sentences, …] of each sentence [sentences, length], without grain;
        always the same of a seed."""
        random = np.random.RandomState(seed)
        numbers = random.standard_normal((len(sentences), self.pair.numbers))
        asked = given(numbers.astype(np.float32), sentences, self.pair.words)
        shape = self.pair.recogniser.task.shape
        return self.drawer.outputs(np.asarray(asked)).reshape(-1, *shape)


def train(
    pair: Sketcher,
    data: Batch,
    steps: int,
    rates: Sequence[float],
    seeds: Sequence[int],
) -> list[list[FittedSketcher]]:
    """Both nets after so many steps: of each rate its seeds."""
    ended = players.train(pair.players, data, steps, rates, seeds)
    return [[_trained(pair, one) for one in runs] for runs in ended]


def _trained(pair: Sketcher, ended: Ended) -> FittedSketcher:
    drawer, recogniser = (
        players.fitted(one, ended.state.tree[name]) for name, one in pair.players
    )
    log = {**ended.log, "loss": ended.log[f"{DRAWER} loss"]}
    return FittedSketcher(pair, drawer, recogniser, log, ended.diverged)


def beforehand(pair: Sketcher, data: Batch, seeds: int) -> fits.Beforehand:
    """The fresh drawer's gradient, and what a step of both nets costs."""
    return players.beforehand(pair.players, DRAWER, data, seeds)
