"""Arrays that Orbax has written: the newest step of a folder, or one of its items."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.files.quiet import quietly
from depthbench.research.lazy import lazily
from depthbench.research.models.taken import line_of

with lazily():
    import jax
    import numpy as np
    import orbax.checkpoint as ocp

# Where training loops keep parameters in what they save, and Orbax an item.
INSIDE = ("params", "state", "model", "train_state", "variables", "nnx_state")
ITEMS = ("default", "state", "params", "model", "pytree")
SIGNS = ("_METADATA", "manifest.ocdbt", "_CHECKPOINT_METADATA", "_sharding")


def tree(path: str | os.PathLike[str]) -> Any:
    """The arrays of the folder, as they were saved. Raises Mistake."""
    folder = Path(path).expanduser().absolute()
    if not folder.is_dir():
        raise Mistake(f"params: {path}: no such folder")
    try:
        with quietly():
            return _read(_item(folder))
    except Exception as error:  # Orbax may raise anything
        raise Mistake(
            f"params: {path}: Orbax cannot read it: {line_of(error)}"
        ) from None


def _read(folder: Path) -> Any:
    reader = ocp.PyTreeCheckpointer()
    item = reader.metadata(folder).item_metadata
    if item is None:
        raise ValueError("it is no checkpoint, nor has it one")
    # As NumPy's, on whatever devices the arrays were.
    plain = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), item.tree)
    return reader.restore(folder, restore_args=plain)


def _item(folder: Path) -> Path:
    """The folder of one item: of several steps the newest's."""
    steps = [each for each in folder.iterdir() if each.name.isdecimal()]
    if steps and not _is_item(folder):
        folder = max(steps, key=lambda each: int(each.name))
    inner = [folder / name for name in ITEMS if (folder / name).is_dir()]
    if inner and not (folder / "manifest.ocdbt").exists():
        return next(filter(_is_item, inner), folder)
    return folder


def _is_item(folder: Path) -> bool:
    return any((folder / name).exists() for name in SIGNS)


def candidates(tree: Any) -> list[Any]:
    """The trees within that a model's parameters may be, the whole first.

    >>> candidates({"params": {"w": 1}, "step": 3})
    [{'params': {'w': 1}, 'step': 3}, {'w': 1}]
    """
    trees, level = [tree], [tree]
    for _ in range(2):
        level = [
            each[name]
            for each in level
            if isinstance(each, Mapping)
            for name in INSIDE
            if name in each
        ]
        trees += level
    return trees
