"""A search for the deepest net that trains, on a grid of depths half an octave apart."""

from collections.abc import Callable
from typing import NamedTuple


class Ladder(NamedTuple):
    """rungs: depths that double; grid: those, and one between any two; all allowed."""

    rungs: tuple[int, ...]
    grid: tuple[int, ...]


class Found(NamedTuple):
    """deepest: the deepest that was seen to train, 0 for none. fails_at: the next that
    was seen to fail, None for none. probed: what was asked, in that order."""

    deepest: int
    fails_at: int | None
    probed: dict[int, bool]

    @property
    def steady(self) -> bool:
        """Whether no net that failed is shallower than one that trains."""
        failed = [depth for depth, good in self.probed.items() if not good]
        return all(depth > self.deepest for depth in failed)

    def summary(self) -> str:
        """What was asked, by depth: "1+ 2+ 3- 4-"."""
        marks = {True: "+", False: "-"}
        return " ".join(f"{d}{marks[self.probed[d]]}" for d in sorted(self.probed))


def ladder(allows: Callable[[int], bool], cap: int) -> Ladder:
    """The depths up to `cap` that are tried; first × √2^k, each the nearest allowed.

    Neighbours differ by 1.5 times at most where any depth is allowed, so that a depth
    between them is known to a quarter. Empty where no depth up to `cap` is allowed.
    """
    allowed = [depth for depth in range(1, cap + 1) if allows(depth)]
    if not allowed:
        return Ladder((), ())

    def steps(factor: float) -> tuple[int, ...]:
        depth, nearest = float(allowed[0]), []
        while depth <= cap * 1.0001:
            nearest.append(min(allowed, key=lambda near: abs(near - depth)))
            depth *= factor
        return tuple(dict.fromkeys([*nearest, allowed[-1]]))

    rungs = steps(2.0)
    return Ladder(rungs, tuple(sorted({*rungs, *steps(2**0.5)})))


def search(
    trains: Callable[[int], bool], steps: Ladder, start: int = 1, patience: int = 1
) -> Found:
    """Climbs the rungs, then halves what is left between success and failure.

    The climb begins at the first rung of at least `start`; if that fails, it goes down
    to one that trains: what is shallower than a rung that trains is taken to train. It
    ends at the top, or when `patience` rungs in a row fail: with 1, what is deeper than
    a rung that fails is taken to fail; with 2, a net that trains at twice the depth of
    one that does not is found, and the climb goes on.
    """
    probed: dict[int, bool] = {}

    def ask(depth: int) -> bool:
        if depth not in probed:
            probed[depth] = bool(trains(depth))
        return probed[depth]

    below = [rung for rung in steps.rungs if rung < start]
    failures = 0
    for rung in steps.rungs[len(below) :]:
        failures = 0 if ask(rung) else failures + 1
        if failures == patience:
            break
    if not any(probed.values()):
        next((rung for rung in reversed(below) if ask(rung)), None)
    deepest, fails_at = _bracket(probed)
    while fails_at is not None:
        between = [depth for depth in steps.grid if deepest < depth < fails_at]
        if not between:
            break
        ask(between[len(between) // 2])
        deepest, fails_at = _bracket(probed)
    return Found(deepest, fails_at, probed)


def _bracket(probed: dict[int, bool]) -> tuple[int, int | None]:
    """(the deepest that trains, the shallowest above it that fails)."""
    deepest = max((depth for depth, good in probed.items() if good), default=0)
    above = [d for d, good in probed.items() if not good and d > deepest]
    return deepest, min(above, default=None)
