"""The covariance of an infinitely wide network's outputs: that of a Gaussian process.

Inputs x of mean square 1, as the digits are, have one length q in all layers; of two, only
the correlation c differs, and the kernel is a function of that of the inputs alone.

Sources: Neal 1996, Bayesian Learning for Neural Networks; Lee et al. 2018,
arXiv:1711.00165, section 2 (the recursion).
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import Chebyshev

from depthbench.research.lazy import lazily
from depthbench.research.theory.activation import Activation
from depthbench.research.theory.lengths import check
from depthbench.research.theory.mean_field import scale_free
from depthbench.research.theory.quadrature import moments, pair

with lazily():
    import scipy.interpolate as interpolate

NODES = 17  # of a layer's map: in the angle of two inputs it is smooth, kinks or not
GRID = 1601  # of the whole net's, which bends more the deeper it is
SETTLED = 1e-9  # relative change of a length from which on it is taken for the limit


class DeepKernel(NamedTuple):
    """What the outputs of a net of some depth have in common.

    angle: of two inputs, arccos of Σ x x′ / d [GRID]. correlation: of their last hidden
    states [GRID]. length: of a hidden state. product, square: E[φ(u)φ(v)] [GRID] and
    E[φ(u)²] of the last states, which the outputs' covariance is with weights of size 1.
    """

    angle: np.ndarray
    correlation: np.ndarray
    length: float
    product: np.ndarray
    square: float

    def covariance(self, x: Any, others: Any) -> np.ndarray:
        """Of the outputs at x [n, …] and others [m, …]: [n, m], 1 on the diagonal.

        Both of mean square 1.

        >>> from depthbench.research.catalogues.activations import ACTIVATIONS
        >>> x = np.array([[1.0, 1.0], [1.0, -1.0]])
        >>> kernel(ACTIVATIONS["relu"], 2.0, 0.0, 0).covariance(x, x).round(6).tolist()
        [[1.0, 0.31831], [0.31831, 1.0]]
        """
        return interpolate.CubicSpline(self.angle, self.product / self.square)(
            angles(x, others)
        )

    def correlations(self, x: Any, others: Any) -> np.ndarray:
        """Of the last hidden states at x and others [n, m].

        >>> from depthbench.research.catalogues.activations import ACTIVATIONS
        >>> x = np.array([[1.0, 1.0], [1.0, -1.0]])
        >>> relu = kernel(ACTIVATIONS["relu"], 2.0, 0.0, 1)
        >>> relu.correlations(x, x).round(6).tolist()
        [[1.0, 0.31831], [0.31831, 1.0]]
        """
        return interpolate.CubicSpline(self.angle, self.correlation)(angles(x, others))


def angles(x: Any, others: Any) -> np.ndarray:
    """arccos Σ x x′ / d of inputs of mean square 1, [n, m]. Raises ValueError of others.

    >>> x = np.array([[1.0, 1.0], [1.0, -1.0]])
    >>> (angles(x, x) / np.pi).tolist()
    [[0.0, 0.5], [0.5, 0.0]]
    """
    one, other = (np.asarray(a, np.float64).reshape(len(a), -1) for a in (x, others))
    for each in (one, other):
        if (
            np.max(np.abs(np.mean(each**2, axis=1) - 1)) > 1e-4
        ):  # float32's, of 64 pixels
            raise ValueError("inputs must have a mean square of 1 each")
    return np.arccos(np.clip(one @ other.T / one.shape[1], -1, 1))


def kernel(
    activation: Activation, sigma_w2: float, sigma_b2: float, depth: int
) -> DeepKernel:
    """Of a stem, so many hidden layers h′ = W φ(h) + b after it, and a head.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> linear = kernel(ACTIVATIONS["linear"], 1.0, 0.0, 5)
    >>> bool(np.allclose(linear.correlation, np.cos(linear.angle)))
    True
    """
    check(sigma_w2, sigma_b2)
    angle = np.linspace(0, np.pi, GRID)
    q = sigma_w2 + sigma_b2
    c = (sigma_w2 * np.cos(angle) + sigma_b2) / q
    for _ in range(depth):
        product, square = _products(activation, q, c)
        v = sigma_w2 * square + sigma_b2
        c = np.clip((sigma_w2 * product + sigma_b2) / v, -1, 1)
        q = q if abs(v / q - 1) < SETTLED else v
    product, square = _products(activation, q, c)
    return DeepKernel(angle, c, q, product, square)


def _products(activation: Activation, q: float, c: np.ndarray) -> tuple[Any, float]:
    """(E[φ(u)φ(v)] [as c], E[φ²]) at lengths q."""
    scale = q if scale_free(activation) else 1.0
    curve, square = _curve(activation, q / scale)
    return scale * curve(np.arccos(c)), scale * square


@functools.lru_cache(4096)
def _curve(activation: Activation, q: float) -> tuple[Chebyshev, float]:
    """(E[φ(u)φ(v)] as a polynomial of the angle, E[φ²])."""
    square = float(moments(activation, q).phi2)

    def products(angle: np.ndarray) -> np.ndarray:
        gaps = 1 - np.cos(angle)
        lost = [pair(activation, q, min(float(gap), 2.0)) for gap in gaps]
        return square - np.array(lost)

    return Chebyshev.interpolate(products, NODES - 1, (0, np.pi)), square
