"""Lengths and gradient factors layer by layer, for plain, skipped or normalised nets.

Sources: Schoenholz et al. 2017, arXiv:1611.01232 (plain nets); Yang & Schoenholz 2017,
arXiv:1712.08969 (skip connections); Yang et al. 2019, arXiv:1902.08129 (batch norm).
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from depthbench.research.theory.activation import Activation
from depthbench.research.theory.quadrature import (
    HUGE,
    TINY,
    evaluate,
    moments,
    tabulated,
)

SETTLED = 1e-15  # a relative change of q below this ends the iteration


NORMALIZERS = ("none", "layer", "rms", "batch")  # those with a theory here


class Trajectory(NamedTuple):
    """length: q of every state [depth + 1]; chi: each layer's squared-gradient factor
    [depth]. A length above 1e30 is inf, with chi nan; below 1e-300 it is 0."""

    length: np.ndarray
    chi: np.ndarray


def batch_norm_rate(activation: Activation, batch: int | None = None) -> float:
    """The factor by which batch norm grows the squared gradient per layer.

    Batch norm gives φ a unit Gaussian. The next layer's variance over the batch is
    sigma_w2 Var[φ]: what all examples share, sigma_w2 E[φ]² + sigma_b2, is subtracted.
    Its gradient is sigma_w2 E[φ′²], divided by that variance when it is normalised. So
    the rate is E[φ′²] / Var[φ] at q = 1, at least 1 by the Poincaré inequality:
    π / (π - 1) for ReLU and 1 for a linear net (Yang et al. 2019).

    batch: None for infinitely many examples; at least 4, else ValueError. A unit's B
    normalised values are then a uniform direction among those that sum to 0, and their
    gradient loses that direction and its sum: (B - 2) / (B - 3) for a linear net.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> round(batch_norm_rate(ACTIVATIONS["linear"], 8), 9)
    1.2
    """
    if batch is None:
        at = moments(activation, 1.0)
        return float(at.dphi2 / (at.phi2 - at.mean**2))
    if batch <= 3:
        raise ValueError(f"batch norm's rate is infinite at {batch} examples or fewer")
    x, y, weight = _two_of(batch)
    (fx, dx), (fy, dy) = evaluate(activation, x), evaluate(activation, y)

    def apart(a: np.ndarray, b: np.ndarray) -> float:  # E[a²] - E[a b]
        return float(np.sum(weight * (a * a - a * b)))

    gradient = batch * float(np.sum(weight * dx * dx))
    gradient -= apart(dx, dy) + apart(x * dx, y * dy)
    return gradient / ((batch - 3) * apart(fx, fy))


@functools.cache
def _two_of(batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two of B normalised values, and weights: E over a uniform direction of sum 0.

    Both parts of (x, y), sum and difference, are two coordinates of a sphere in B - 1
    dimensions: their angle is uniform, and 1 - radius² a power of a uniform number.
    """
    w, weight = np.polynomial.laguerre.laggauss(48)
    radius = np.sqrt((batch - 1) * -np.expm1(-2 * w / (batch - 3)))[:, None]
    angle = (np.arange(4096) + 0.5) * (2 * math.pi / 4096)
    common = math.sqrt((batch - 2) / (batch - 1) / 2) * radius * np.cos(angle)
    difference = math.sqrt(batch / (batch - 1) / 2) * radius * np.sin(angle)
    shape = (w.size, angle.size)
    return (
        common + difference,
        common - difference,
        np.broadcast_to(weight[:, None] / 4096, shape),
    )


def _lengths(
    activation: Activation, q0: float, depth: int, keep: float, scale: float, add: float
) -> np.ndarray:
    """Q [depth + 1] of q′ = keep q + scale E[φ²](q) + add, from the table."""
    ln_phi2, edge = tabulated(activation).ln_phi2, math.log(TINY)
    # Below the table E[φ²] is a power of q: 0 if φ(0) is not 0, 1 for most, 2, ….
    bottom = float(ln_phi2(edge))
    power = round(float(ln_phi2(edge + 1)) - bottom)
    length = np.full(depth + 1, math.inf)
    q = length[0] = q0
    for layer in range(1, depth + 1):
        if q >= TINY:
            phi2 = math.exp(ln_phi2(math.log(q)))
        else:
            phi2 = math.exp(bottom) * (q / TINY) ** power
        following = keep * q + scale * phi2 + add
        if following > HUGE:
            break
        following = following if following > 1e-300 else 0.0  # no denormals
        length[layer] = following
        if abs(following - q) <= SETTLED * q:
            length[layer:] = following
            break
        q = following
    return length


def trajectory(
    activation: Activation,
    sigma_w2: float,
    sigma_b2: float,
    q0: float,
    depth: int,
    *,
    normalizer: str = "none",
    skip: float = 0.0,
    branch: float = 1.0,
) -> Trajectory:
    """The infinite-width profile of layers h′ = skip h + branch (W φ(norm(h)) + b).

    With no normaliser, E[h²] follows q′ = skip² q + branch² V(q), and a layer's factor
    is skip² + branch² sigma_w2 E[φ′²]. "layer" and "rms" give φ a unit Gaussian and
    divide the branch's gradient by q. "batch" has the factor `batch_norm_rate` of an
    infinite batch, from the second layer on that of every net; not with a skip.
    nan where φ oscillates too fast for its moments. Raises ValueError.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> trajectory(ACTIVATIONS["relu"], 1.0, 0.0, 8.0, 2).length.round(9).tolist()
    [8.0, 4.0, 2.0]
    """
    if depth < 0 or not 0 <= q0 < math.inf:
        raise ValueError(f"depth and q0 must not be negative: {depth}, {q0}")
    keep, scale, add = skip**2, branch**2 * sigma_w2, branch**2 * sigma_b2
    if normalizer == "none":
        length = _lengths(activation, q0, depth, keep, scale, add)
        finite = np.isfinite(length[:-1])
        # Moments level off at the ends, so any length may be looked up.
        ln_q = np.log(np.clip(np.where(finite, length[:-1], 1.0), TINY, HUGE))
        dphi2 = np.exp(tabulated(activation).ln_dphi2(ln_q))
        return Trajectory(length, np.where(finite, keep + scale * dphi2, math.nan))
    if normalizer not in NORMALIZERS:
        raise ValueError(f"no theory for the normalizer {normalizer!r}")
    at = moments(activation, 1.0)
    if normalizer == "batch":
        if skip != 0:
            raise ValueError("batch norm with a skip connection has no profile here")
        rate = batch_norm_rate(activation)
        length = np.full(depth + 1, scale * float(at.phi2) + add)
        length[0] = q0
        return Trajectory(length, np.full(depth, rate))
    if q0 == 0:
        raise ValueError("an input of length 0 cannot be normalised")
    layers, gain = np.arange(depth + 1), scale * float(at.phi2) + add
    if keep == 1:
        length = q0 + gain * layers
    else:
        with np.errstate(over="ignore"):
            powers = np.power(keep, layers)
        length = q0 * powers + gain * (powers - 1) / (keep - 1)
    return Trajectory(length, keep + scale * float(at.dphi2) / length[:-1])
