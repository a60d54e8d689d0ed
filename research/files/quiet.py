"""Libraries that read files, without the advice that they log meanwhile."""

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keeps back what is below an error in absl's log: Orbax's warnings of each file that
    it tries, and tensorflow_datasets' advice to install yet another package.

    >>> with quietly():
    ...     logging.getLogger("absl").warning("this is not seen")
    """
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
