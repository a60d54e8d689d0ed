"""Variables of a net's layers: stacked, as they are drawn and kept, or each by itself."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from depthbench.research.architectures.contract import (
    Architecture,
    Stage,
    Tree,
    Variables,
)


def apart(net: Architecture, tree: Tree) -> Tree:
    """The tree with all Variables of `net` in it as those of `loops.unrolled(net)`.

    An optimizer's averages are Variables too: a training state is taken apart whole.
    """

    def cut(stage: Stage, stack: Tree) -> list[Tree]:
        return [
            jax.tree.map(lambda a, i=index: a[i : i + 1], stack)
            for index in range(stage.depth)
        ]

    def layers(variables: Variables) -> Variables:
        each = []
        for stage, stack in zip(net.stages, variables.stages, strict=True):
            each += [stack] if _whole(stage) else cut(stage, stack)
        return variables._replace(stages=tuple(each))

    return _mapped(layers, tree)


def together(net: Architecture, tree: Tree) -> Tree:
    """The tree that `apart(net, …)` made this one of."""

    def stacked(variables: Variables) -> Variables:
        rest, stacks = iter(variables.stages), []
        for stage in net.stages:
            each = [next(rest) for _ in range(1 if _whole(stage) else stage.depth)]
            joined = each[0]
            if len(each) > 1:
                joined = jax.tree.map(lambda *a: jnp.concatenate(a), *each)
            stacks.append(joined)
        return variables._replace(stages=tuple(stacks))

    return _mapped(stacked, tree)


def _whole(stage: Stage) -> bool:
    return stage.tied or stage.depth == 1


def _mapped(function: Callable[[Variables], Variables], tree: Tree) -> Tree:
    """The tree with the function done to all Variables in it."""
    is_net = lambda node: isinstance(node, Variables)
    return jax.tree.map(
        lambda node: function(node) if is_net(node) else node, tree, is_leaf=is_net
    )
