"""How much a number owes to the examples that it was measured on."""

from collections.abc import Callable
from typing import Any

from depthbench.research.lazy import lazily

with lazily():
    import numpy as np

DRAWS = 200  # of the examples; the error itself is then known to a twentieth


def error(number: Callable[[Any], float], examples: int, seed: int = 0) -> float:
    """The standard error of a number over draws of as many examples with replacement.

    number: from how often each example was drawn [examples] to the number. Efron 1979,
    Annals of Statistics 7:1.

    >>> right = np.arange(100) < 80  # a share: √(0.8 × 0.2 / 100)
    >>> round(error(lambda times: times @ right / 100, 100), 2)
    0.04
    """
    random = np.random.RandomState(seed)
    each = np.full(examples, 1 / examples)
    drawn = random.multinomial(examples, each, DRAWS)
    return float(np.std([number(times) for times in drawn], ddof=1))
