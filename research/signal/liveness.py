"""What is alive between two equations, what gradients flow through, and where to cut."""

import itertools
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from jax.extend import core
from jax.extend.core import primitives

from depthbench.research.signal.equality import is_float
from depthbench.research.signal.equations import Iteration, Listing, consts_and_carry

# Their derivative is 0 wherever there is one.
FLAT = {"stop_gradient", "sign", "floor", "ceil", "round", "nextafter"}
# Each output depends on many inputs; so do those of reduce_…, cum… and arg….
MIXING = {"dot_general", "conv_general_dilated", "ragged_dot", "fft", "sort", "scan"}
MIXING |= {"ragged_dot_general", "pallas_call", "ffi_call", "while", "triangular_solve"}
COMPLEX = 2**20  # as many values a complex one counts as
MOST = 50_000  # equations of unrolled scans


class Flow(NamedTuple):
    """Which of a list's values and equations (their places) are what.

    needed: the equations that the loss needs, in order.
    moving: values with a derivative of something and with the loss's derivative.
    active: those of `moving` that depend on the input.
    main: the equations that write active values, or depend on some.
    read: all values that a needed equation reads.
    """

    needed: tuple[int, ...]
    moving: frozenset[int]
    active: frozenset[int]
    main: frozenset[int]
    read: frozenset[int]


class Cut(NamedTuple):
    """A place between main equations: behind so many; and the values alive in it."""

    after: int
    values: tuple[int, ...]


def flow(listing: Listing) -> Flow:
    """The list's Flow. Raises ValueError where the loss is a constant."""
    if not isinstance(listing.loss, int):
        raise ValueError("the loss is a constant")
    needed, read = _needed(listing)
    moving = _with_derivative(listing, needed) & _on_the_way(listing, needed)
    depending = set(listing.inputs)
    _spread_to(listing, needed, depending)
    active = moving & depending
    after, main = set(active), set()
    for place in needed:
        equation = listing.equations[place]
        if not after.isdisjoint(equation.writes) or _any(equation.reads, after):
            main.add(place)
            after.update(equation.writes)
    return Flow(needed, frozenset(moving), frozenset(active), frozenset(main), read)


def _any(atoms: Sequence[Any], values: set[int]) -> bool:
    return any(isinstance(a, int) and a in values for a in atoms)


def _needed(listing: Listing) -> tuple[tuple[int, ...], frozenset[int]]:
    """(places of the equations that the loss needs, the values they read)."""
    wanted, places = {listing.loss}, []
    for place in reversed(range(len(listing.equations))):
        equation = listing.equations[place]
        if not wanted.isdisjoint(equation.writes):
            places.append(place)
            wanted.update(a for a in equation.reads if isinstance(a, int))
    return tuple(reversed(places)), frozenset(wanted)


def _float(listing: Listing, value: int) -> bool:
    aval = listing.avals[value]
    return hasattr(aval, "dtype") and is_float(aval)


def _with_derivative(listing: Listing, needed: Sequence[int]) -> set[int]:
    """Values with a derivative by a parameter or by the input."""
    sources = (*listing.parameters, *listing.inputs)
    values = {value for value in sources if _float(listing, value)}
    for place in needed:
        equation = listing.equations[place]
        if equation.eqn.primitive.name not in FLAT and _any(equation.reads, values):
            values.update(v for v in equation.writes if _float(listing, v))
    return values


def _on_the_way(listing: Listing, needed: Sequence[int]) -> set[int]:
    """Values by which the loss has a derivative."""
    values = {listing.loss}
    for place in reversed(needed):
        equation = listing.equations[place]
        flat = equation.eqn.primitive.name in FLAT
        if not flat and not values.isdisjoint(equation.writes):
            reads = (a for a in equation.reads if isinstance(a, int))
            values.update(v for v in reads if _float(listing, v))
    return values


def _spread_to(listing: Listing, needed: Sequence[int], values: set[int]) -> None:
    """Adds all values that depend on some of these."""
    for place in needed:
        equation = listing.equations[place]
        if _any(equation.reads, values):
            values.update(equation.writes)


def readers(listing: Listing, needed: Sequence[int]) -> dict[int, set[int]]:
    """The places of the equations that read a value; the loss is read from outside."""
    found: dict[int, set[int]] = {}
    for place in needed:
        for atom in listing.equations[place].reads:
            if isinstance(atom, int):
                found.setdefault(atom, set()).add(place)
    found.setdefault(listing.loss, set()).add(-1)
    return found


def without_gradient(listing: Listing, flow: Flow) -> dict[str, str]:
    """Parameters that have no gradient, and why."""
    reasons = {}
    for value, name in listing.parameters.items():
        if value in flow.moving and value in flow.read:
            continue
        if not _float(listing, value):
            reasons[name] = f"of {listing.avals[value].dtype}"
        elif value not in flow.read:
            reasons[name] = "not read"
        else:
            reasons[name] = "read only where no gradient flows"
    return reasons


def mixes(eqn: core.JaxprEqn) -> bool:
    """Whether an output of the equation depends on many inputs."""
    name = eqn.primitive.name
    if name in MIXING or name.startswith(("reduce_", "cum", "arg")):
        return name != "reduce_precision"
    inner = core.jaxprs_in_params(eqn.params)
    return any(mixes(e) for jaxpr in inner for e in jaxpr.eqns)


