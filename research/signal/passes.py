"""The two passes over a network's segments, forward and back, in arrays alone.

Neither chooses by a number, so that both run within jit, vmap and scan; who wants to go
through a segment in another way gives `backward` that way.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from depthbench.research.signal import readings
from depthbench.research.signal.scaled import Scaled, scaled, total
from depthbench.research.signal.segments import LiveSet, Network, Segment

Tree = Any
Values = dict[int, Any]  # arrays, by the numbers of the list's values
# (a segment, what it reads, cotangents of what it makes, the reading of the state at its
# end) -> (cotangents of what is moved, whether some was lost)
Through = Callable[[Segment, list, list[Scaled], Any], tuple[list[Scaled], Any]]
Step = Callable[[Any], None]  # is given what has been made, segment by segment


class Gradients(NamedTuple):
    """The sizes [3] of cotangents (see `Scaled`): of each state's values, of parameters.

    Each is an array [n, 3] or [3]. lost: of each segment whether it lost something.
    """

    states: list[list[Any]]
    parameters: dict[str, Any]
    lost: list[Any]


def forward(
    network: Network, params: Tree, x: Tree, step: Step | None = None
) -> tuple[Values, list[Any]]:
    """(the values of the leaves and of all that is handed on, the states' readings)."""
    known, read = begin(network, params, x)
    for segment in (*network.asides, *network.segments):
        given = ([known[v] for v in each] for each in (segment.reads, segment.beside))
        made, reading = segment.program.forward(*given)
        known.update(zip(segment.writes, made, strict=True))
        if reading is not None:
            read.append(reading)
        if step is not None:
            step(made)
    return known, read


def begin(network: Network, params: Tree, x: Tree) -> tuple[Values, list[Any]]:
    """(the values of the leaves and constants, the reading of the input if a state)."""
    listing = network.listing
    leaves = map(_on_device, jax.tree.leaves((params, x)))
    places = (*listing.parameters, *listing.inputs)
    known = dict(zip(places, leaves, strict=True))
    known.update((v, jnp.asarray(a)) for v, a in listing.constants.items())
    if network.start is None:
        return known, []
    return known, [_reading([known[v] for v in network.start.values], network.batch)]


def _on_device(array: Any) -> jax.Array:
    # Which takes 20 µs even where there is nothing to do.
    return array if isinstance(array, jax.Array) else jnp.asarray(array)


def _reading(values: list[Any], batch: int | None) -> Any:
    return _jitted_reading(values, (), batch)


_jitted_reading = jax.jit(readings.reading, static_argnums=2)
_one = jax.jit(lambda value: scaled(jnp.ones_like(value)))  # of its shape and dtype


def backward(
    network: Network,
    known: Values,
    read: list[Any],
    through: Through,
    step: Step | None = None,
) -> Gradients:
    """The sizes of all cotangents; those before a state that is not finite are marked.

    read: the states' readings.
    """
    back = Back(network, known, through)
    of_states = iter(read[::-1])
    for segment in network.segments[::-1]:
        made = back.segment(segment, segment.state and next(of_states))
        if step is not None and segment.moves():
            step(made)
    back.at(network.start)
    for segment in network.asides:
        made = back.segment(segment, None)
        if step is not None and segment.moves():
            step(made)
    return back.gradients()


class Back:
    """A pass back, at a place in it: the cotangents pulled there, and sizes so far.

    Cotangents are dropped as soon as what they are of has been gone through.
    """

    def __init__(self, network: Network, known: Values, through: Through):
        self.known, self.through = known, through
        one = _one(known[network.listing.loss])
        self.pulled: dict[int, Scaled] = {network.listing.loss: one}
        self.names = {v: name for name, v in network.parameters().items()}
        self.readers = Counter(
            s.reads[place] for s in network.back() for place in s.moved
        )
        self.states: list[list[Any]] = []
        self.parameters: dict[str, Any] = {}
        self.lost: list[Any] = []

    def at(self, state: LiveSet | None) -> None:
        """Notes the sizes at a state that has been arrived at."""
        if state is not None:
            self.states.append([self.pulled[v].size for v in state.values])

    def segment(self, segment: Segment, reading: Any) -> list[Any]:
        """Goes through one, from the state at its end; returns the sizes it gives."""
        self.at(segment.state)
        if not segment.moves():
            return []
        cotangents = [self.pulled.pop(segment.writes[place]) for place in segment.made]
        reads = [self.known[v] for v in segment.reads]
        got, gone = self.through(segment, reads, cotangents, reading)
        self.lost.append(gone)
        for place, g in zip(segment.moved, got, strict=True):
            self.add(segment.reads[place], g)
        return [g.size for g in got]

    def add(self, value: int, cotangent: Scaled) -> None:
        """Adds to a value what one of its readers gives."""
        if value in self.pulled:
            cotangent = total(self.pulled[value], cotangent)
        self.pulled[value] = cotangent
        self.readers[value] -= 1
        if value in self.names and not self.readers[value]:
            self.parameters[self.names[value]] = self.pulled.pop(value).size

    def gradients(self) -> Gradients:
        """All that has been noted."""
        return Gradients(self.states[::-1], self.parameters, self.lost)


def plainly(segment: Segment, reads: list, cotangents: list[Scaled], reading: Any):
    """The way through a segment in its own dtype; a Through."""
    return segment.program.backward(reads, cotangents, reading)
