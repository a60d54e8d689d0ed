"""Modules that are imported when they are first used.

Importing jax takes longer than answering `--help` or a mistyped name should, so
everything a declaration needs (catalogues, studies) holds jax by this handle.
"""

import importlib
from typing import Any


class Lazy:
    """A handle on a module that imports it when an attribute is read."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)

    def __repr__(self) -> str:
        return f"Lazy({self._name!r})"


def lazy(name: str) -> Any:
    """A handle on module `name`, imported at first use.

    >>> math = lazy("math")
    >>> math.sqrt(4.0)
    2.0
    """
    return Lazy(name)
