"""The form of a pytree of arrays: names, dtypes and shapes; and its digest.

By these a state on disk is compared with the one that is wanted.
"""

import hashlib
import json
from typing import Any, NamedTuple

import jax
import numpy as np


class Mismatch(ValueError):
    """A checkpoint of another state: another architecture, width, optimizer or key."""


class Form(NamedTuple):
    """What an array is, apart from its numbers."""

    name: str  # params.stages[0].kernel
    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


def _name(path: tuple[Any, ...]) -> str:
    """A leaf's place as one would write it: params.stages[0].kernel."""
    words = []
    for part in path:
        if isinstance(part, jax.tree_util.GetAttrKey):
            words.append(f".{part.name}")
            continue
        key = part.idx if isinstance(part, jax.tree_util.SequenceKey) else part.key
        plain = isinstance(key, str) and key.isidentifier()
        words.append(f".{key}" if plain else f"[{key!r}]")
    return "".join(words).removeprefix(".") or "state"


def named_arrays(state: Any) -> dict[str, Any]:
    """Every array by its name. Raises TypeError for a leaf that is not an array."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    named = {_name(path): leaf for path, leaf in leaves}
    for name, leaf in named.items():
        if not (hasattr(leaf, "dtype") and hasattr(leaf, "shape")):
            raise TypeError(f"{name} is {type(leaf).__name__}, not an array")
    return named


def forms_of(named: dict[str, Any]) -> list[Form]:
    """The form of each array."""
    return [Form(n, str(x.dtype), tuple(x.shape)) for n, x in named.items()]


def is_key(leaf: Any) -> bool:
    """Whether it is an array of typed PRNG keys."""
    return jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def on_host(named: dict[str, Any]) -> dict[str, np.ndarray]:
    """The arrays' numbers in host memory; on a CPU they may share the device's."""
    plain = {n: jax.random.key_data(x) if is_key(x) else x for n, x in named.items()}
    return jax.device_get(plain)


def digest(state: Any) -> str:
    """SHA-256 of a pytree of arrays: its names, dtypes, shapes and bytes, in 64 digits.

    Typed keys count by their data. Where the arrays are placed does not count.
    """
    named = named_arrays(state)
    return digest_of(forms_of(named), on_host(named))


def digest_of(forms: list[Form], arrays: dict[str, np.ndarray]) -> str:
    """`digest` of the arrays of these forms, which are in host memory."""
    total = hashlib.sha256(json.dumps(forms).encode())
    for form in forms:
        flat = np.ascontiguousarray(arrays[form.name]).reshape(-1)
        total.update(flat.view(np.uint8).data)
    return total.hexdigest()


def placed(array: np.ndarray, like: Any, generator: str | None) -> Any:
    """The array as `like` is: in NumPy, or on the devices of its sharding."""
    if isinstance(like, np.ndarray | np.generic):
        return array
    value = array
    if generator is not None:
        value = jax.random.wrap_key_data(jax.numpy.asarray(array), impl=generator)
    # An array that was free to move stays so: commitment would recompile the step.
    bound = getattr(like, "committed", True)
    return jax.device_put(value, like.sharding if bound else None)


def compare(saved: list[Form], wanted: list[Form]) -> None:
    """Raises Mismatch, which names the first array that differs."""
    there = {form.name: form for form in saved}
    for form in wanted:
        stored = there.pop(form.name, None)
        if stored is None:
            raise Mismatch(f"{form.name} is missing; it should be {form}")
        if stored != form:
            if stored.dtype == form.dtype:
                raise Mismatch(
                    f"{form.name} is {list(stored.shape)}, not {list(form.shape)}"
                )
            raise Mismatch(f"{form.name} is {stored}, not {form}")
    for form in there.values():
        raise Mismatch(f"{form.name} is {form}, and has no place here")
