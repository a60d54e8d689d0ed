"""What does not depend on active values: casts of weights, masks, in groups."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter

from depthbench.research.signal.equations import Equation, Listing
from depthbench.research.signal.liveness import Flow

# Equations that take a part of what they read.
PARTS = {"slice", "dynamic_slice", "gather", "split", "squeeze", "reshape"}
PARTS |= {"random_wrap", "random_unwrap"}


def groups(listing: Listing, flow: Flow, places: Sequence[int]) -> Iterator[list[int]]:
    """Asides in groups, in an order in which they can run; none hands on gradients.

    What takes its part of an array stays with it, and what is done with the part does
    not: the dropout masks of all layers come from one array of keys, in equal groups.
    """
    parent = {place: place for place in places}

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = place = parent[parent[place]]
        return place

    def name(place: int) -> str:
        return listing.equations[place].eqn.primitive.name

    writer = {v: place for place in places for v in listing.equations[place].writes}
    uses = Counter(
        v for p in places for v in values_of(listing.equations[p]) & writer.keys()
    )
    for place in places:
        for value in values_of(listing.equations[place]) & writer.keys():
            before = writer[value]
            chained = uses[value] == 1 and name(before) not in PARTS
            if value in flow.moving or name(place) in PARTS or chained:
                parent[root(before)] = root(place)
    groups: dict[int, list[int]] = {}
    for place in places:
        groups.setdefault(root(place), []).append(place)
    yield from _in_order(listing, list(groups.values()), writer)


def values_of(equation: Equation) -> set[int]:
    """The values that an equation reads."""
    return {a for a in equation.reads if isinstance(a, int)}


def _in_order(
    listing: Listing, groups: list[list[int]], writer: dict[int, int]
) -> Iterator[list[int]]:
    """The groups, each behind those that it reads of; what goes in circles as one."""
    group_of = {place: i for i, group in enumerate(groups) for place in group}
    before = [
        {
            group_of[writer[value]]
            for place in group
            for value in values_of(listing.equations[place]) & writer.keys()
        }
        - {i}
        for i, group in enumerate(groups)
    ]
    order = TopologicalSorter(dict(enumerate(before)))
    try:
        places = list(order.static_order())
    except CycleError:
        yield sorted(itertools.chain(*groups))
        return
    yield from (groups[i] for i in places)
