"""Segments that repeat, as scans: what a pass of arrays alone compiles once.

A run is a number of segments, one or several blocks' (attention, MLP), that comes again
and again, each time wired alike. What each reads is written in the same turn or in the one
before, is the same for all turns, or is another value in each (its weights): these are
stacked.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
from jax.extend.core import primitives

from depthbench.research.signal.equations import holds
from depthbench.research.signal.segments import Network, Segment

LEAST = 4  # turns, below which segments are written out
PERIODS = range(1, 9)  # segments of a turn
Place = tuple[int, int]  # which of a turn's segments, and which of what it writes


class Provider(NamedTuple):
    """Where what is read comes from: this turn, the one before, or outside.

    values: by turn, of what comes from outside; of "before" the first alone.
    """

    kind: str  # "here", "before", "fixed" or "varying"
    place: Place | None
    values: tuple[int, ...]


class Repeats(NamedTuple):
    """turns: [turns][period] segments; sources: [period][reads and beside]."""

    turns: tuple[tuple[Segment, ...], ...]
    sources: tuple[tuple[Provider, ...], ...]

    def handed(self) -> dict[Place, int]:
        """What one turn hands to the next, and the value that the first one is given."""
        return {
            source.place: source.values[0]
            for each in self.sources
            for source in each
            if source.kind == "before" and source.place is not None
        }


def pieces(network: Network) -> list[Segment | Repeats]:
    """The segments in order, those that repeat as runs."""
    segments, made, place = network.segments, [], 0
    if _slow_in_loops(segments):
        return [*segments]
    while place < len(segments):
        run = _longest(segments[place:])
        made.append(run or segments[place])
        place += len(run.turns) * len(run.turns[0]) if run else 1
    return made


def _slow_in_loops(segments: Sequence[Segment]) -> bool:
    """Whether a loop of these costs ten times as much: of convolutions on CPUs."""
    if jax.default_backend() != "cpu":
        return False
    programs = {segment.program for segment in segments}
    return any(
        holds(program.closed.jaxpr, primitives.conv_general_dilated_p)
        for program in programs
    )


def _longest(segments: Sequence[Segment]) -> Repeats | None:
    """The run that these begin with, the longest there is."""
    best = None
    for period in PERIODS:
        same = 0
        while same + period < len(segments) and (
            segments[same].program is segments[same + period].program
        ):
            same += 1
        count = 1 + same // period
        covered = len(best.turns) * len(best.turns[0]) if best else 0
        if count >= LEAST and count * period > covered:
            parts = [segments[i * period : (i + 1) * period] for i in range(count)]
            best = _run(tuple(map(tuple, parts))) or best
    return best


def _run(turns: tuple[tuple[Segment, ...], ...]) -> Repeats | None:
    """The turns wired, or None where these are not wired alike."""
    writer = {
        value: (i, (j, w))
        for i, turn in enumerate(turns)
        for j, segment in enumerate(turn)
        for w, value in enumerate(segment.writes)
    }
    sources = []
    for j in range(len(turns[0])):
        given = [(*turn[j].reads, *turn[j].beside) for turn in turns]
        each = [_source(values, writer) for values in zip(*given, strict=True)]
        if not all(each):
            return None
        sources.append(tuple(source for source in each if source))
    run = Repeats(turns, tuple(sources))
    return run if _sound(run) else None


def _source(values: Sequence[int], writer: dict[int, tuple[int, Place]]):
    """The source of what is read in one place, turn by turn; None if it is none of ours."""
    written = [writer.get(value) for value in values]
    if not any(written):
        kind = "fixed" if len({*values}) == 1 else "varying"
        return Provider(kind, None, tuple(values))
    places = {at[1] for at in written[1:] if at}
    if len(places) != 1 or not all(written[1:]):
        return None
    (place,) = places
    ages = {i - at[0] for i, at in enumerate(written) if at}
    if ages == {0} and written[0]:
        return Provider("here", place, ())
    if ages == {1} and not written[0]:
        return Provider("before", place, tuple(values[:1]))
    return None


def _sound(run: Repeats) -> bool:
    """Whether a turn is given one value of each kind, and its states are its own."""
    handed = run.handed()
    given = [s for each in run.sources for s in each if s.kind == "before"]
    if any(s.place and handed[s.place] != s.values[0] for s in given):
        return False
    for i, turn in enumerate(run.turns):
        written = {v for segment in turn for v in segment.writes}
        for j, segment in enumerate(turn):
            if (segment.state is None) != (run.turns[0][j].state is None):
                return False
            values = () if segment.state is None else segment.state.values
            outside = [v for v in values if v not in written]
            if any(v not in _fixed(run) for v in outside):
                return False
            if i and _form(run, 0, j) != _form(run, i, j):
                return False
    return True


def _fixed(run: Repeats) -> set[int]:
    sources = (source for each in run.sources for source in each)
    return {s.values[0] for s in sources if s.kind == "fixed"}


def _form(run: Repeats, i: int, j: int) -> list[tuple]:
    """Where a state's values are, by places alone."""
    state = run.turns[i][j].state
    return [key_of(run, i, v) for v in (state.values if state else ())]


def key_of(run: Repeats, turn: int, value: int) -> tuple:
    """A value that is written in a turn, or that is fixed, by its place."""
    for j, segment in enumerate(run.turns[turn]):
        if value in segment.writes:
            return ("here", j, segment.writes.index(value))
    return ("fixed", value)
