"""A fixed judge of drawn scenes: a net that was taught what real ones show.

Its weights are hashed, as `research.learning.judge` has it for a data set of classes.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

from depthbench.research.architectures.convolutional import pooled
from depthbench.research.catalogues.losses import Loss
from depthbench.research.datasets import captions
from depthbench.research.datasets.captions import Captioned
from depthbench.research.datasets.scenes import COLOURS, SHAPES
from depthbench.research.learning import fits
from depthbench.research.learning.judge import Judge, digest
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task

RECIPE = Recipe(
    architecture="detector_residual",
    depth=1,
    width=24,
    learning_rate=3e-3,
    batch=64,
    schedule="cosine",
)
KINDS = (len(COLOURS), len(SHAPES), 4)  # of colour, shape and quarter
CUTS = tuple(np.cumsum(KINDS)[:-1].tolist())


def _wrong(outputs: Any, batch: Any) -> Any:
    """The sum of the cross-entropies of colour, shape and quarter [batch]."""
    entropy = optax.softmax_cross_entropy_with_integer_labels
    each = jnp.split(outputs, CUTS, axis=-1)
    return sum(entropy(one, batch["targets"][:, n]) for n, one in enumerate(each))


LOSS = Loss("colour, shape and quarter", _wrong, "the sum of three cross-entropies")


def standard(x: np.ndarray, mean: np.ndarray, deviation: float) -> np.ndarray:
    """Scenes as nets read them."""
    return ((x - mean) / deviation).astype(np.float32)


class SceneJudge(NamedTuple):
    """A judge of scenes, which reads them with the mean 0 and the deviation 1."""

    judge: Judge
    mean: np.ndarray
    deviation: float

    def read(self, x: np.ndarray) -> np.ndarray:
        return standard(x, self.mean, self.deviation)

    def sentences(self, x: np.ndarray) -> np.ndarray:
        """What it sees in scenes [scenes, side, side, 3], as words [scenes, words]."""
        each = np.split(self.judge.fit.outputs(self.read(x)), CUTS, axis=-1)
        return captions.written(*(one.argmax(axis=-1) for one in each))

    def features(self, x: np.ndarray) -> np.ndarray:
        """[scenes, features] of its last state, which distances are of."""
        return self.judge.features(self.read(x))

    def distance(self, real: np.ndarray, made: np.ndarray) -> float:
        """The Fréchet distance of made from real scenes."""
        return self.judge.distance(self.read(real), self.read(made))


def taught(train: Captioned, steps: int) -> SceneJudge:
    """The judge that so many steps on scenes and what they show make."""
    moments = train.x.mean(axis=(0, 1, 2)), float(train.x.std())
    targets = np.stack([train.colour, train.shape, train.quarter], axis=1)
    data = {"inputs": standard(train.x, *moments), "targets": targets.astype(np.int32)}
    net = fits.Net(RECIPE, Task(train.x.shape[1:], sum(KINDS), LOSS, pooled.closer))
    (fit,) = fits.train(net, data, steps, (RECIPE.learning_rate,), 1)
    return SceneJudge(Judge(fit, digest(fit)), *moments)
