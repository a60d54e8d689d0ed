"""A fixed judge of generated images: a trained net whose weights are known by a hash.

The Fréchet distance compares the last hidden states of real and of made examples (Heusel
et al. 2017, arXiv:1706.08500, with another net in place of Inception). A distance means
nothing without its judge: its digest belongs in the row, and beside the distance belong
that of training from test examples, the floor, and a simple rival's.
"""

import functools
import hashlib
from typing import NamedTuple

import jax
import numpy as np

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.learning import fits, held_out
from depthbench.research.learning.fits import FittedNet, Net
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task

RECIPE = Recipe(architecture="mlp", depth=2, width=64, learning_rate=1e-3, batch=64)
STEPS = 1500
DIGITS = 12  # of the digest


class Judge(NamedTuple):
    """A classifier that has been trained once and is never changed.

    digest: the first digits of the SHA-256 of its variables, in order.
    """

    fit: FittedNet
    digest: str

    def features(self, x: np.ndarray) -> np.ndarray:
        """[examples, features]: what its last hidden layer says; of a convolutional
        net's the mean over pixels, as its head takes it."""
        state = self.fit.states(x)[-1]
        return state.reshape(len(state), -1, state.shape[-1]).mean(axis=1)

    def classes(self, x: np.ndarray) -> np.ndarray:
        """[examples]: the class that each is taken for."""
        return self.fit.outputs(x).argmax(axis=-1)

    def distance(self, real: np.ndarray, made: np.ndarray) -> float:
        """The Fréchet distance of made from real examples, by its features."""
        return frechet(self.features(real), self.features(made))


def judge(dataset: str, data_dir: str | None = None) -> Judge:
    """The judge of a data set of classes, trained on what others are trained on."""
    return _judge(dataset, data_dir)


@functools.cache
def _judge(dataset: str, data_dir: str | None) -> Judge:
    parts = held_out.parts(dataset, data_dir=data_dir)
    net = Net(RECIPE, Task(parts.shape, parts.classes))
    (fit,) = fits.train(net, parts.train.batch, STEPS, (RECIPE.learning_rate,), 1)
    return Judge(fit, digest(fit))


def digest(fit: FittedNet) -> str:
    """The first digits of the SHA-256 of a net's variables, leaf by leaf."""
    leaves = jax.tree.leaves(jax.device_get(fit.variables))
    content = hashlib.sha256()
    for leaf in leaves:
        content.update(f"{leaf.dtype}{leaf.shape}".encode())
        content.update(np.ascontiguousarray(leaf).data)
    return content.hexdigest()[:DIGITS]


def frechet(one: np.ndarray, other: np.ndarray) -> float:
    """The Fréchet distance of the Gaussians with the moments of two samples.

    |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½), of features [examples, features] each. Dowson &
    Landau 1982, J. Multivariate Analysis 12:450. Raises DataError unless both are finite,
    of two examples or more, and of one number of features.

    >>> points = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    >>> frechet(points, points + 3.0)
    18.0
    """
    pair = [np.asarray(a, np.float64) for a in (one, other)]
    shapes = " and ".join(str(list(a.shape)) for a in pair)
    if (
        any(a.ndim != 2 or len(a) < 2 for a in pair)
        or pair[0].shape[1] != pair[1].shape[1]
    ):
        raise DataError(
            f"frechet: features are {shapes}; must be [2 or more, features]"
        )
    if not all(np.isfinite(a).all() for a in pair):
        raise DataError("frechet: a feature is not finite")
    means = [a.mean(axis=0) for a in pair]
    first, second = (np.atleast_2d(np.cov(a, rowvar=False)) for a in pair)
    # tr (Σ₁Σ₂)^½ is that of Σ₁^½ Σ₂ Σ₁^½, which is symmetric: no complex root appears.
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ second @ root)
    shared = np.sum(np.sqrt(np.maximum(inner, 0)))
    apart = np.sum((means[0] - means[1]) ** 2)
    total = apart + np.trace(first) + np.trace(second) - 2 * shared
    return float(max(round(total, 9), 0.0))
