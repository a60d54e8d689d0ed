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
and states are refused. States underflow and drift where the function's own do, as 1,000
tanh layers' do by 3e-5 decades of the gradient: only gradients are in log scale. Who
wants float64's gives float64 parameters and inputs within jax.enable_x64. The states of a
whole pass are held at once: `Network.memory()`. Within a compiled program a scan of
hundreds of layers is taken apart and put together again, which takes long to compile.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from depthbench.research.signal import (
    asides,
    equations,
    liveness,
    memory,
    programs,
    scopes,
)
from depthbench.research.signal.equality import Equality
from depthbench.research.signal.equations import Equation, Listing, Tree
from depthbench.research.signal.liveness import Flow
from depthbench.research.signal.nonlinearities import Nonlinearity, nonlinearities
from depthbench.research.signal.programs import Elementwise, Function, SegmentProgram


class LiveSet(NamedTuple):
    """What is alive at a cut: the values, and the name of what came before it."""

    name: str
    values: tuple[int, ...]


class Segment(NamedTuple):
    """Equations that run as one program, with the values that it reads and writes.

    moved: places in `reads` of what has a gradient; made: those in `writes`.
    state: the state at its end, if that is one.
    beside: what is alive there, and is neither read nor written.
    """

    program: SegmentProgram
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    moved: tuple[int, ...]
    made: tuple[int, ...]
    equations: tuple[Equation, ...]
    state: LiveSet | None = None
    beside: tuple[int, ...] = ()

    def moves(self) -> bool:
        """Whether a gradient goes through it."""
        return bool(self.moved and self.made)


class Network(NamedTuple):
    """A function in segments.

    asides: what does not depend on active values; in any order.
    segments: from the input to the loss, in order.
    start: the state that the first segment reads, if the input is one.
    without_gradient: parameters that have none, and why.
    batch: the number of examples, the input's first axis; None if it has none.
    """

    listing: Listing
    flow: Flow
    asides: tuple[Segment, ...]
    segments: tuple[Segment, ...]
    start: LiveSet | None
    without_gradient: dict[str, str]
    batch: int | None

    def states(self) -> tuple[LiveSet, ...]:
        """All states, from the input to the outputs."""
        first = () if self.start is None else (self.start,)
        return (*first, *(s.state for s in self.segments if s.state is not None))

    def parameters(self) -> dict[str, int]:
        """The parameters that have a gradient, by name, and their values."""
        named = self.listing.parameters.items()
        return {n: value for value, n in named if n not in self.without_gradient}

    def back(self) -> tuple[Segment, ...]:
        """The segments through which gradients go, in the order in which they do."""
        order = (*self.segments[::-1], *self.asides)
        return tuple(segment for segment in order if segment.moves())

    def memory(self) -> int:
        """Bytes of arrays that `states.measured` holds at most, of shapes alone.

        Parameters, the input and all states, and cotangents; what is inside of a segment
        while it runs comes beside it.
        """
        forward, parameters = (*self.asides, *self.segments), self.parameters()
        named = {*parameters.values()}
        return memory.peak(self.listing, forward, self.back(), named)


def network(f: Callable, params: Tree, x: Tree, loss: Callable) -> Network:
    """loss(f(params, x)) in segments; only shapes and dtypes are looked at.

    Raises ValueError, of one line, where the loss is no scalar or does not depend on the
    input, where something that gradients are taken of is complex, and where a step has no
    derivative.
    """
    whole = _unrolled(equations.listing(f, params, x, loss))
    flow = liveness.flow(whole)
    main, before = [], []
    for place in flow.needed:
        (main if place in flow.main else before).append(place)
    if not main:
        raise ValueError("the loss does not depend on the input")
    cut = _Cutter(whole, flow)
    groups = list(asides.groups(whole, flow, before))
    state, segments, others = cut.segments(main, groups)
    return Network(
        listing=whole,
        flow=flow,
        asides=tuple(others),
        segments=tuple(segments),
        start=state,
        without_gradient=liveness.without_gradient(whole, flow),
        batch=cut.batch,
    )


def _unrolled(listing: Listing) -> Listing:
    """The list with all scans unrolled that nothing bypasses."""
    while places := liveness.open_scans(listing):
        listing = equations.unrolled(listing, places)
    return listing


