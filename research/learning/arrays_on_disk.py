"""Named arrays in a folder, as Orbax writes and reads them."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from depthbench.research.lazy import lazily
from depthbench.research.learning import sharding
from depthbench.research.learning.forms import Form, is_key

with lazily():
    import orbax.checkpoint as ocp


def _not_of_orbax(record: logging.LogRecord) -> bool:
    return f"{os.sep}orbax{os.sep}" not in record.pathname


def orbax() -> Any:
    """Orbax, which may raise errors but not log them: dozens of tracebacks for one."""
    v1 = ocp.v1  # absl must make its logger before it can be looked up by name
    logging.getLogger("absl").addFilter(_not_of_orbax)
    return v1


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays that nobody else uses; in one process."""
    v1 = orbax()
    context = v1.Context()
    context.array.saving.use_compression = False  # weights hardly shrink
    context.memory.deepcopy_host_arrays = False  # they are a copy: 5 times faster
    with context:
        v1.save(path, _not_empty(arrays))


def begin(path: Path, arrays: Mapping[str, Any]) -> Any:
    """Begins to write arrays that are split over processes; in all of them at once.

    Orbax first sends between devices, so that this must be done between two steps, and
    copies the shards: NumPy's view of a CPU's keeps jax from giving their memory away.
    `result()` of what is returned waits, in any thread, until all processes have written.
    """
    v1 = orbax()
    context = v1.Context()
    context.array.saving.use_compression = False
    with context:
        return v1.save_async(path, _not_empty(arrays))


def _not_empty(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Orbax does not take empty arrays; a form says all of them."""
    return {name: x for name, x in arrays.items() if x.size}


def read_whole(
    path: Path, forms: list[Form], keys: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """All of every array, typed keys by their data. keys: their generators, by name."""
    npz = path.with_suffix(".npz")
    if npz.is_file():  # by one process of several, before Orbax wrote their shards
        return _read_npz(npz, forms)
    likes = {form.name: _like(form, keys.get(form.name)) for form in forms}
    return _load(path, likes)


def read_placed(path: Path, named: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays placed as those of this name; a process reads no more than its shards.

    Typed keys are read as their data.
    """

    def like(x: Any) -> Any:
        if not isinstance(x, jax.Array):
            return x
        form = jax.eval_shape(jax.random.key_data, x) if is_key(x) else x
        return jax.ShapeDtypeStruct(form.shape, form.dtype, sharding=x.sharding)

    return _load(path, {name: like(x) for name, x in named.items()})


def _load(path: Path, likes: Mapping[str, Any]) -> dict[str, Any]:
    v1 = orbax()
    context = v1.Context()  # each process by itself: none waits for another
    context.multiprocessing.active_processes = {jax.process_index()}
    context.multiprocessing.primary_host = jax.process_index()
    with context:
        loaded = v1.load(path, _not_empty(likes))
    return {
        name: loaded[name] if like.size else _empty(like)
        for name, like in likes.items()
    }


def _empty(like: Any) -> Any:
    """An array without numbers, placed as `like`."""
    empty = np.zeros(like.shape, like.dtype)
    placed = isinstance(like, jax.ShapeDtypeStruct)
    return sharding.put(empty, like.sharding) if placed else empty


def _like(form: Form, generator: str | None) -> np.ndarray:
    """An array of this form, by a key's data where it is one, that takes no memory."""
    shape, dtype = form.shape, form.dtype
    if generator is not None:
        key = jax.eval_shape(
            lambda: jax.random.key_data(jax.random.key(0, impl=generator))
        )
        shape, dtype = (*shape, *key.shape), key.dtype
    return np.broadcast_to(np.zeros((), jax.numpy.dtype(dtype)), shape)


def _read_npz(path: Path, forms: list[Form]) -> dict[str, np.ndarray]:
    named = sorted(forms, key=lambda form: form.name)
    with np.load(path, allow_pickle=False) as file:
        arrays = [file[f"arr_{number}"] for number in range(len(named))]
    # NumPy keeps a bfloat16 as two bytes without a name.
    return {
        form.name: x.view(form.dtype) if x.dtype.kind == "V" else x
        for form, x in zip(named, arrays, strict=True)
    }
