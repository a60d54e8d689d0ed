"""What tests of plugins share: a folder of modules, and catalogues as they were before."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from depthbench.research.catalogues import modules, origins
from depthbench.research.catalogues.initializers import DRAWS
from depthbench.research.study import plugins
from depthbench.research.study.studies import claims, studies

ACTS = """
import jax.numpy as jnp

from depthbench.research.catalogues.activations import Activation
from depthbench.research.catalogues.schedules import Schedule

def bent(x):
    return jnp.maximum(x, 0.25 * x) + jnp.maximum(x - 1.5, 0)

def shared(x):
    return x / jnp.sum(x)

def halved(x):
    return x[::2]

def rooted(x):
    return jnp.sqrt(x)

def broken(x):
    raise RuntimeError("no such thing")

BENT = Activation("bent_own", bent, "a test", kinks=(0.0, 1.5))
ENTRIES = (BENT, Schedule("flat_own", lambda done: 0 * done + 0.5, "a test"))
"""


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """After it, catalogues and modules are what they were."""
    catalogues = [*plugins.CATALOGUES.values(), studies()]
    stores = [part for c in catalogues for part in (c._entries, c._places, c._wrapped)]
    stores += [plugins.PLUGINS, modules.IMPORTED, origins.FINDER.folders, DRAWS]
    before, known = [dict(store) for store in stores], set(sys.modules)
    try:
        yield
    finally:
        for store, contents in zip(stores, before, strict=True):
            store.clear()
            store.update(contents)
        claims.cache_clear()
        for name in set(sys.modules) - known:
            inner = vars(sys.modules[name])
            places = [inner.get("__file__"), *(inner.get("__path__") or ())]
            if any("pytest-" in str(place) for place in places):
                del sys.modules[name]


def written(
    folder: Path, slashed: dict[str, str] | None = None, /, **texts: str
) -> Path:
    """The folder with a module of each name; slashed: of names with slashes."""
    for name, text in {**(slashed or {}), **texts}.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    return folder
