"""From a sentence to a scene: a net that draws, and one that recognises in training.

A conditional variational autoencoder (Sohn, Lee & Yan 2015, NIPS, section 4.1), whose
prior does not depend on the sentence. The drawer is given the sentence's words and
Gaussian numbers for what no sentence says; in training these come from the recogniser,
which sees the scene. Both descend the bound with the variance of pixels at its optimum,
the mean square error of the batch (Rybkin, Daniilidis & Levine 2021, arXiv:2006.13202),
so that no weight is to be chosen between error and divergence.

What is recognised in scenes of one sentence is not spread as the prior is: a quarter
that the sentence names decides where the object may be. So numbers are drawn from a
Gaussian for each sentence, of what was recognised in the scenes that were learned from
(Ghosh, Sajjadi, Vergari, Black & Schölkopf 2020, arXiv:1903.12436, ex-post density).
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
FEW = 4  # scenes of a sentence for each number, of whose spread a Gaussian can be made
BEYOND = 1e3  # what a net that has diverged recognises; what it draws is no scene
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


class Codes(NamedTuple):
    """Gaussians of the numbers that no sentence says, one for each known sentence.

    sentences: [known, length]. means: [known + 1, numbers], the last of all scenes.
    roots: of covariances [known + 1, numbers, numbers], lower triangles.
    """

    sentences: np.ndarray
    means: np.ndarray
    roots: np.ndarray

    def drawn(self, asked: np.ndarray, seed: int) -> np.ndarray:
        """Numbers [sentences, numbers] for those asked [sentences, length]."""
        places = {tuple(words): n for n, words in enumerate(self.sentences.tolist())}
        every = len(self.sentences)
        own = [places.get(tuple(words), every) for words in asked.tolist()]
        random = np.random.RandomState(seed)
        noise = random.standard_normal((len(asked), self.means.shape[1]))
        spread = np.einsum("nij,nj->ni", self.roots[own], noise)
        return (self.means[own] + spread).astype(np.float32)


def codes(means: np.ndarray, logs: np.ndarray, sentences: np.ndarray) -> Codes:
    """The Codes of what was recognised in scenes [scenes, numbers], by their sentences.

    A sentence of fewer than FEW scenes for each number has the Gaussian of all scenes.
    """
    known, place = np.unique(sentences, axis=0, return_inverse=True)
    whole = np.ones(len(sentences), bool)
    parts = [place.reshape(-1) == n for n in range(len(known))]
    enough = FEW * means.shape[1]
    parts = [own if own.sum() >= enough else whole for own in parts]
    each = [_gaussian(means[own], logs[own]) for own in (*parts, whole)]
    return Codes(known, *(np.stack(array) for array in zip(*each, strict=True)))


def _gaussian(means: np.ndarray, logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean, root of the covariance) of Gaussians' mixture in equal parts."""
    within, among = np.diag(np.exp(logs).mean(axis=0)), np.cov(means.T, bias=True)
    return means.mean(axis=0), np.linalg.cholesky(np.float64(within + among))


class FittedSketcher(NamedTuple):
    """Both nets after training, and the numbers of the scenes they were trained on.

    log: each step's measures [steps], with the drawer's `loss`. diverged: as of
    FittedNet.
    """

    pair: Sketcher
    drawer: FittedNet
    recogniser: FittedNet
    codes: Codes
    log: Mapping[str, Any]
    diverged: int | None

    @property
    def grain(self) -> float:
        """The deviation of pixels from what is drawn, as training had it in the end."""
        return fits.at_end(self, f"{DRAWER} square") ** 0.5

    def scenes(self, sentences: np.ndarray, seed: int = 0) -> np.ndarray:
        """A scene [sentences, …] of each sentence [sentences, length], without grain;
        always the same of a seed."""
        numbers = self.codes.drawn(sentences, seed)
        asked = given(numbers, sentences, self.pair.words)
        shape = self.pair.recogniser.task.shape
        return self.drawer.outputs(np.asarray(asked)).reshape(-1, *shape)


def train(
    pair: Sketcher,
    data: Batch,
    steps: int,
    rates: Sequence[float],
    seeds: Sequence[int],
    capacity: int = 0,
) -> list[list[FittedSketcher]]:
    """Both nets after so many steps: of each rate its seeds.

    capacity: as of `sweeps.ended`.
    """
    ended = players.train(pair.players, data, steps, rates, seeds, capacity)
    return [[_trained(pair, data, one) for one in runs] for runs in ended]


def _trained(pair: Sketcher, data: Batch, run: Ended) -> FittedSketcher:
    nets, log = players.ended(pair.players, run, f"{DRAWER} loss")
    found = nets[RECOGNISER].outputs(data["targets"])
    found = np.clip(np.nan_to_num(found), -BEYOND, BEYOND)
    numbers = codes(*map(np.asarray, _halves(found)), np.asarray(data["inputs"]))
    return FittedSketcher(
        pair, nets[DRAWER], nets[RECOGNISER], numbers, log, run.diverged
    )


def beforehand(pair: Sketcher, data: Batch, seeds: int) -> fits.Beforehand:
    """The fresh drawer's gradient, and what a step of both nets costs."""
    return players.beforehand(pair.players, DRAWER, data, seeds)
