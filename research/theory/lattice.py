"""Expectations of a smooth φ that oscillates, by sums over evenly spaced points.

Over two wide Gaussians φ would need panels in two directions. A sum over a lattice
converges exponentially where φ is smooth, and the average over one of the Gaussians
is then a convolution, which a fast Fourier transform does for all points at once.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from depthbench.research.theory.activation import Activation
from depthbench.research.theory.panels import Unresolved, evaluate, halved

REACH = 13.5  # above 9√2: 9 deviations of each of the two Gaussians
FINEST = 2**20  # points
HERMITE = 32  # nodes across a Gaussian that is narrow on φ's scale
ORDER = 16  # nodes of a panel that finds this scale
DENSITY = 8  # points on such a panel: four times what φ² needs there


class Points(NamedTuple):
    """x [points] within REACH √q, [φ, φ′] there, and E[φ²] at q."""

    x: np.ndarray
    values: np.ndarray
    phi2: float


@functools.lru_cache(2)
def _points(activation: Activation, q: float) -> Points:
    """As close together as the finest panel of φ² and φ′² asks for.

    Raises Unresolved when these are more than FINEST, as where φ has kinks.
    """
    found = halved(activation, np.sqrt(q), np.linspace(-10, 10, 41), ORDER)
    size = (
        FINEST + 1 if found is None else math.ceil(2 * REACH * DENSITY / found.finest)
    )
    if found is None or size > FINEST:
        raise Unresolved(f"φ varies too fast for two inputs of length q = {q:.6g}")
    size = 2 ** math.ceil(math.log2(size))  # which the Fourier transform likes
    x = np.linspace(-REACH, REACH, size, endpoint=False) * np.sqrt(q)
    return Points(x, np.stack(evaluate(activation, x)), found.phi2)


def _weights(x: np.ndarray, variance: float) -> np.ndarray:
    weight = np.exp(-x * x / (2 * variance))
    return weight / weight.sum()


@functools.cache
def _hermite() -> tuple[np.ndarray, np.ndarray]:
    z, weight = np.polynomial.hermite_e.hermegauss(HERMITE)
    return z, weight / weight.sum()


def pair(activation: Activation, q: float, gap: float, order: int) -> float:
    """What `quadrature.pair` gives, for a smooth φ that oscillates.

    Raises Unresolved.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> round(pair(ACTIVATIONS["sin"], 1e4, 1e-4, order=1), 9)  # e⁻¹ / 2
    0.183939721
    """
    x, values, phi2 = _points(activation, q)
    f, step = values[order], x[1] - x[0]
    shared, separate = q * (1 - gap), q * gap  # variances
    narrow = (2 * step) ** 2  # too narrow for the lattice, which resolves φ on it
    z, weight = _hermite()
    if separate < narrow:
        # Squares of differences from the middle: nothing cancels as gap → 0.
        mean, square = np.zeros_like(f), np.zeros_like(f)
        for shift, share in zip(z * np.sqrt(separate), weight, strict=True):
            apart = evaluate(activation, x + shift, order)[order] - f
            mean += share * apart
            square += share * apart**2
        over_z = (f + mean) ** 2 if order == 1 else square - mean**2
        return float(_weights(x, shared) @ over_z)
    if shared < narrow:
        inner = _weights(x, separate)
        shifted = (x + shift for shift in z * np.sqrt(shared))
        means = [inner @ evaluate(activation, at, order)[order] for at in shifted]
        product = float(weight @ np.square(means))
    else:
        frequency = 2 * np.pi * np.fft.rfftfreq(x.size, step)
        smooth = np.fft.rfft(f) * np.exp(-separate * frequency**2 / 2)
        mean = np.fft.irfft(smooth, x.size)
        product = float(_weights(x, shared) @ mean**2)
    return product if order == 1 else phi2 - product
