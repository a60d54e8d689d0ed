"""Where a function of one number is not smooth, found by looking."""

from collections.abc import Callable
from typing import Any

import numpy as np

from depthbench.research.theory.activation import Activation
from depthbench.research.theory.edge import slope_of
from depthbench.research.theory.panels import evaluate

REACH, CELLS = 16.0, 4096  # kinks are looked for in -REACH to REACH, one in a cell
HALVINGS = 44
LEAST = 1e-6  # of a jump, of the largest value


def kinks(phi: Callable[[Any], Any]) -> tuple[float, ...]:
    """The points in [-16, 16] where φ, φ′ or φ″ jumps; of two closer than 1/128 one.

    Each cell of a grid is halved towards the larger change, down to the last digits: what
    changes still is a jump.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> [kinks(ACTIVATIONS[name].phi) for name in ("relu6", "elu", "tanh")]
    [(0.0, 6.0), (0.0,), ()]
    """
    plain = Activation("φ", phi, "looked at")
    bent = slope_of(plain)  # its own slope is φ″
    orders = ((plain, 0), (plain, 1), (bent, 1))
    points = [x for activation, order in orders for x in _jumps(activation, order)]
    rounded = sorted({_short(x) for x in points})
    return tuple(
        x for n, x in enumerate(rounded) if n == 0 or x - rounded[n - 1] > 1e-9
    )


def _jumps(activation: Activation, order: int) -> list[float]:
    """Where the derivative of this order jumps."""
    value = lambda x: evaluate(activation, x, order)[order]
    # No edge of a cell is a round number, as kinks are.
    edges = np.linspace(-REACH, REACH, CELLS + 1) + REACH / CELLS / np.pi
    low, high = edges[:-1], edges[1:]
    left, right = value(low), value(high)
    finite = np.abs(left[np.isfinite(left)])
    least = LEAST * max(1.0, float(finite.max(initial=0.0)))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        inner = value(middle)
        first = np.abs(inner - left) > np.abs(right - inner)
        low, high = np.where(first, low, middle), np.where(first, middle, high)
        left, right = np.where(first, left, inner), np.where(first, inner, right)
    jumping = np.abs(right - left) > least
    return ((low + high) / 2)[jumping].tolist()


def _short(x: float) -> float:
    """The number of few digits that x is but for rounding, or x."""
    brief = float(f"{x:.6g}") if abs(x) > 1e-9 else 0.0
    return brief if abs(x - brief) <= 1e-9 else x
