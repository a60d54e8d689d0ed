"""The passes of `passes` with runs as scans: what is compiled does not grow with depth."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.signal import passes
from depthbench.research.signal.passes import Back, Tree, Values
from depthbench.research.signal.runs import Place, Provider, Repeats, key_of, pieces
from depthbench.research.signal.scaled import Scaled, log10_norms, total, zero
from depthbench.research.signal.segments import LiveSet, Network


class _Known(dict):
    """Arrays by value; those that a run has written are taken from its stacks."""

    def __init__(self, start: Values):
        super().__init__(start)
        self.stacks: dict[int, tuple[Any, int]] = {}

    def __missing__(self, value: int) -> Any:
        stack, turn = self.stacks[value]
        self[value] = stack[turn]
        return self[value]

    def has(self, stack: Any, values: tuple[int, ...]) -> None:
        """The values are those of a stack, in its order."""
        self.stacks.update((value, (stack, turn)) for turn, value in enumerate(values))


class Passed(NamedTuple):
    """The loss; readings [states, COLUMNS]; log10 of gradients' norms, nan where these
    may be lost: [states], and [parameters] in the order of `network.parameters()`.
    """

    value: jax.Array
    readings: jax.Array
    states: jax.Array
    parameters: jax.Array


def passed(network: Network, params: Tree, x: Tree) -> Passed:
    """Both passes, by arrays alone."""
    start, read = passes.begin(network, params, x)
    known, rows = _Known(start), [r[None] for r in read]
    for segment in network.asides:
        made, _ = segment.program.forward([known[v] for v in segment.reads], [])
        known.update(zip(segment.writes, made, strict=True))
    parts = pieces(network)
    readings: list[Any] = []
    for piece in parts:
        if isinstance(piece, Repeats):
            each = _forward(piece, known)
            rows.append(jnp.stack([r for r in each if r is not None], 1))
            rows[-1] = rows[-1].reshape(-1, rows[-1].shape[-1])
            readings.append(each)
        else:
            given = ([known[v] for v in vs] for vs in (piece.reads, piece.beside))
            made, reading = piece.program.forward(*given)
            known.update(zip(piece.writes, made, strict=True))
            rows += [] if reading is None else [reading[None]]
            readings.append(reading)
    logs = _Logs(Back(network, known, passes.plainly))
    for piece, reading in zip(parts[::-1], readings[::-1], strict=True):
        if isinstance(piece, Repeats):
            _Backward(piece, logs, known).run(reading)
        else:
            logs.back.segment(piece, reading)
            logs.take()
    logs.back.at(network.start)
    for segment in network.asides:
        logs.back.segment(segment, None)
    logs.take()
    value = known[network.listing.loss]
    order = list(network.parameters())
    return Passed(value, jnp.concatenate(rows), *logs.done(order))


class _Logs:
    """log10 of the norms of what a pass back has gone through, many at a time."""

    def __init__(self, back: Back):
        self.back = back
        self.states: list[jax.Array] = []  # from the outputs on
        self.parameters: list[tuple[Sequence[str], jax.Array]] = []

    def take(self) -> None:
        """Takes over the sizes that the pass has noted."""
        self.states += [
            log10_norms(jnp.stack(sizes))[None] for sizes in self.back.states
        ]
        self.back.states.clear()
        names = list(self.back.parameters)
        if names:
            sizes = jnp.stack([self.back.parameters.pop(name) for name in names])
            self.note(names, sizes)

    def note(self, names: Sequence[str], sizes: jax.Array) -> None:
        """Sizes [names, 3] of parameters."""
        self.parameters.append((names, jax.vmap(log10_norms)(sizes[:, None])))

    def done(self, order: Sequence[str]) -> tuple[jax.Array, jax.Array]:
        """(of the states from the input on, of the parameters in this order)."""
        states = jnp.concatenate(self.states)[::-1]
        if not order:
            return states, jnp.zeros((0,), states.dtype)
        names = [name for some, _ in self.parameters for name in some]
        place = {name: i for i, name in enumerate(names)}
        places = np.array([place[name] for name in order])
        return states, jnp.concatenate([log for _, log in self.parameters])[places]


def _outside(run: Repeats, known: Values) -> list[list[Any]]:
    """What each place reads of outside: an array, a stack of one for each turn, or None."""

    def given(source: Provider) -> Any:
        if source.kind == "fixed":
            return known[source.values[0]]
        if source.kind == "varying":
            return jnp.stack([known[value] for value in source.values])
        return None

    return [[given(source) for source in each] for each in run.sources]


def _varying(run: Repeats, outside: list[list[Any]]) -> list[list[Any]]:
    """Of what is given from outside, that which the turns have one each of."""
    return [
        [a if s.kind == "varying" else None for s, a in zip(each, given, strict=True)]
        for each, given in zip(run.sources, outside, strict=True)
    ]


def _reads(run: Repeats, j: int, outside, now, written, before) -> list[Any]:
    """What segment j of a turn reads, and what is beside."""
    sources = {"here": written, "before": before}
    return [
        sources[s.kind][s.place]
        if s.kind in sources
        else (own if s.kind == "varying" else fixed)
        for s, fixed, own in zip(run.sources[j], outside[j], now[j], strict=True)
    ]


def _forward(run: Repeats, known: _Known) -> list[Any]:
    """The readings [turns, COLUMNS] of each segment of a turn; its values to `known`."""
    outside, first = _outside(run, known), run.turns[0]
    handed = run.handed()

    def turn(before, now):
        written: dict[Place, Any] = {}
        readings = []
        for j, segment in enumerate(first):
            given = _reads(run, j, outside, now, written, before)
            count = len(segment.reads)
            made, reading = segment.program.forward(given[:count], given[count:])
            written.update(((j, w), array) for w, array in enumerate(made))
            readings.append(reading)
        return {place: written[place] for place in handed}, (written, readings)

    start = {place: known[value] for place, value in handed.items()}
    varying = _varying(run, outside)
    _, (stacks, readings) = jax.lax.scan(turn, start, varying, len(run.turns))
    for (j, w), stack in stacks.items():
        known.has(stack, tuple(turn[j].writes[w] for turn in run.turns))
    return readings


class _Backward:
    """A run's pass back, from the cotangents in `back` to those of what it reads."""

    def __init__(self, run: Repeats, logs: _Logs, known: _Known):
        self.run_of, self.logs, self.known = run, logs, known
        self.back = logs.back
        self.first, self.handed = run.turns[0], run.handed()
        self.outside = _outside(run, known)
        self.alive = self._fixed_and_moved()
        self.external = self._external()

    def _fixed_and_moved(self) -> list[int]:
        """Values of outside, the same for all turns, that have a gradient."""
        return sorted(
            {
                source.values[0]
                for segment, each in zip(self.first, self.run_of.sources, strict=True)
                for place in segment.moved
                if (source := each[place]).kind == "fixed"
            }
        )

    def _external(self) -> dict[Place, Any]:
        """Cotangents by turn of what is read behind the run; of all that has some."""
        pulled, found = self.back.pulled, {}
        for j, segment in enumerate(self.first):
            for w in segment.made:
                values = [turn[j].writes[w] for turn in self.run_of.turns]
                some = [pulled.pop(value, None) for value in values]
                if any(some):
                    found[j, w] = some, self.back.known[values[0]]
        return found

    def _handed_back(self, place: Place) -> Scaled:
        """The cotangent of what the last turn hands on, or a zero."""
        some, _ = self.external.get(place, ([None], None))
        return some[-1] or zero(self.back.known[self.handed[place]])

    def _written_out(self) -> dict[Place, Scaled]:
        """External cotangents that a turn other than the last has too, or has alone."""
        stacks = {}
        for place, (some, like) in self.external.items():
            if place in self.handed:
                some = [*some[:-1], None]  # it begins with the last
            if any(some):
                each = [s or zero(like) for s in some]
                stacks[place] = jax.tree.map(lambda *a: jnp.stack(a), *each)
        return stacks

    def run(self, readings: list[Any]) -> None:
        """Goes through it from its end."""
        back, run = self.back, self.run_of
        moving = [p for p in self.handed if p[1] in self.first[p[0]].made]
        begin = {place: self._handed_back(place) for place in moving}
        fixed = {v: back.pulled.get(v) or zero(back.known[v]) for v in self.alive}
        given = (
            self._stacks(),
            _varying(run, self.outside),
            self._before(),
            readings,
            self._written_out(),
        )
        start = (begin, fixed)
        end, (sizes, varying, lost) = jax.lax.scan(
            self._turn, start, given, reverse=True
        )
        back.lost.append(jnp.any(jnp.stack(lost)))
        self._note(sizes)
        begin, fixed = end
        for place, cotangent in begin.items():
            back.add(self.handed[place], cotangent)
        self._hand_on(fixed, varying)

    def _stacks(self) -> dict[Place, Any]:
        return {
            (j, w): self.known.stacks[value][0]
            for j, segment in enumerate(self.first)
            for w, value in enumerate(segment.writes)
        }

    def _before(self) -> dict[Place, Any]:
        """What each turn has been given by the one before."""
        known = self.back.known
        return {
            place: jnp.concatenate([known[value][None], self._stacks()[place][:-1]])
            for place, value in self.handed.items()
        }

    def _turn(self, carry: Any, given: Any):
        """One turn, its segments in reverse."""
        pending, fixed = carry
        written, now, before, readings, external = given
        pulled = {("here", *place): s for place, s in pending.items()}
        pulled |= {("fixed", value): s for value, s in fixed.items()}
        for place, s in external.items():
            _add(pulled, ("here", *place), s)
        sizes, varying, lost = [], {}, []
        for j in reversed(range(len(self.first))):
            segment = self.first[j]
            sizes.append(self._at(segment.state, pulled))
            if not segment.moves():
                continue
            cotangents = [pulled.pop(("here", j, w)) for w in segment.made]
            reads = _reads(self.run_of, j, self.outside, now, written, before)
            reads = reads[: len(segment.reads)]
            got, gone = segment.program.backward(reads, cotangents, readings[j])
            lost.append(gone)
            for place, g in zip(segment.moved, got, strict=True):
                source = self.run_of.sources[j][place]
                if source.kind == "varying":
                    varying[j, place] = self._needed(source, g)
                elif source.kind == "fixed":
                    _add(pulled, ("fixed", source.values[0]), g)
                elif source.place is not None:
                    _add(pulled, (source.kind, *source.place), g)
        pending = {place: pulled["before", *place] for place in pending}
        fixed = {value: pulled["fixed", value] for value in fixed}
        return (pending, fixed), (sizes[::-1], varying, lost)

    def _at(self, state: LiveSet | None, pulled: dict) -> Any:
        if state is None:
            return None
        keys = [key_of(self.run_of, 0, value) for value in state.values]
        return jnp.stack([pulled[key].size for key in keys])

    def _needed(self, source: Provider, g: Scaled) -> Any:
        """A parameter's size alone, if nothing else reads it."""
        names, readers = self.back.names, self.back.readers
        alone = all(v in names and readers[v] == 1 for v in source.values)
        return g.size if alone else g

    def _note(self, sizes: list[Any]) -> None:
        each = [jax.vmap(log10_norms)(s) for s in sizes if s is not None]
        if each:  # [turns, states of one]
            self.logs.states.append(jnp.reshape(jnp.stack(each, 1), -1)[::-1])

    def _hand_on(self, fixed: dict[int, Scaled], varying: dict[Place, Any]) -> None:
        back = self.back
        for value, cotangent in fixed.items():
            times = sum(
                source.kind == "fixed" and source.values[0] == value
                for segment, each in zip(self.first, self.run_of.sources, strict=True)
                for source in (each[place] for place in segment.moved)
            )
            back.pulled.pop(value, None)
            back.readers[value] -= times * len(self.run_of.turns) - 1
            back.add(value, cotangent)
        for (j, place), stack in varying.items():
            values = self.run_of.sources[j][place].values
            if isinstance(stack, Scaled):
                for turn, value in enumerate(values):
                    back.add(value, jax.tree.map(lambda a, t=turn: a[t], stack))
            else:  # the sizes alone
                self.logs.note([back.names[value] for value in values], stack)


def _add(pulled: dict, key: Any, cotangent: Scaled) -> None:
    pulled[key] = total(pulled[key], cotangent) if key in pulled else cotangent
