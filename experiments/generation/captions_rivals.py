"""Scenes for sentences without a net: known ones, stencils, and a mixture of Gaussians.

Tipping & Bishop 1999, Neural Computation 11:443: the mixture is of principal components,
and what they leave is the same noise in all pixels. It has one mixture for each sentence.
"""

from typing import Any, NamedTuple

import numpy as np

from depthbench.research.datasets import captions
from depthbench.research.datasets.captions import Captioned
from depthbench.research.learning import gaussians

DIRECTIONS = 100  # principal components of scenes
COMPONENTS = (4, 16, 32)  # of a sentence's mixture, which are chosen from
ADDED = 1e-2  # to variances, as a share of the mean one


def picked(known: Captioned, words: np.ndarray, seed: int = 0) -> np.ndarray:
    """For each sentence [sentences, words] a known scene that has it, or most of it."""
    return known.x[captions.alike(known.words, words, np.random.RandomState(seed))]


class Directions(NamedTuple):
    """The principal components of scenes. middle [numbers]; ways [components, numbers];
    grain: the deviation that they leave in every number."""

    middle: np.ndarray
    ways: np.ndarray
    grain: float


def directions(x: np.ndarray) -> Directions:
    """Of scenes [scenes, …]: so many that at least one is left out."""
    flat = x.reshape(len(x), -1).astype(np.float64)
    middle = flat.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(flat, rowvar=False))
    kept = min(DIRECTIONS, len(x) // 2, len(values) - 1)
    left = np.maximum(values[:-kept], 0).mean()
    return Directions(middle, vectors[:, -kept:].T, float(left**0.5))


class Mixtures(NamedTuple):
    """A mixture for each sentence that is known. words [sentences, words]."""

    found: Directions
    words: np.ndarray
    mixtures: list[gaussians.Gaussians]

    def scenes(self, words: np.ndarray, shape: Any, seed: int = 0) -> np.ndarray:
        """A scene of this shape for each sentence, of the mixture that is nearest."""
        random = np.random.RandomState(seed)
        place = captions.alike(self.words, words, random)
        codes = np.empty((len(words), len(self.found.ways)))
        for number in np.unique(place):
            own = np.flatnonzero(place == number)
            draw = random.randint(2**31)
            codes[own] = self.mixtures[number].samples(len(own), draw)
        made = self.found.middle + codes @ self.found.ways
        made += self.found.grain * random.standard_normal(made.shape)
        return made.reshape(-1, *shape).astype(np.float32)


def fitted(train: Captioned, components: int, seed: int = 0) -> Mixtures:
    """The mixtures of so many components; of fewer where there are few scenes.

    Sentences of a single scene have none."""
    found = directions(train.x)
    flat = train.x.reshape(len(train.x), -1)
    codes = (flat - found.middle) @ found.ways.T
    words, place, count = np.unique(
        train.words, axis=0, return_inverse=True, return_counts=True
    )
    known = np.flatnonzero(count > 1)
    each = [
        gaussians.fit(
            codes[place.reshape(-1) == n],
            int(min(components, count[n] // 2)),
            "tied",
            ADDED,
            seed,
        )
        for n in known
    ]
    return Mixtures(found, words[known], each)


def tuned(train: Captioned, valid: Captioned, right: Any) -> Mixtures:
    """The mixtures of the number of components whose scenes are right most often.

    right: of scenes and the part that they were made for, the share that is right.
    """
    tried = [fitted(train, components) for components in COMPONENTS]
    shape = train.x.shape[1:]
    return max(tried, key=lambda one: right(one.scenes(valid.words, shape), valid))
