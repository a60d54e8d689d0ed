"""Names of states in the arrays that are kept beside a row."""

from collections.abc import Sequence

import numpy as np


def packed(names: Sequence[str]) -> np.ndarray:
    """Names as an array of bytes, which is what profiles are kept as."""
    return np.frombuffer("\n".join(names).encode(), np.uint8)


def unpacked(array: np.ndarray) -> list[str]:
    """The names in such an array.

    >>> unpacked(packed(["input", "block_0"]))
    ['input', 'block_0']
    """
    return array.tobytes().decode(errors="replace").split("\n")
