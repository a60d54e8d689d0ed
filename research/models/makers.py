"""What makes a model of a depth: which argument is the depth, and which draws."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from depthbench.research.models import nnx

RANDOM = ("key", "seed", "rngs")  # names of the argument that parameters are drawn from


class Maker(NamedTuple):
    """How a model is made of what the user has given.

    calls: whether the target is called; a model is as it is.
    depth: the argument that takes it; "" for one that has no depth.
    random: the argument that parameters are drawn from; "" for one that draws none.
    arguments: all of them. needs: those of which nothing is known and that must be given.
    by_place: whether the depth cannot be given by its name.
    """

    target: Any
    calls: bool = False
    depth: str = ""
    random: str = ""
    arguments: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    by_place: bool = False


def maker(target: Any, of_depth: bool = False) -> Maker:
    """A function is called, with the argument `depth` or its first as the depth; so is a
    class. An object is where its call's first is `depth`, and a model as it is elsewhere.

    of_depth: known to take a depth, so that the first argument is it whatever its name.

    >>> maker(lambda width, depth, key: ...)[2:4]
    ('depth', 'key')
    """
    core, bound = target, 0
    given: set[str] = set()
    while isinstance(core, functools.partial):
        bound, given = bound + len(core.args), given | {*core.keywords}
        core = core.func
    free = [each for each in _parameters(core)[bound:] if each.name not in given]
    others = [each for each in free if each.name not in RANDOM]
    named = [each for each in others if each.name == "depth"]
    function = inspect.isroutine(core)
    if not (function or inspect.isclass(core) or of_depth or named == others[:1] != []):
        return Maker(target)
    # Of a class any field may come first.
    depth = (named or (others if function or of_depth else []))[:1]
    empty = inspect.Parameter.empty
    return Maker(
        target,
        calls=True,
        depth=depth[0].name if depth else "",
        random=next((each.name for each in free if each.name in RANDOM), ""),
        arguments=tuple(each.name for each in free),
        needs=tuple(
            each.name
            for each in others
            if each not in depth
            and each.default is empty
            and each.kind is not each.VAR_POSITIONAL
        ),
        by_place=any(
            each.kind in (each.POSITIONAL_ONLY, each.VAR_POSITIONAL) for each in depth
        ),
    )


def _parameters(core: Callable) -> list[inspect.Parameter]:
    """A function's, or a class's as its own code has them: a metaclass may say nothing."""
    own = inspect.isclass(core) and inspect.isfunction(core.__init__)
    try:
        every = [*inspect.signature(core.__init__ if own else core).parameters.values()]
    except (TypeError, ValueError):  # what is not called, or does not say
        return []
    return [each for each in every[own:] if each.kind is not each.VAR_KEYWORD]


def made(maker: Maker, depth: Any, seed: int) -> Any:
    """The model, or a pair of it and its parameters.

    >>> made(maker(lambda depth, seed: (depth, seed)), 4, 1)
    (4, 1)
    """
    if not maker.calls:
        return maker.target
    places = [depth] if maker.by_place else []
    names = {maker.depth: depth} if maker.depth and not places else {}
    if maker.random:
        names[maker.random] = _random(maker.random, seed)
    return maker.target(*places, **names)


def _random(name: str, seed: int) -> Any:
    if name == "seed":
        return seed
    return nnx.rngs(seed) if name == "rngs" else jax.random.key(seed)


def draws_later(model: Any) -> bool:
    """Whether a model's parameters are drawn when it is probed: Linen, Haiku.

    >>> draws_later(lambda params, x: x)
    False
    """
    return hasattr(model, "init") and hasattr(model, "apply")
