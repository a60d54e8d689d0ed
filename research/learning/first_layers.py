"""A net's first layers, copied from another net, and left as they are in training.

Layers are counted from the input: the stem, and then those of the stage. The head is
always the net's own. Yosinski et al. 2014, arXiv:1411.1792.
"""

import functools

import jax
import jax.numpy as jnp

from depthbench.research.architectures.contract import Architecture, Variables
from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.learning import supervised
from depthbench.research.learning.fits import FittedNet, Net
from depthbench.research.learning.system import System


def count(net: Net) -> int:
    """How many layers the net has below its head.

    Raises Mistake of a net that is not one stack of layers of their own.

    >>> from depthbench.research.learning.recipe import Recipe
    >>> count(Net(Recipe(depth=4, width=8), supervised.Task((3,), 2)))
    5
    """
    stages = net.parts.net.stages
    if len(stages) != 1 or stages[0].tied:
        name = net.recipe.architecture
        raise Mistake(f"{name}: its layers are not one stack, and cannot be cut")
    return 1 + stages[0].depth


def copied(source: FittedNet, fresh: FittedNet, layers: int) -> FittedNet:
    """The fresh net with the first so many layers of the source, which learned elsewhere.

    Raises Mistake where there are not so many, or they are of another shape.
    """
    _check(fresh.net, layers)
    shapes = [
        jax.tree.map(jnp.shape, (one.variables.stem, one.variables.stages))
        for one in (source, fresh)
    ]
    if shapes[0] != shapes[1]:
        raise Mistake("layers are copied between nets of one shape alone")
    return fresh._replace(variables=joined(source.variables, fresh.variables, layers))


def joined(one: Variables, other: Variables, layers: int) -> Variables:
    """The first so many layers of one, and of the other what follows."""
    if layers == 0:
        return other
    lower, upper = one.stages[0], other.stages[0]
    place = layers - 1  # the stem is a layer
    stage = jax.tree.map(
        lambda a, b: jnp.concatenate([a[:place], b[place:]]), lower, upper
    )
    return Variables(one.stem, (stage,), other.head)


@functools.lru_cache(maxsize=64)
def frozen(net: Net, layers: int) -> System:
    """Supervised learning of the net, that leaves its first so many layers as they are.

    The tree is that of `net.system`. There is no way back through what is frozen, so a
    step has fewer operations; and whatever the update rule, decay of weights included,
    no bit of it changes. Raises Mistake where there are not so many layers.
    """
    parts = net.parts
    halves = parts._replace(net=cut(net, layers))

    def objective(params, stats, batch, key):
        held = _held(apart(halves.net, params), layers)
        lower = apart(halves.net, stats)
        each, updated = supervised.measures(halves, held, lower, batch, True, key)
        return each, _together(updated)

    begin = supervised.init_of(net.recipe, net.task)
    system = supervised.system_of(parts, begin, objective=objective)

    def step(tree, hyper, batch, moment):
        after, means = system.step(tree, hyper, batch, moment)
        params, stats = (
            joined(getattr(tree, name), getattr(after, name), layers)
            for name in ("params", "stats")
        )
        return after._replace(params=params, stats=stats), means

    return system._replace(step=step)


def _check(net: Net, layers: int) -> None:
    if not 0 <= layers <= (most := count(net)):
        raise Mistake(f"{layers} first layers of a net of {most}; must be 0 to {most}")


def cut(net: Net, layers: int) -> Architecture:
    """The net, whose stage is two: the rest of its first so many layers, and what follows.

    It is one stage where either has no layer. Raises Mistake as `frozen` does.
    """
    _check(net, layers)
    whole = net.parts.net
    (stage,), place = whole.stages, max(layers - 1, 0)
    lower = stage._replace(depth=place)
    upper = stage._replace(depth=stage.depth - place, before=place)
    return whole._replace(stages=tuple(one for one in (lower, upper) if one.depth))


def apart(cut: Architecture, variables: Variables) -> Variables:
    """Variables of a net as those of what `cut` made of it."""
    (stack,) = variables.stages
    ends = [(stage.before, stage.before + stage.depth) for stage in cut.stages]
    parts = (jax.tree.map(lambda a, e=e: a[slice(*e)], stack) for e in ends)
    return variables._replace(stages=tuple(parts))


def _held(variables: Variables, layers: int) -> Variables:
    """Variables of a net that was cut, without a gradient of what is frozen."""
    stop = jax.lax.stop_gradient
    stem, (first, *rest), head = variables
    return Variables(
        stop(stem) if layers > 0 else stem,
        (stop(first) if layers > 1 else first, *rest),
        head,
    )


def _together(variables: Variables) -> Variables:
    """What `apart` made these of."""
    stage = jax.tree.map(lambda *a: jnp.concatenate(a), *variables.stages)
    return variables._replace(stages=(stage,))