class _Alive:
    """When active values are alive: behind how many of the main equations."""

    def __init__(self, listing: Listing, flow: Flow, main: Sequence[int]):
        self.end = len(main)
        self.is_complex = lambda value: listing.avals[value].dtype.kind == "c"
        self.first = dict.fromkeys(flow.active, 0)
        self.last: dict[int, int] = {}
        for order, place in enumerate(main):
            equation = listing.equations[place]
            for value in equation.writes:
                self.first[value] = order + 1
            # What is read for its number alone, as by a stop_gradient, holds none up.
            flat = equation.eqn.primitive.name in FLAT
            if not flat and not flow.moving.isdisjoint(equation.writes):
                self.last.update(
                    (a, order) for a in equation.reads if isinstance(a, int)
                )
        self.last[listing.loss] = self.end
        self.values = sorted(v for v in flow.active if v in self.last)

    def counts(self) -> list[int]:
        """How many values are alive behind 0, 1, … of the equations.

        A complex one counts as many: it is no state, where that can be helped.
        """
        change = [0] * (self.end + 2)
        for value in self.values:
            weight = COMPLEX if self.is_complex(value) else 1
            change[self.first[value]] += weight
            change[self.last[value] + 1] -= weight
        return list(itertools.accumulate(change))[:-1]

    def among(self, values: Collection[int], after: int) -> tuple[int, ...]:
        """Those of the values that are alive behind so many equations."""
        return tuple(v for v in values if self.first[v] <= after <= self.last[v])

    def at(self, places: Collection[int]) -> dict[int, tuple[int, ...]]:
        """The values that are alive behind so many equations, for each of the places."""
        begins, alive, found = {}, set(), {}
        for value in self.values:
            begins.setdefault(self.first[value], []).append(value)
        for after in sorted({*begins, *places}):
            alive.update(begins.get(after, ()))
            if after in places:
                alive = {v for v in alive if self.last[v] >= after}
                found[after] = tuple(sorted(alive))
        return found


def cuts(listing: Listing, flow: Flow, main: Sequence[int]) -> list[Cut]:
    """Where the states are, from the input, if it is one, to the outputs.

    main: places of the main equations, in order.
    """
    alive = _Alive(listing, flow, main)
    out = sum(place < listing.split for place in main)
    counts = alive.counts()[: out + 1]
    steps = _iterations(listing, main)
    fixed, living = {}, set(alive.values)
    for after, carry in steps.items():
        some = {v for v in carry if isinstance(v, int) and v in alive.first}
        if after <= out and (values := alive.among(sorted(some & living), after)):
            fixed[after] = values
    begin = next((i for i, n in enumerate(counts) if n), out)
    edges = sorted({begin, out, *(place for place in fixed if place >= begin)})
    places = set(edges)
    for low, high in itertools.pairwise(edges):
        places.update(_fewest(counts, low, high, out - begin))
    ordered = sorted(places)
    mixing = [mixes(listing.equations[place].eqn) for place in main]
    kept: list[int] = []
    for low, high in itertools.pairwise([*ordered, out]):
        if low in edges or (any(mixing[low:high]) and any(mixing[kept[-1] : low])):
            kept.append(low)
    all_alive = alive.at({*kept})
    found = [Cut(place, fixed.get(place) or all_alive[place]) for place in kept]
    # Of places with the same values the last one counts; the input is never moved.
    again = {
        a for a, b in itertools.pairwise(found) if a.values == b.values and a.after
    }
    first = found[:1] if found and not found[0].after else []
    again |= {cut for cut in found if first and cut.values == first[0].values}
    return [*first, *(cut for cut in found if cut not in again)]


def _fewest(counts: Sequence[int], low: int, high: int, around: int) -> Iterator[int]:
    """Places between low and high where one value is left, or the fewest are.

    The fewest, where the stretch is at least half of `around`: a block is not.
    """
    inner = [n for n in counts[low + 1 : high] if n]
    if not inner or (min(inner) > 1 and 2 * (high - low) < around):
        return
    fewest = min(inner)
    if fewest >= COMPLEX:
        return
    places = [i for i in range(low + 1, high) if counts[i] == fewest]
    yield from places
    inside = around if fewest == 1 else high - low
    for a, b in itertools.pairwise((low, *places, high)):
        yield from _fewest(counts, a, b, inside)


def _iterations(listing: Listing, main: Sequence[int]) -> dict[int, tuple[Any, ...]]:
    """The carries of unrolled scans, and where they are handed on."""
    ends: dict[Iteration, int] = {}
    for order, place in enumerate(main):
        for iteration in listing.equations[place].iterations:
            ends[iteration] = order + 1
    return {after: listing.carries[iteration] for iteration, after in ends.items()}


def open_scans(listing: Listing) -> set[int]:
    """Places of the scans that hand on floats, and that nothing active bypasses."""
    found = flow(listing)
    main = [place for place in found.needed if place in found.main]
    alive = _Alive(listing, found, main)
    scans = {
        order
        for order, place in enumerate(main)
        if listing.equations[place].eqn.primitive is primitives.scan_p
    }
    alive_at = alive.at(scans)
    room = MOST - len(listing.equations)
    places = set()
    for order in sorted(scans):
        place = main[order]
        equation = listing.equations[place]
        params = equation.eqn.params
        size = params["length"] * _size(params["jaxpr"])
        carried = equation.writes[: consts_and_carry(equation.eqn)[1]]
        bypassed = {*alive_at[order]}.difference(
            a for a in equation.reads if isinstance(a, int)
        )
        floats = any(_float(listing, value) for value in carried)
        if floats and not bypassed and size <= room:
            room -= size
            places.add(place)
    return places


def _size(jaxpr: Any) -> int:
    """How many equations a jaxpr has, those inside others too."""
    eqns = getattr(jaxpr, "jaxpr", jaxpr).eqns
    inner = (j for e in eqns for j in core.jaxprs_in_params(e.params))
    return len(eqns) + sum(map(_size, inner))
