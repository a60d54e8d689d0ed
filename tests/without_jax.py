"""Reports are made without jax: what asks for it while one is written is told so.

In a process of its own that would be seen by itself; but every test that writes a report
has just used jax to measure its rows.
"""

import ast
import builtins
import contextlib
import functools
import threading
from collections.abc import Iterator
from pathlib import Path

from depthbench.research import lazy

ROOT = Path(__file__).resolve().parents[1]
JAX = {"jax", "jaxlib", "flax", "optax", "orbax"}


class NeedsJax(AssertionError):
    """A report asked for jax, or for a module that imports it."""


def _at_once(body: list[ast.stmt]) -> Iterator[str]:
    """What a module's statements import when it is imported itself."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield node.module
        elif isinstance(node, ast.ClassDef | ast.Try) or (
            isinstance(node, ast.With) and "lazily" not in ast.unparse(node.items[0])
        ):
            yield from _at_once(node.body)


@functools.cache
def imports(name: str) -> frozenset[str]:
    """What a module of ours imports when it is imported; nothing of any other."""
    path = ROOT / name.replace(".", "/")
    files = [path.with_suffix(".py"), path / "__init__.py"]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return frozenset()
    return frozenset(_at_once(ast.parse(file.read_text(encoding="utf-8")).body))


@functools.cache
def needs_jax(name: str) -> bool:
    """Whether importing a module imports jax."""
    reached, todo = {name}, [name]
    while todo:
        fresh = imports(todo.pop()) - reached
        reached |= fresh
        todo += fresh
    return any(each.partition(".")[0] in JAX for each in reached)


@contextlib.contextmanager
def without_jax() -> Iterator[None]:
    """Raises NeedsJax where this thread imports jax, or uses a lazy import of it."""
    thread = threading.get_ident()
    resolve, imported = lazy.Lazy.__getattr__, builtins.__import__

    def check(*names: str) -> None:
        needing = [name for name in names if needs_jax(name)]
        if needing and threading.get_ident() == thread:
            raise NeedsJax(f"a report needs {needing[0]}, which imports jax")

    def getattribute(self, attribute):
        check(self._name)
        return resolve(self, attribute)

    def importing(name, globals=None, locals=None, fromlist=(), level=0):
        if (globals or {}).get("__name__", "").partition(".")[0] not in JAX:
            check(name, *(f"{name}.{each}" for each in fromlist or ()))
        return imported(name, globals, locals, fromlist, level)

    lazy.Lazy.__getattr__ = getattribute
    builtins.__import__ = importing
    try:
        yield
    finally:
        lazy.Lazy.__getattr__, builtins.__import__ = resolve, imported
