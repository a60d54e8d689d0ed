"""Any JAX function cut into segments where little is alive: from f(params, x) to states.

All influence of the input on the loss flows through what is alive between two
equations: values already computed, still to be read, with a derivative of both. Where
one value is left, it is a state: the end of a residual block, a layer of a plain chain.

How it is done. The function is traced to a flat list of equations (`equations`), and
what the loss does not need is dropped. Values are active that depend on the input and
through which gradients flow: masks and keys are not, nor what is behind a
stop_gradient. Equations that no active value comes before are `asides` (casts of
weights, dropout masks), in groups that share nothing. The others are cut wherever one
active value is left, and where a stretch between two such cuts is half of all there is
(a U-Net's inside, a memory that all layers read), wherever the fewest are left in it,
again and again. A cut is a state if the segment behind it mixes (a product, a sum, a
convolution): bias and activation belong to the product before them. A scan that nothing
bypasses is unrolled, its carry is a state after each iteration; what it still reads and
has written is not.

    network = segments.network(f, params, x, loss)
    measured = states.measured(network, params, x)
    measured.names, measured.log10_gradient  # ("input", "block_0/mlp", …), an array

What it does not do. A net of one or two blocks may have states inside a block, which is
half of all there is. A scan that something bypasses, or that is inside a branch or a
custom rule, stays within one segment, in its own dtype. A fori_loop that takes its
weights from a stack by an index costs a stack an iteration. Complex parameters, inputs
and states are refused. States underflow where the function's own do: only gradients are
in log scale. It holds the states of a whole pass in memory, and chooses on the host when
to go through a segment again, so it is not to be called within jit or vmap.
"""

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

from research.signal import equations, liveness
from research.signal.equality import Equality
from research.signal.equations import Equation, Listing, Tree
from research.signal.liveness import Flow
from research.signal.programs import SegmentProgram

# Equations that take a part of what they read.
PARTS = {"slice", "dynamic_slice", "gather", "split", "squeeze", "reshape"}
PARTS |= {"random_wrap", "random_unwrap"}


class LiveSet(NamedTuple):
    """What is alive at a cut: the values, and the name of what came before it."""

    name: str
    values: tuple[int, ...]


class Segment(NamedTuple):
    """Equations that run as one program, with the values that it reads and writes.

    moved: places in `reads` of what has a gradient; made: those in `writes`.
    state: the state at its end, if that is one.
    """

    program: SegmentProgram
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    moved: tuple[int, ...]
    made: tuple[int, ...]
    equations: tuple[Equation, ...]
    state: LiveSet | None = None


class Network(NamedTuple):
    """A function in segments.

    asides: what does not depend on active values; in any order.
    segments: from the input to the loss, in order.
    start: the state that the first segment reads, if the input is one.
    without_gradient: parameters that have none, and why.
    """

    listing: Listing
    flow: Flow
    asides: tuple[Segment, ...]
    segments: tuple[Segment, ...]
    start: LiveSet | None
    without_gradient: dict[str, str]

    def states(self) -> tuple[LiveSet, ...]:
        """All states, from the input to the outputs."""
        first = () if self.start is None else (self.start,)
        return (*first, *(s.state for s in self.segments if s.state is not None))


def network(f: Callable, params: Tree, x: Tree, loss: Callable) -> Network:
    """loss(f(params, x)) in segments; only shapes and dtypes are looked at.

    Raises ValueError where the loss is no scalar or does not depend on the input, and
    where something that gradients are taken of is complex.
    """
    whole = _unrolled(equations.listing(f, params, x, loss))
    flow = liveness.flow(whole)
    main, before = [], []
    for place in flow.needed:
        (main if place in flow.main else before).append(place)
    if not main:
        raise ValueError("the loss does not depend on the input")
    cut = _Cutter(whole, flow)
    state, segments, asides = cut.segments(main, list(_groups(whole, flow, before)))
    return Network(
        listing=whole,
        flow=flow,
        asides=tuple(asides),
        segments=tuple(segments),
        start=state,
        without_gradient=liveness.without_gradient(whole, flow),
    )


def _unrolled(listing: Listing) -> Listing:
    """The list with all scans unrolled that nothing bypasses."""
    while places := liveness.open_scans(listing):
        listing = equations.unrolled(listing, places)
    return listing


def _groups(listing: Listing, flow: Flow, places: Sequence[int]) -> Iterator[list[int]]:
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
        v for p in places for v in _values(listing.equations[p]) & writer.keys()
    )
    for place in places:
        for value in _values(listing.equations[place]) & writer.keys():
            before = writer[value]
            chained = uses[value] == 1 and name(before) not in PARTS
            if value in flow.moving or name(place) in PARTS or chained:
                parent[root(before)] = root(place)
    groups: dict[int, list[int]] = {}
    for place in places:
        groups.setdefault(root(place), []).append(place)
    yield from _in_order(listing, list(groups.values()), writer)


