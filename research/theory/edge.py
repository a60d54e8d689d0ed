"""Correlations on the edge of chaos: there 1 - c falls as a power of depth.

At a length q that is kept, with χ₁ = 1, the c map is γ′ = γ - k γ^r in γ = 1 - c, to
leading order: r = 3/2 where φ′ jumps, and 2 where it does not. So γ falls as l^-2, as l^-1.

Source: Hayou, Doucet & Rousseau 2019, arXiv:1902.06853; the constants are derived here.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from depthbench.research.lazy import lazily
from depthbench.research.theory.activation import Activation, value_and_slope
from depthbench.research.theory.mean_field import length_map
from depthbench.research.theory.quadrature import evaluate, moments, pair

with lazily():
    import scipy.interpolate as interpolate

LEAST = 1e-12  # 1 - c where the tabulated map begins


class Decay(NamedTuple):
    """1 - c_l ~ constant · l^-power for large l."""

    power: int
    constant: float


@functools.cache
def slope_of(activation: Activation) -> Activation:
    """φ′ as an Activation; its own slope is φ″ away from the kinks.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> round(float(moments(slope_of(ACTIVATIONS["relu"]), 1.0).phi2), 9)  # of a step
    0.5
    """

    def slope(x):
        return value_and_slope(activation.phi, x)[1]

    return Activation(f"{activation.name}′", slope, activation.source, activation.kinks)


def jumps(activation: Activation) -> np.ndarray:
    """How far φ′ jumps at each kink [kinks]; 0 where only φ″ does.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> jumps(ACTIVATIONS["relu"]).round(9).tolist()
    [1.0]
    """
    kinks = np.asarray(activation.kinks, np.float64)
    if kinks.size == 0:
        return kinks
    apart = 1e-9 * np.maximum(np.abs(kinks), 1.0)
    left, right = (evaluate(activation, kinks + side)[1] for side in (-apart, apart))
    return np.where(np.abs(right - left) > 1e-6, right - left, 0.0)


def decay(activation: Activation, sigma_w2: float, q: float) -> Decay:
    """How 1 - c falls on the edge of chaos, where lengths stay at q.

    Where φ′ jumps by J at a, E[(φ′(u) - φ′(v))²]/2 is to leading order J²/2 times the
    chance that u and v lie on either side of a, p(a) E|u - v| = p(a) √(4 q γ/π), with p
    the density of N(0, q). Integrated over c it is the map's term k γ^(3/2), and γ ~
    4/(k l)²: 9π²/2 / l² for ReLU. Elsewhere k = sigma_w2 q E[φ″²] / 2, γ ~ 1/(k l).

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> round(decay(ACTIVATIONS["relu"], 2.0, 1.0).constant / (9 * math.pi**2 / 2), 9)
    1.0
    """
    jump2 = np.square(jumps(activation))
    if np.any(jump2 > 0):
        kinks = np.asarray(activation.kinks, np.float64)
        density = np.exp(-(kinks**2) / (2 * q)) / math.sqrt(2 * math.pi * q)
        k = 2 / 3 * sigma_w2 * math.sqrt(q / math.pi) * float(jump2 @ density)
        return Decay(2, 4 / k**2)
    curved = float(moments(slope_of(activation), q).dphi2)
    return Decay(1, 2 / (sigma_w2 * q * curved))


def correlations(
    activation: Activation,
    sigma_w2: float,
    sigma_b2: float,
    q: float,
    gap: float,
    depth: int,
) -> np.ndarray:
    """1 - c of every state [depth + 1], from `gap`; the length is q throughout.

    The map is tabulated: it is smooth in ln(1 - c), where thousands of layers are sums.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> path = correlations(ACTIVATIONS["relu"], 2.0, 0.0, q=1.0, gap=1.0, depth=1)
    >>> path.round(6).tolist()  # 1 - 1/π
    [1.0, 0.68169]
    """
    ln_gap = np.linspace(math.log(LEAST), math.log(min(2 * gap, 1.0)), 161)
    v = float(length_map(activation, sigma_w2, sigma_b2, q))
    following = [sigma_w2 * pair(activation, q, math.exp(g)) / v for g in ln_gap]
    # What is lost as a share is what must be accurate where γ is small.
    step = interpolate.make_interp_spline(ln_gap, np.log(following) - ln_gap, k=5)
    path = np.empty(depth + 1)
    path[0] = math.log(gap)
    for layer in range(depth):
        at = max(path[layer], ln_gap[0])  # below, the map is that of its slope at c = 1
        path[layer + 1] = path[layer] + float(step(at))
    return np.exp(path)
