"""Imports that are made when they are first used.

Importing jax takes longer than answering `--help` or a mistyped name should. A file
that declares a study or a catalogue's entries writes its costly imports in a block:

    with lazily():
        import jax
        from depthbench.research.signal import probes

Type checkers, editors and whatever else reads the source see plain imports there.
"""

import builtins
import contextlib
import importlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

_ONE_BLOCK = threading.RLock()  # blocks of several threads come one after the other
_ONE_IMPORT = threading.RLock()  # and so do the imports that were put off


def _of(name: str, attribute: str) -> Any:
    """An attribute of a module, which is imported where it is not yet.

    Where modules import each other, two threads that each begin with another of them
    would meet: Python then raises an error in one, or gives it a half of the other's. A
    module that has its own lazy parts imports them when it is asked for them.
    """
    module = sys.modules.get(name)
    ready = module and not getattr(module.__spec__, "_initializing", False)
    if ready and attribute in vars(module):
        return vars(module)[attribute]
    with _ONE_IMPORT:
        return getattr(importlib.import_module(name), attribute)


class Lazy:
    """A module that is imported when an attribute of it is first used.

    path: of `import a.b.c`, all of it; `a` is then asked for what is on the way.
    """

    def __init__(self, name: str, path: str = ""):
        self._name, self._path = name, path

    def __getattr__(self, attribute: str) -> Any:
        inner = f"{self._name}.{attribute}"
        if f"{self._path}.".startswith(f"{inner}."):
            return Lazy(inner, self._path)
        return _of(self._name, attribute)

    def __repr__(self) -> str:
        return f"Lazy({self._name!r})"


class _Package:
    """What `from package import module` takes its modules from."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return Lazy(f"{self._name}.{attribute}")


@contextlib.contextmanager
def lazily() -> Iterator[None]:
    """Puts off the imports that are written in the block, and no others.

    `import a`, `import a.b as c` and `from a import b`, where b is a module.

    >>> with lazily():
    ...     import colorsys
    >>> colorsys
    Lazy('colorsys')
    >>> colorsys.rgb_to_hls(0.0, 0.0, 0.0)
    (0.0, 0.0, 0.0)
    """
    block = sys._getframe(2).f_globals["__name__"]
    thread = threading.get_ident()
    with _ONE_BLOCK:
        eager = builtins.__import__

        def put_off(name, globals=None, locals=None, fromlist=(), level=0):
            # Imports of other files and threads, meanwhile, are none of this block's.
            here = globals is not None and globals.get("__name__") == block
            if not (here and threading.get_ident() == thread):
                return eager(name, globals, locals, fromlist, level)
            if fromlist:
                return _Package(name)
            return Lazy(name.partition(".")[0], name)

        builtins.__import__ = put_off
        try:
            yield
        finally:
            builtins.__import__ = eager
