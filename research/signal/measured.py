"""What one cell of a study gave."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

SURVIVES = 3.0  # decades between first and last gradient: a factor of 1,000


class Measured(NamedTuple):
    """What one cell gave.

    status: "ok", or why there is no full result; reason says it in a sentence.
    values: numbers, names and None by column; never nan (None, and a reason).
    profiles: arrays by name, for figures; kept beside the row.
    """

    status: str
    reason: str
    values: Mapping[str, Any]
    profiles: Mapping[str, np.ndarray] = {}
