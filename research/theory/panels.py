"""φ on the host in double precision, and Gauss-Legendre rules of many panels."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from depthbench.research.lazy import lazily
from depthbench.research.theory.activation import Activation, on_host, value_and_slope

with lazily():
    import jax

# Arrays of these sizes only, so that an activation is compiled at most three times.
SMALLEST, LARGEST = 2**12, 2**14
# A panel is halved at most so often, and there are at most so many of them at a time:
# enough for a jump between panels, and for sin at √q = 3,000.
HALVINGS, PANELS = 40, 2**13


class Unresolved(ArithmeticError):
    """φ oscillates or bends faster than can be integrated."""


@functools.cache
def _program(activation: Activation, order: int) -> Callable:
    """A compiled x [n] -> (φ,) or (φ, φ′), each [n]."""
    if order == 0:
        return jax.jit(lambda x: (activation.phi(x),))
    return jax.jit(functools.partial(value_and_slope, activation.phi))


def evaluate(activation: Activation, x: np.ndarray, order: int = 1) -> tuple:
    """(φ(x), …, its derivatives up to `order` 0 or 1), float64, each of x's shape.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> phi, slope = evaluate(ACTIVATIONS["relu"], [-1.0, 2.0])
    >>> phi.tolist(), slope.tolist()
    ([0.0, 2.0], [0.0, 1.0])
    """
    x = np.asarray(x, np.float64)
    flat, parts = x.ravel(), []
    program = _program(activation, order)
    with jax.enable_x64(True), on_host() as cpu:
        for start in range(0, max(flat.size, 1), LARGEST):
            piece = flat[start : start + LARGEST]
            size = SMALLEST if piece.size <= SMALLEST else LARGEST
            padded = np.zeros(size)
            padded[: piece.size] = piece
            parts.append((piece.size, program(jax.device_put(padded, cpu))))
        parts = [(n, jax.device_get(values)) for n, values in parts]
    return tuple(
        np.concatenate([values[k][:n] for n, values in parts]).reshape(x.shape)
        for k in range(order + 1)
    )


@functools.cache
def _legendre(order: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(order)


def rule(breaks: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes z and weights of E over z ~ N(0, 1), each [..., panels · order].

    breaks: [..., panels + 1] in any order. The weights sum to 1 in every row.

    >>> z, weight = rule(np.linspace(-10, 10, 41), 12)
    >>> round(float(weight @ z**4), 12)
    3.0
    """
    breaks = np.sort(breaks, axis=-1)
    half = np.diff(breaks)[..., None] / 2
    t, w = _legendre(order)
    z = breaks[..., :-1, None] + half * (1 + t)
    weight = half * w * np.exp(-z * z / 2)
    shape = (*breaks.shape[:-1], -1)
    z, weight = z.reshape(shape), weight.reshape(shape)
    return z, weight / weight.sum(axis=-1, keepdims=True)


@functools.cache
def _last_modes(order: int) -> np.ndarray:
    t, _ = _legendre(order)
    degrees = np.arange(order - 2, order)
    return np.polynomial.legendre.legvander(t, order - 1)[:, -2:] * (degrees + 0.5)


def tail(weighted: np.ndarray, order: int) -> np.ndarray:
    """How much of each panel's integral lies in the last two polynomials it can see.

    weighted: [..., panels · order], a rule's weights times the values. Returned:
    [..., panels]. Where the integrand is smooth on a panel this is about the square
    root of the rule's relative error, and where it oscillates faster it is large.

    >>> z, weight = rule(np.linspace(-10, 10, 21), 16)
    >>> [bool(tail(weight * np.cos(k * z), 16).sum() > 0.01) for k in (1, 40)]
    [False, True]
    """
    return np.abs(in_panels(weighted, order) @ _last_modes(order)).sum(-1)


def in_panels(values: np.ndarray, order: int) -> np.ndarray:
    """Values at a rule's nodes [..., panels · order] as [..., panels, order].

    >>> in_panels(np.arange(6), 3).tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    return values.reshape(*values.shape[:-1], -1, order)


class Halved(NamedTuple):
    """Expectations over x = scale · z, z ~ N(0, 1), and the finest panel's width in z."""

    phi2: float  # E[φ²]
    dphi2: float  # E[φ′²]
    curvature: float  # E[φφ′x] / scale²
    mean: float  # E[φ]
    finest: float


def halved(
    activation: Activation, scale: float, breaks: np.ndarray, order: int
) -> Halved | None:
    """Panels are halved until each is resolved: finest where φ bends most.

    breaks: [panels + 1]. None where that takes too many panels, or does not end.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> round(halved(ACTIVATIONS["sin"], 100.0, np.linspace(-10, 10, 9), 16).phi2, 9)
    0.5
    """
    breaks = np.unique(breaks)
    low, high = breaks[:-1], breaks[1:]
    t, w = _legendre(order)
    sums, finest = np.zeros(5), float((high - low).min())
    for _ in range(HALVINGS):
        half = (high - low)[:, None] / 2
        z = low[:, None] + half * (1 + t)
        weight = half * w * np.exp(-z * z / 2)
        phi, dphi = evaluate(activation, scale * z)
        values = np.stack([phi**2, dphi**2, phi * dphi * z / scale, phi, z * 0 + 1])
        parts = (weight * values).sum(-1)
        seen = parts[:2]
        lost = tail(weight * values[:2], order)[..., 0]
        whole = sums[:2] + seen.sum(-1)
        coarse = ((lost > 1e-6 * seen) & (lost > 1e-12 * whole[:, None])).any(0)
        sums += parts[:, ~coarse].sum(-1)
        if not coarse.any():
            return Halved(*map(float, sums[:4] / sums[4]), finest=finest)
        middle = (low + high)[coarse] / 2
        finest = min(finest, float((high - low)[coarse].min()) / 2)
        low, high = (
            np.concatenate([low[coarse], middle]),
            np.concatenate([middle, high[coarse]]),
        )
        if low.size > PANELS:
            break
    return None