class _Cutter:
    """Makes segments of places in the list; equal ones share a program."""

    def __init__(self, listing: Listing, flow: Flow):
        self.listing, self.flow = listing, flow
        self.keys = Equality(listing.avals)
        self.programs: dict[Any, SegmentProgram] = {}
        self.readers = liveness.readers(listing, flow.needed)
        self.activations: dict[int, Nonlinearity] = {
            each.places[-1]: each for each in nonlinearities(listing, flow)
        }
        shapes = (listing.avals[value].shape for value in listing.inputs)
        self.batch = next((shape[0] for shape in shapes if shape), None)

    def segments(
        self, main: list[int], groups: list[list[int]]
    ) -> tuple[LiveSet | None, list[Segment], list[Segment]]:
        """(the state before all, the segments of these places, those of the groups)."""
        cuts = liveness.cuts(self.listing, self.flow, main)
        edges = [0, *(cut.after for cut in cuts if cut.after), len(main)]
        places = [main[a:b] for a, b in itertools.pairwise(edges) if b > a]
        parts = [self._moved(part) for part in places]
        ends = [LiveSet("", cut.values) for cut in cuts if cut.after]
        pairs = zip(ends, scopes.names(parts), strict=False)
        named = [state._replace(name=name) for state, name in pairs]
        others = self._taken_in(places, groups)
        made = [
            self.segment(part, state)
            for part, state in itertools.zip_longest(places, named)
        ]
        begins = bool(cuts) and not cuts[0].after
        start = LiveSet("input", cuts[0].values) if begins else None
        return start, made, [self.segment(group, None) for group in others]

    def _moved(self, places: list[int]) -> list[Equation]:
        """The equations that give a part its name: not what a mask of the next is of."""
        part = [self.listing.equations[p] for p in places]
        moving = self.flow.moving
        return [e for e in part if not moving.isdisjoint(e.writes)] or part

    def _taken_in(
        self, parts: list[list[int]], groups: list[list[int]]
    ) -> list[list[int]]:
        """The groups but for those, which are added to it, that one part alone reads.

        What takes long is not: a part's inside is computed twice. What is complex is, as
        it can be no part's own.
        """
        part_of = {place: i for i, part in enumerate(parts) for place in part}
        remaining = []
        for group in groups:
            equations = [self.listing.equations[place] for place in group]
            readers = {p for e in equations for v in e.writes for p in self._by(v)}
            where = [part_of.get(place) for place in readers - {*group}]
            one = where[0] if len({*where}) == 1 else None
            apart = any(map(_long, equations)) and not self._is_complex(group)
            if one is not None and not apart:
                parts[one][:] = sorted((*parts[one], *group))
            else:
                remaining.append(group)
        return remaining

    def _is_complex(self, group: list[int]) -> bool:
        """Whether a gradient would be handed on of something complex."""
        writes = (v for place in group for v in self.listing.equations[place].writes)
        return any(
            self.listing.avals[v].dtype.kind == "c"
            for v in writes
            if v in self.flow.moving
        )

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
        self._refuse_complex([*(reads[i] for i in moved), *(writes[i] for i in made)])
        alive = () if state is None else state.values
        beside = tuple(v for v in alive if v not in {*reads, *writes})
        order = {value: i for i, value in enumerate((*writes, *reads, *beside))}
        end = None if state is None else tuple(order[v] for v in alive)
        return Segment(
            program=self._program(
                *(places, part, reads, written, writes),
                Function(moved, made, end, self.batch),
            ),
            reads=reads,
            writes=writes,
            moved=moved,
            made=made,
            equations=tuple(part),
            state=state,
            beside=beside,
        )

    def _program(
        self,
        places: Sequence[int],
        part: Sequence[Equation],
        reads: Sequence[int],
        written: Sequence[int],
        writes: Sequence[int],
        function: Function,
    ) -> SegmentProgram:
        noted = [] if function.end is None else [*self._activations(places)]
        numbers = {value: i for i, value in enumerate((*reads, *written))}
        order = {place: i for i, place in enumerate(places)}
        key = (
            self.keys.of(part, reads),
            tuple(numbers[value] for value in writes),
            function,
            tuple(
                (tuple(order[p] for p in a.places), tuple(numbers[v] for v in a.reads))
                for a in noted
            ),
        )
        if key not in self.programs:
            make = lambda: self._made(part, reads, writes, function, noted)
            self.programs[key] = programs.shared(key, make)
        return self.programs[key]

    def _activations(self, places: Sequence[int]) -> list[Nonlinearity]:
        inside = set(places)
        ending = (self.activations[p] for p in places if p in self.activations)
        return [each for each in ending if inside.issuperset(each.places)]

    def _made(self, part, reads, writes, function, noted) -> SegmentProgram:
        avals = self.listing.avals
        extra = [value for each in noted for value in each.reads]
        closed = equations.closed_over(avals, part, reads, (*writes, *extra))
        start, activations = 0, []
        for each in noted:
            some = [self.listing.equations[place] for place in each.places]
            inner = equations.closed_over(avals, some, each.reads, (each.output,))
            end = start + len(each.reads)
            activations.append(Elementwise(inner, tuple(range(start, end))))
            start = end
        program = SegmentProgram(closed, function, activations)
        try:
            program.trace_back([avals[value] for value in reads])
        except (TypeError, ValueError, NotImplementedError) as error:
            where = next((e.scope for e in part if e.scope), "") or "a step"
            line = str(error).strip().split("\n")[0]
            raise ValueError(f"{where} has no derivative: {line}") from error
        return program

    def _refuse_complex(self, values: Sequence[int]) -> None:
        for value in values:
            if self.listing.avals[value].dtype.kind == "c":
                name = self.listing.parameters.get(value, "")
                what = f"the parameter {name}" if name else "an input or a state"
                raise ValueError(f"{what} is complex: no gradient is measured of it")


def _long(equation: Equation) -> bool:
    return liveness.mixes(equation.eqn) or equation.eqn.primitive.name.startswith(
        "rand"
    )
