"""Rows of plain nets whose lengths have arrived where theory ends: χ₁'s own scope."""

import math
from collections.abc import Mapping
from typing import Any

ARRIVED = 0.2  # decades between a length and its fixed point that count as none
DEEP = 50  # layers, over which a rate can be told from the ends of a net
# Decades per layer: 5 % of the gradient. 64 units miss by up to 5/(4·64·ln 10) = 0.0085.
RATE_WITHIN = 0.02


def arrived(row: Mapping[str, Any]) -> bool:
    """Whether a deep plain net's length ends, by theory, at a finite fixed point.

    >>> arrived({"log10_length_theory": -0.05, "q_star": 1.0, "depth": 64})
    True
    """
    length, q_star, depth = (
        row[name] for name in ("log10_length_theory", "q_star", "depth")
    )
    if length is None or not isinstance(q_star, int | float) or depth < DEEP:
        return False
    return 0 < q_star < math.inf and abs(length - math.log10(q_star)) < ARRIVED
