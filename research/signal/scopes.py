"""The names of stretches of equations, by the `jax.named_scope`s that these are from."""

import functools
import itertools
from collections.abc import Sequence

from depthbench.research.signal import liveness
from depthbench.research.signal.equations import Equation


def names(parts: Sequence[Sequence[Equation]]) -> list[str]:
    """A name of each stretch: the scope that its products share, "block_7/mlp"."""
    scopes = []
    for part in parts:
        mixing = [e for e in part if liveness.mixes(e.eqn)] or part
        each = [_clean(e.scope) for e in mixing]
        scopes.append(_common(each))
    shared = len(_common([s for s in scopes if s]))
    made = [
        "/".join(scope[shared:]) or f"step_{i}" for i, scope in enumerate(scopes, 1)
    ]
    # A name that comes again is that of a deeper scope's own end, or of a loop.
    times: dict[str, int] = {}
    for place, name in enumerate(made):
        times[name] = times.get(name, 0) + 1
        if times[name] > 1:
            made[place] = f"{name}:{times[name]}"
    return made


def _common(scopes: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """What all begin with."""
    columns = itertools.takewhile(lambda c: len({*c}) == 1, zip(*scopes, strict=False))
    return tuple(column[0] for column in columns)


@functools.lru_cache(maxsize=4096)
def _clean(scope: str) -> tuple[str, ...]:
    """The scope's names, without those of jax's own transformations.

    An iteration, "[3]", goes to the name behind it: nn.scan names its body alone.
    """
    names: list[str] = []
    number = ""
    for part in scope.split("/"):
        if part.startswith("["):
            number += part
        elif part and "(" not in part:
            names.append(part + number)
            number = ""
    if number:
        names[-1:] = [(names or ["scan"])[-1] + number]
    return tuple(names)
