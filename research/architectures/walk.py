"""Going through a net: a list of links, whatever they are made of.

A net becomes links by `contract.links`. What is not ours becomes links in a line each,
and is probed as ours is; `h` and parameters may be any pytrees of floating-point arrays:

    links = [Link("embed", embed, w, end=True)]  # embed(w, x) -> h
    links += [Link("block", block, stacked, repeats=100)]  # block(params, h) -> h
    links += [Link("top", lambda p, h: top.apply({"params": p}, h), params)]  # Linen
    links += [Link("out", lambda s, h: nnx.merge(graph, s)(h), state, end=True)]  # NNX
    states, parameters = probes.log_gradients(links, x, loss)
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from depthbench.research.architectures import remaking

Tree = Any  # a pytree of arrays
BLOCK = 8  # steps in a turn of an accelerator's loop, at most
NOTHING: Mapping[str, Tree] = MappingProxyType({})


class Link(NamedTuple):
    """A named map from a state to a state, applied once or `repeats` times.

    apply: (params, h, **keywords) -> h. What has statistics to hand on returns
      WithStatistics, and a first link may return Fed.
    params: what gradients are taken with respect to, of repetition i the i-th of
      [repeats, …]; as they are where the link is applied once, or is `tied`.
    repeats: a scan of so many, whose state keeps its shape. None: applied once.
    tied: all repetitions share the parameters (depth is time).
    keywords: what else `apply` is called with, by name, and nothing is learned of:
      statistics, dropout keys; of repetition i the i-th of [repeats, …].
    end: a stem or a head, not a layer: probes go through it and leave it out.
    activation: φ, where `apply` can be called with another, as `activation=…`, in its
      place: so saturation is noted.
    active: how many repetitions probes go through, from the first; may be traced.
    frugal, segment: what `fold` keeps for the gradient, as in `contract.Stage`.
    """

    name: str
    apply: Callable[..., Tree]
    params: Tree
    repeats: int | None = None
    tied: bool = False
    keywords: Mapping[str, Tree] = NOTHING
    end: bool = False
    activation: Callable[[jax.Array], jax.Array] | None = None
    active: Any = None
    frugal: bool = False
    segment: int | None = None


class Fed(NamedTuple):
    """What a stem returns for links that read one input a step.

    inputs: [repeats, batch, …], made for all steps at once: what does not depend on the
      state is not computed step by step. `apply` is called with its own one, as
      `now=…`.
    """

    state: Tree
    inputs: Tree


class WithStatistics(NamedTuple):
    """What a link returns that has statistics for its next application (batch norm)."""

    state: Tree
    statistics: Tree


class Layer(NamedTuple):
    """One application of a link: a function of the state."""

    name: str
    apply: Callable[..., Tree]
    params: Tree
    keywords: Mapping[str, Tree]

    def __call__(self, h: Tree) -> Tree:
        return self.at(self.params, h)

    def at(self, params: Tree, h: Tree, **more: Any) -> Tree:
        """The state after the layer, with these parameters in place of its own."""
        after, _ = self.result(params, h, **more)
        if isinstance(after, Fed):
            raise ValueError(
                f"{self.name} returns Fed, which only a stem can: end=True"
            )
        return after

    def result(self, params: Tree, h: Tree, **more: Any) -> tuple[Tree, Tree]:
        """(the state after the layer, or Fed; its statistics, {} where it has none)."""
        after = self.apply(params, h, **self.keywords, **more)
        return tuple(after) if isinstance(after, WithStatistics) else (after, {})


class Sections(NamedTuple):
    """Links by what they are: the layers, and what is before and behind them."""

    stem: tuple[Link, ...]
    layers: tuple[Link, ...]
    head: tuple[Link, ...]


def parts(links: Sequence[Link]) -> Sections:
    """The links' Sections.

    Raises ValueError where no link is a layer, an end is between layers, or stacked
    parameters are not [repeats, …].
    """
    for link in links:
        _check(link)
    places = [place for place, link in enumerate(links) if not link.end]
    if not places:
        names = ", ".join(link.name for link in links) or "none"
        raise ValueError(f"no link is a layer (links: {names})")
    first, last = places[0], places[-1] + 1
    ends = [link.name for link in links[first:last] if link.end]
    if ends:
        raise ValueError(f"{ends[0]} is an end, and stands between layers")
    return Sections(tuple(links[:first]), tuple(links[first:last]), tuple(links[last:]))


def _check(link: Link) -> None:
    for leaf in jax.tree.leaves(_stacked(link)) if link.repeats is not None else ():
        if jnp.shape(leaf)[:1] != (link.repeats,):
            raise ValueError(
                f"{link.name} is applied {link.repeats} times, so what it is applied "
                f"with is stacked as [{link.repeats}, …], not {list(jnp.shape(leaf))}"
            )


def enter(links: Sequence[Link], h: Tree) -> tuple[tuple[Link, ...], Tree]:
    """(the links, the first with its inputs; the state): Fed taken apart."""
    first, *others = links
    if not isinstance(h, Fed):
        return tuple(links), h
    once = first.repeats is None
    inputs = jax.tree.map(lambda a: a[0], h.inputs) if once else h.inputs
    first = first._replace(keywords={**first.keywords, "now": inputs})
    return (first, *others), h.state


def begin(
    links: Sequence[Link], x: Tree
) -> tuple[tuple[Link, ...], Tree, tuple[Link, ...]]:
    """(the layers, the state that the first of them reads, the head).

    Raises ValueError as `parts`, and where that state is of integers.
    """
    stem, layers, head = parts(links)
    layers, h = enter(layers, fold(stem, x)[0])
    for leaf in jax.tree.leaves(h):
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            raise ValueError(
                f"{layers[0].name} reads {leaf.dtype}, which has no gradient: "
                "what makes a state of it is a stem, end=True"
            )
    return layers, h, head


def at(link: Link, index: Any) -> Layer:
    """One application of a link; the index may be traced."""
    if link.repeats is None:
        return Layer(link.name, link.apply, link.params, link.keywords)

    def sliced(tree: Tree) -> Tree:
        one = jax.lax.dynamic_index_in_dim
        return jax.tree.map(lambda a: one(a, index, 0, keepdims=False), tree)

    params = link.params if link.tied else sliced(link.params)
    return Layer(link.name, link.apply, params, sliced(dict(link.keywords)))


def count(link: Link) -> Any:
    """How many applications of a link probes go through; may be traced."""
    if link.repeats is None:
        return 1
    return link.repeats if link.active is None else link.active


def loop(
    link: Link,
    step: Callable[[Any, Tree], Tree],
    carry: Tree,
    *,
    back: bool = False,
) -> Tree:
    """The carry after step(index, carry) for each active application.

    back: from the last to the first.
    """
    if link.repeats is None:  # may change shapes, which a loop's carry cannot
        return step(0, carry)
    active = count(link)

    def step_back(number, carry):
        return step(active - 1 - number, carry)

    return jax.lax.fori_loop(0, active, step_back if back else step, carry)


def scan(
    link: Link, step: Callable[[Tree, Layer], tuple[Tree, Tree]], carry: Tree
) -> tuple[Tree, Tree]:
    """(the carry, outputs [repeats, …]) after step(carry, layer) for all repetitions."""
    if link.repeats is None:
        carry, output = step(carry, at(link, 0))
        return carry, jax.tree.map(lambda a: a[None], output)
    return jax.lax.scan(
        lambda carry, slices: step(carry, _layer(link, slices)),
        carry,
        _stacked(link),
        length=link.repeats,
    )


def _stacked(link: Link) -> tuple[Tree, Tree]:
    """What differs between repetitions, [repeats, …]."""
    return None if link.tied else link.params, dict(link.keywords)


def _layer(link: Link, slices: tuple[Tree, Tree]) -> Layer:
    """One repetition, of its part of `_stacked`."""
    params, keywords = slices
    return Layer(link.name, link.apply, link.params if link.tied else params, keywords)


def through(link: Link, h: Tree) -> tuple[Tree, Tree]:
    """(the state after the active applications, those before each [repeats, …])."""
    if link.active is None or link.repeats is None:
        return scan(link, lambda h, layer: (layer(h), h), h)

    def step(index, carry):
        h, states = carry
        states = jax.tree.map(lambda s, a: s.at[index].set(a), states, h)
        return at(link, index)(h), states

    repeats = link.repeats
    room = jax.tree.map(lambda a: jnp.zeros((repeats, *a.shape), a.dtype), h)
    return loop(link, step, (h, room))


def fold(links: Sequence[Link], h: Tree) -> tuple[Tree, list[Tree]]:
    """(the state behind the last link, each link's statistics), by plain scans."""
    statistics = []
    for link in links:
        (link,), h = enter((link,), h)
        h, updated = _applied(link, h)
        statistics.append(updated)
    return h, statistics


def _applied(link: Link, h: Tree) -> tuple[Tree, Tree]:
    """(state, statistics, of repetitions [repeats, …]) after one link."""

    def run(h, params, keywords):
        return Layer(link.name, link.apply, params, keywords).result(params, h)

    if link.frugal:
        run = remaking.frugal(run)
    if link.repeats is None:
        return run(h, link.params, dict(link.keywords))

    def step(h, slices):
        layer = _layer(link, slices)
        return run(h, layer.params, layer.keywords)

    if link.segment is None:
        unroll = turn(link.repeats) if link.tied else 1
        stacked = _stacked(link)
        return jax.lax.scan(step, h, stacked, length=link.repeats, unroll=unroll)
    return _in_segments(step, h, _stacked(link), link.repeats, link.segment)


def turn(steps: int) -> int:
    """How many steps in time a loop takes at a turn, where their weights are the same.

    On an accelerator the loop is bound by the start of kernels, and what several steps
    keep is written by one. A divisor where one is near: a rest is compiled beside the
    loop. On a CPU one.
    """
    if jax.default_backend() == "cpu":
        return 1
    divisors = [n for n in range(BLOCK // 2, BLOCK + 1) if steps % n == 0]
    return max(divisors, default=min(steps, BLOCK))


def _in_segments(
    step: Callable, h: Tree, stacked: Tree, repeats: int, segment: int
) -> tuple[Tree, Tree]:
    """The scan, which keeps only the states between segments for the gradient."""
    number, rest = divmod(repeats, segment)
    cut = repeats - rest

    def run(length: int, **more):
        many = lambda h, part: jax.lax.scan(step, h, part, length=length)
        return jax.checkpoint(many, **more)

    first = jax.tree.map(
        lambda a: a[:cut].reshape(number, segment, *a.shape[1:]), stacked
    )
    h, outputs = jax.lax.scan(run(segment, prevent_cse=False), h, first, length=number)
    outputs = jax.tree.map(lambda a: a.reshape(cut, *a.shape[2:]), outputs)
    if not rest:
        return h, outputs
    h, last = run(rest)(h, jax.tree.map(lambda a: a[cut:], stacked))
    both = jax.tree.map(lambda *parts: jnp.concatenate(parts), outputs, last)
    return h, both
