"""Features without labels, without layers: k-means of an image's patches.

Coates, Ng & Lee 2011, AISTATS (PMLR 15:215): patches are normalised and whitened and
grouped by k-means; a patch anywhere in an image is described by how much nearer than
the average each centroid is, and these are added up over the image's four quarters.
"""

from typing import Any, NamedTuple

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.lazy import lazily
from depthbench.research.machine import threads

with lazily():
    import numpy as np
    import sklearn.cluster as cluster

SAMPLED = 20_000  # patches that centroids are learned from, at most
CONTRAST, SMALL = 0.1, 0.1  # added to a patch's variance, and to the whitened variances
AT_A_TIME = 500  # images that are described in one piece


class Centroids(NamedTuple):
    """Centroids of whitened patches.

    side: of a patch, in pixels. mean [numbers], whitening [numbers, numbers]: of patches
    of normal contrast. centroids: [count, numbers].
    """

    side: int
    mean: Any
    whitening: Any
    centroids: Any

    def features(self, x: Any) -> Any:
        """[images, 4 · count] of x [images, height, width, channels], float32."""
        parts = [x[at : at + AT_A_TIME] for at in range(0, len(x), AT_A_TIME)]
        return np.concatenate([self._described(part) for part in parts])

    def _described(self, x: Any) -> Any:
        cut = cut_out(x, self.side)
        images, down, right, _ = cut.shape
        each = (contrast(cut.reshape(-1, cut.shape[-1])) - self.mean) @ self.whitening
        near = triangle(each, self.centroids).reshape(images, down, right, -1)
        return np.concatenate(
            [
                near[:, rows, columns].sum(axis=(1, 2))
                for rows in _halves(down)
                for columns in _halves(right)
            ],
            axis=1,
        ).astype(np.float32)


@threads.single()
def learn(x: Any, side: int, count: int, seed: int = 0) -> Centroids:
    """Centroids of the patches of x [images, height, width, channels].

    side: of a patch. count: centroids. Raises DataError for patches that do not fit an
    image twice in each direction, and for more centroids than patches.

    >>> x = np.random.RandomState(0).normal(size=(20, 6, 6, 1))
    >>> learn(x, side=3, count=4).features(x).shape
    (20, 16)
    """
    x = np.asarray(x, np.float64)
    if x.ndim != 4 or not 1 <= side < min(x.shape[1:3]):
        shape = list(x.shape[1:])
        raise DataError(f"patches of {side} × {side} pixels do not fit into {shape}")
    random = np.random.RandomState(seed)
    each = cut_out(x[random.permutation(len(x))[:SAMPLED]], side)
    each = each.reshape(-1, each.shape[-1])
    if len(each) < count:
        raise DataError(f"{count} centroids of {len(each)} patches; must be fewer")
    each = contrast(each[random.permutation(len(each))[:SAMPLED]])
    mean, whitening = whitener(each)
    groups = cluster.KMeans(count, n_init="auto", max_iter=50, random_state=seed)
    groups.fit((each - mean) @ whitening)
    return Centroids(side, mean, whitening, groups.cluster_centers_)


def cut_out(x: Any, side: int) -> Any:
    """Every patch of images [images, height, width, channels]: [images, down, right,
    side · side · channels]."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(1, 2))
    return np.moveaxis(windows, 3, -1).reshape(*windows.shape[:3], -1)


def contrast(each: Any) -> Any:
    """Patches [patches, numbers] without their mean, and divided by their deviation."""
    each = each - each.mean(axis=1, keepdims=True)
    return each / np.sqrt(each.var(axis=1, keepdims=True) + CONTRAST)


def whitener(each: Any) -> tuple[Any, Any]:
    """(mean [numbers], whitening [numbers, numbers]) of patches [patches, numbers].

    After it numbers are uncorrelated, with variances v / (v + SMALL) in the directions
    of the principal components.
    """
    mean = each.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(each, rowvar=False, bias=True))
    scale = 1 / np.sqrt(np.maximum(variances, 0) + SMALL)
    return mean, (directions * scale) @ directions.T


def triangle(each: Any, centroids: Any) -> Any:
    """max(0, mean distance − distance) of patches to each centroid [patches, count]."""
    squares = np.sum(each**2, axis=1)[:, None] + np.sum(centroids**2, axis=1)
    apart = np.sqrt(np.maximum(squares - 2 * each @ centroids.T, 0))
    return np.maximum(apart.mean(axis=1, keepdims=True) - apart, 0)


def _halves(length: int) -> tuple[slice, slice]:
    return slice(0, length - length // 2), slice(length - length // 2, length)
