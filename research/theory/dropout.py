"""Infinite-width theory of a net with dropout: a share `keep` of φ is kept, over keep.

h′ = W (m φ(h) / keep) + b with m ~ Bernoulli(keep), another for every unit and pass. Two
passes share W and b alone. So the length is that of sigma_w2 / keep, and of two
passes' covariance nothing is changed: even equal inputs have c < 1 a layer later.

Source: Schoenholz et al. 2017, arXiv:1611.01232, on dropout.
"""

import functools
from typing import NamedTuple

import numpy as np

from depthbench.research.lazy import lazily
from depthbench.research.theory.activation import Activation
from depthbench.research.theory.mean_field import depth_scale, fixed_point
from depthbench.research.theory.quadrature import moments, pair

with lazily():
    import scipy.optimize as optimize


class DropoutLayer(NamedTuple):
    """A layer's setting, and the length q that it keeps."""

    activation: Activation
    sigma_w2: float
    sigma_b2: float
    keep: float
    q: float


def layer(
    activation: Activation, sigma_w2: float, sigma_b2: float, keep: float
) -> DropoutLayer:
    """The DropoutLayer at its length's fixed point. ValueError unless keep is in (0, 1].

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> at = layer(ACTIVATIONS["linear"], 0.5, 0.5, keep=0.8)
    >>> round(at.q, 9)  # of q = 0.5 q / 0.8 + 0.5
    1.333333333
    """
    if not 0 < keep <= 1:
        raise ValueError(f"the share that is kept must be in (0, 1], not {keep}")
    q = fixed_point(activation, sigma_w2 / keep, sigma_b2).q
    return DropoutLayer(activation, sigma_w2, sigma_b2, keep, q)


def following(at: DropoutLayer, gap: float) -> float:
    """1 - c after the layer, of two passes whose correlation was c = 1 - gap.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> at = layer(ACTIVATIONS["linear"], 0.5, 0.5, keep=0.8)
    >>> round(following(at, 0.0), 9)  # 0.5 (1 / 0.8 - 1)
    0.125
    """
    activation, sigma_w2, sigma_b2, keep, q = at
    phi2 = float(moments(activation, q).phi2)
    v = sigma_w2 / keep * phi2 + sigma_b2
    masks = sigma_w2 * (1 / keep - 1) * phi2  # of the variance, that two passes lack
    return (masks + sigma_w2 * pair(activation, q, gap)) / v


@functools.lru_cache(4096)
def fixed_gap(at: DropoutLayer) -> float:
    """1 - c*: where two passes' correlation goes; 0 in an ordered net without dropout.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> at = layer(ACTIVATIONS["linear"], 0.5, 0.5, keep=0.8)
    >>> round(fixed_gap(at), 9)  # of γ = 0.5 γ + 0.125
    0.25
    """
    if at.keep == 1 and at.sigma_w2 * float(moments(at.activation, at.q).dphi2) <= 1:
        return 0.0
    if following(at, 1.0) >= 1:  # c = 0 is kept
        return 1.0

    # (1 - c′) / (1 - c) falls in √(1 - c), from ∞ with dropout.
    def spread(s: float) -> float:
        return following(at, s * s) / (s * s) - 1

    return float(optimize.brentq(spread, 1e-6, 1.0, xtol=1e-14)) ** 2  # pyright: ignore


def rate(at: DropoutLayer) -> float:
    """χ_c = sigma_w2 E[φ′(u)φ′(v)] at c*: a difference from c* falls by it a layer.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> at = layer(ACTIVATIONS["linear"], 0.5, 0.5, keep=0.8)
    >>> round(rate(at), 9)
    0.5
    """
    return at.sigma_w2 * pair(at.activation, at.q, fixed_gap(at), order=1)


def scale(at: DropoutLayer) -> float:
    """ξ_c = -1 / ln χ_c in layers: finite at any sigma_w2 with dropout.

    The c map is convex and leaves c = 1 downwards, so it meets c′ = c with a slope below
    1. Near the edge, with ε = sigma_w2 (1/keep - 1) E[φ²] / q and a smooth φ, to leading
    order ξ_c = (2 ε sigma_w2 q E[φ″²])^-½.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> at = layer(ACTIVATIONS["linear"], 0.5, 0.5, keep=0.8)
    >>> round(scale(at), 6)  # 1 / ln 2
    1.442695
    """
    return depth_scale(rate(at))


def gaps(at: DropoutLayer, gap: float, depth: int) -> np.ndarray:
    """1 - c of every state [depth + 1].

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> at = layer(ACTIVATIONS["linear"], 0.5, 0.5, keep=0.8)
    >>> gaps(at, 1.0, 2).round(9).tolist()
    [1.0, 0.625, 0.4375]
    """
    path = [gap]
    for _ in range(depth):
        path.append(min(following(at, path[-1]), 1.0))
    return np.array(path)


def longest(
    activation: Activation, sigma_b2: float, keep: float, sigma_w2: np.ndarray
) -> tuple[float, float]:
    """(ξ_c, sigma_w2) where ξ_c is longest on a grid of sigma_w2.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> xi_c, at = longest(ACTIVATIONS["linear"], 0.5, 0.8, np.array([0.3, 0.5]))
    >>> round(xi_c, 6), at
    (1.442695, 0.5)
    """
    scales = [scale(layer(activation, float(w), sigma_b2, keep)) for w in sigma_w2]
    best = int(np.argmax(scales))
    return scales[best], float(sigma_w2[best])
