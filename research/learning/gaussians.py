"""Mixtures of Gaussians that examples are drawn from: the rival of generators.

Dempster, Laird & Rubin 1977, J. R. Stat. Soc. B 39:1; as scikit-learn fits them. Richardson
& Weiss 2018, arXiv:1805.12462, set them beside generative adversarial nets.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import sklearn.mixture as mixture

from depthbench.research.machine import threads

COVARIANCES = ("full", "tied")
ADDED = (1e-4, 1e-2, 1e-1)  # to variances, as a share of the mean one


class Gaussians(NamedTuple):
    """weights [components], means [components, …], roots [components, …, …]: a root of
    each covariance."""

    weights: np.ndarray
    means: np.ndarray
    roots: np.ndarray

    def samples(self, count: int, seed: int = 0) -> np.ndarray:
        """[count, features], always the same of a seed."""
        random = np.random.RandomState(seed)
        which = random.choice(len(self.weights), count, p=self.weights)
        noise = random.standard_normal((count, self.means.shape[1]))
        turned = np.einsum("nij,nj->ni", self.roots[which], noise)
        return (self.means[which] + turned).astype(np.float32)


@threads.single()
def fit(
    x: np.ndarray, components: int, covariance: str, added: float, seed: int = 0
) -> Gaussians:
    """The mixture of examples x [examples, features], from k-means of a seed.

    covariance: "full" of each its own, "tied" one for all. added: see ADDED.

    >>> x = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    >>> fit(x, 1, "full", 1e-3).means.round(3).tolist()
    [[1.0, 1.0]]
    """
    x = np.asarray(x, np.float64)
    found: Any = mixture.GaussianMixture(
        components,
        covariance_type=covariance,  # pyright: ignore[reportArgumentType]
        reg_covar=added * float(x.var(axis=0).mean()),
        random_state=seed,
    ).fit(x)
    each = np.broadcast_to(found.covariances_, (components, x.shape[1], x.shape[1]))
    return Gaussians(found.weights_, found.means_, np.linalg.cholesky(each))


def tuned(
    x: np.ndarray, components: int, distance: Callable[[np.ndarray], float], seeds: int
) -> list[Gaussians]:
    """Mixtures from so many seeds, of the form whose samples are the nearest by seed 0.

    distance: of samples, as many as examples, from what was held out of x.
    """
    forms = list(itertools.product(COVARIANCES, ADDED))
    first = [fit(x, components, *form) for form in forms]
    far = [distance(one.samples(len(x))) for one in first]
    best = int(np.argmin(far))
    others = [fit(x, components, *forms[best], seed=n) for n in range(1, seeds)]
    return [first[best], *others]
