"""How much a number owes to the examples that it was measured on."""

import math
from collections.abc import Callable
from typing import Any

from depthbench.research.lazy import lazily

with lazily():
    import numpy as np

DRAWS = 200  # of the examples; the error itself is then known to a twentieth


def error(
    number: Callable[[Any], float], examples: int, seed: int = 0, groups: Any = None
) -> float:
    """The standard error of a number over draws of as many examples with replacement.

    number: from how often each example was drawn [examples] to the number. groups: which
    examples are drawn together [examples], all alone unless given; of few groups the
    error is made larger by √(groups / (groups − 1)). Efron 1979, Annals of Statistics 7:1.

    >>> right = np.arange(100) < 80  # a share: √(0.8 × 0.2 / 100)
    >>> round(error(lambda times: times @ right / 100, 100), 2)
    0.04
    """
    if groups is None:
        count, place, larger = examples, np.arange(examples), 1.0
    else:
        names, place = np.unique(groups, return_inverse=True)
        count = len(names)
        larger = math.sqrt(count / (count - 1)) if count > 1 else math.nan
    random = np.random.RandomState(seed)
    drawn = random.multinomial(count, np.full(count, 1 / count), DRAWS)[:, place]
    return larger * float(np.std([number(times) for times in drawn], ddof=1))
