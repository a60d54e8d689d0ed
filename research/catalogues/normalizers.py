"""Normalisers: what a layer subtracts and divides by before its activation."""

from collections.abc import Callable
from typing import Any, NamedTuple

from depthbench.research.catalogues.catalogue import Catalogue, Own
from depthbench.research.lazy import lazily

with lazily():
    import jax.numpy as jnp

EPSILON = 1e-5
Statistics = Callable[[Any], tuple[Any, Any]]


class Normalizer(NamedTuple):
    """A normaliser, told by its statistics.

    statistics: from h [batch, …, features] to (mean, variance) that broadcast with h;
      None leaves h as it is.
    running: the statistics mix the examples of a batch, so averages are kept for later.
      They are asked of h less a constant near its mean.
    """

    name: str
    statistics: Statistics | None
    source: str
    running: bool = False


def _over_batch(h):
    """E[h²] − E[h]²: one pass, whose digits cancel only where the mean is large.

    Rounding must not leave less than nothing: a root is taken.
    """
    axes = tuple(range(h.ndim - 1))
    mean = jnp.mean(h, axes, keepdims=True)
    variance = jnp.mean(jnp.square(h), axes, keepdims=True) - jnp.square(mean)
    return mean, jnp.maximum(variance, 0.0)


def _over_features(h):
    mean = jnp.mean(h, -1, keepdims=True)
    return mean, jnp.mean(jnp.square(h - mean), -1, keepdims=True)


def _root_mean_square(h):
    return jnp.zeros_like(h[..., :1]), jnp.mean(jnp.square(h), -1, keepdims=True)


NORMALIZERS: Catalogue[Normalizer] = Catalogue(
    "normalizer",
    [
        Normalizer("none", None, "no normalisation"),
        Normalizer(
            "batch",
            _over_batch,
            "Ioffe & Szegedy 2015, arXiv:1502.03167",
            running=True,
        ),
        Normalizer(
            "layer",
            _over_features,
            "Ba, Kiros & Hinton 2016, arXiv:1607.06450",
        ),
        Normalizer(
            "rms",
            _root_mean_square,
            "Zhang & Sennrich 2019, arXiv:1910.07467",
        ),
    ],
    own=Own(Normalizer),
)
