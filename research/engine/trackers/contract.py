"""What a tracker is: an entry of the catalogue, and what is written to once it is open."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np


class Sink(Protocol):
    """A tracker that is open. Any call may raise, whatever its package raises."""

    def scalars(self, step: int, values: Mapping[str, float | str]) -> None:
        """Values of a step, by name: finite numbers, and words."""
        ...

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        """A picture, pixels [height, width, 3] of 8 bits."""
        ...

    def close(self) -> None:
        """Writes what is not written yet."""
        ...


class Tracker(NamedTuple):
    """An entry. package: the module that has to be installed. The file of its name in this
    folder has `opened(folder, title) -> Sink`, of a folder that is there."""

    name: str
    source: str
    package: str
