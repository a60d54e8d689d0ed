"""From scene to sentence: a net that reads, and a recurrent one that says what was read.

Vinyals, Toshev, Bengio & Erhan 2015, arXiv:1411.4555 (Show and Tell): a convolutional net
reads an image, and a recurrent one, which is given what was read and the word before,
says the next. Both nets descend the words' cross-entropy, by one gradient.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.catalogues.losses import LOSSES
from depthbench.research.datasets.captions import START
from depthbench.research.learning import fits, players
from depthbench.research.learning.fits import FittedNet, Net
from depthbench.research.learning.players import Player, Players
from depthbench.research.learning.sweeps import Ended
from depthbench.research.learning.system import Batch, System

READER, WRITER = "reader", "writer"


class Captioner(NamedTuple):
    """A net that reads, and one that writes. words: how many there are.

    A batch has `inputs`, what is read [batch, …], and `targets`, words [batch, length].
    """

    reader: Net
    writer: Net
    words: int

    @property
    def players(self) -> Players:
        return _players(self)

    @property
    def system(self) -> System:
        """Both nets' training."""
        return players.system(self.players)


@functools.lru_cache(maxsize=64)
def _players(pair: Captioner) -> Players:
    loss, probes = functools.partial(_loss, pair), (_probed_reader, _probed_writer)
    reading, writing = (functools.partial(probe, pair) for probe in probes)
    return (
        (READER, Player(pair.reader, loss, reading)),
        (WRITER, Player(pair.writer, loss, writing)),
    )


def given(read: Any, before: Any, words: int) -> Any:
    """What a writer is given at each step: the word before, and what was read.

    read: [batch, features]; before: [batch, length]. [batch, length, words + features]
    """
    said = words**0.5 * jax.nn.one_hot(before, words)
    wide = (*said.shape[:2], read.shape[-1])
    return jnp.concatenate([said, jnp.broadcast_to(read[:, None], wide)], axis=-1)


def _late(words: Any) -> Any:
    """The words before each: a start, and all but the last."""
    return jnp.concatenate([jnp.full_like(words[:, :1], START), words[:, :-1]], axis=1)


def _asked(pair: Captioner, read: Any, batch: Batch) -> Any:
    return given(read, _late(batch["targets"]), pair.words)


def _wrong(outputs: Any, batch: Batch) -> Any:
    return LOSSES["tokens"].loss(outputs, batch)


def _loss(pair, nets, batch, key):
    outputs = nets[WRITER](_asked(pair, nets[READER](batch["inputs"]), batch))
    return {"loss": _wrong(outputs, batch)}


def _probed_reader(pair, nets, batch):
    def loss(read):
        return jnp.mean(_wrong(nets[WRITER](_asked(pair, read, batch)), batch))

    return batch["inputs"], loss


def _probed_writer(pair, nets, batch):
    asked = _asked(pair, nets[READER](batch["inputs"]), batch)
    return asked, lambda outputs: jnp.mean(_wrong(outputs, batch))


class FittedCaptioner(NamedTuple):
    """Both nets after training. log: each step's measures [steps], with the writer's
    `loss`. diverged: as of FittedNet."""

    pair: Captioner
    reader: FittedNet
    writer: FittedNet
    log: Mapping[str, Any]
    diverged: int | None

    def sentences(self, x: np.ndarray) -> np.ndarray:
        """Words [examples, length], each the likeliest after those that were said."""
        said = _greedy(self.pair)
        return fits.in_parts(said, (self.reader.variables, self.writer.variables), x)


@functools.lru_cache(maxsize=32)
def _greedy(pair: Captioner) -> Any:
    """(both nets' variables, x) -> words [examples, length], jitted."""
    length = pair.writer.task.shape[0]

    @jax.jit
    def said(variables, x):
        reader, writer = (
            players.applied(net, own)
            for net, own in zip((pair.reader, pair.writer), variables, strict=True)
        )
        read = reader(x)

        def one(step, words):
            outputs = writer(given(read, _late(words), pair.words))
            return words.at[:, step].set(outputs[:, step].argmax(axis=-1))

        return jax.lax.fori_loop(0, length, one, jnp.zeros((len(x), length), int))

    return said


def train(
    pair: Captioner,
    data: Batch,
    steps: int,
    rates: Sequence[float],
    seeds: Sequence[int],
    capacity: int = 0,
) -> list[list[FittedCaptioner]]:
    """Both nets after so many steps: of each rate its seeds.

    capacity: as of `sweeps.ended`.
    """
    ended = players.train(pair.players, data, steps, rates, seeds, capacity)
    return [[_trained(pair, one) for one in runs] for runs in ended]


def _trained(pair: Captioner, run: Ended) -> FittedCaptioner:
    nets, log = players.ended(pair.players, run, f"{WRITER} loss")
    return FittedCaptioner(pair, nets[READER], nets[WRITER], log, run.diverged)


def beforehand(pair: Captioner, data: Batch, seeds: int) -> fits.Beforehand:
    """The fresh reader's gradient, and what a step of both nets costs."""
    return players.beforehand(pair.players, READER, data, seeds)