def _values(equation: Equation) -> set[int]:
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
            for value in _values(listing.equations[place]) & writer.keys()
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


class _Cutter:
    """Makes segments of places in the list; equal ones share a program."""

    def __init__(self, listing: Listing, flow: Flow):
        self.listing, self.flow = listing, flow
        self.keys = Equality(listing.avals)
        self.programs: dict[Any, SegmentProgram] = {}
        self.readers = liveness.readers(listing, flow.needed)

    def segments(
        self, main: list[int], groups: list[list[int]]
    ) -> tuple[LiveSet | None, list[Segment], list[Segment]]:
        """(the state before all, the segments of these places, those of the groups)."""
        cuts = liveness.cuts(self.listing, self.flow, main)
        edges = [0, *(cut.after for cut in cuts if cut.after), len(main)]
        places = [main[a:b] for a, b in itertools.pairwise(edges) if b > a]
        names = _names([[self.listing.equations[p] for p in part] for part in places])
        ends = [LiveSet("", cut.values) for cut in cuts if cut.after]
        named = [s._replace(name=n) for s, n in zip(ends, names, strict=False)]
        asides = self._taken_in(places, groups)
        made = [
            self.segment(part, state)
            for part, state in itertools.zip_longest(places, named)
        ]
        begins = bool(cuts) and not cuts[0].after
        start = LiveSet("input", cuts[0].values) if begins else None
        return start, made, [self.segment(group, None) for group in asides]

    def _taken_in(
        self, parts: list[list[int]], groups: list[list[int]]
    ) -> list[list[int]]:
        """The groups but for those, which are added to it, that one part alone reads.

        What takes long is not: a part's inside is computed twice.
        """
        part_of = {place: i for i, part in enumerate(parts) for place in part}
        remaining = []
        for group in groups:
            equations = [self.listing.equations[place] for place in group]
            readers = {p for e in equations for v in e.writes for p in self._by(v)}
            where = [part_of.get(place) for place in readers - {*group}]
            one = where[0] if len({*where}) == 1 else None
            if one is not None and not any(map(_long, equations)):
                parts[one][:] = sorted((*parts[one], *group))
            else:
                remaining.append(group)
        return remaining

    def _by(self, value: int) -> set[int]:
        return self.readers.get(value, set())

    def segment(self, places: Sequence[int], state: LiveSet | None) -> Segment:
        """These equations as one segment."""
        part = [self.listing.equations[place] for place in places]
        inside = set(places)
        written = [value for e in part for value in e.writes]
        own = set(written)
        given = (a for e in part for a in e.reads if isinstance(a, int))
        reads = tuple(dict.fromkeys(value for value in given if value not in own))
        writes = tuple(v for v in written if not self._by(v) <= inside)
        moving = self.flow.moving
        moved = tuple(i for i, value in enumerate(reads) if value in moving)
        made = tuple(i for i, value in enumerate(writes) if value in moving)
        numbers = {value: i for i, value in enumerate((*reads, *written))}
        key = (
            self.keys.of(part, reads),
            tuple(numbers[value] for value in writes),
            *(moved, made),
        )
        handed = {reads[i] for i in moved} | {writes[i] for i in made}
        if any(self.listing.avals[value].dtype.kind == "c" for value in handed):
            raise ValueError("a complex value is a parameter, an input or a state")
        if key not in self.programs:
            closed = equations.closed_over(self.listing.avals, part, reads, writes)
            self.programs[key] = SegmentProgram(closed, moved, made)
        return Segment(
            program=self.programs[key],
            reads=reads,
            writes=writes,
            moved=moved,
            made=made,
            equations=tuple(part),
            state=state,
        )


def _long(equation: Equation) -> bool:
    return liveness.mixes(equation.eqn) or equation.eqn.primitive.name.startswith(
        "rand"
    )


def _names(parts: Sequence[Sequence[Equation]]) -> list[str]:
    """A name of each stretch: the scope that its products share, "block_7/mlp"."""
    scopes = []
    for part in parts:
        mixing = [e for e in part if liveness.mixes(e.eqn)] or part
        each = [_clean(e.scope) for e in mixing]
        scopes.append(_common(each))
    shared = len(_common([s for s in scopes if s]))
    names = [
        "/".join(scope[shared:]) or f"step_{i}" for i, scope in enumerate(scopes, 1)
    ]
    # A name that comes again is that of a deeper scope's own end, or of a loop.
    times: dict[str, int] = {}
    for place, name in enumerate(names):
        times[name] = times.get(name, 0) + 1
        if times[name] > 1:
            names[place] = f"{name}:{times[name]}"
    return names


def _common(scopes: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """What all begin with."""
    columns = itertools.takewhile(lambda c: len({*c}) == 1, zip(*scopes, strict=False))
    return tuple(column[0] for column in columns)


@functools.cache
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
