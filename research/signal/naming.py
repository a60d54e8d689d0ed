"""States without a scope's name, as NNX and Equinox leave them: named by parameters."""

import os
import re
from collections.abc import Collection

from depthbench.research.signal.segments import Network, Segment

STEP = re.compile(r"step_\d+(:\d+)?")


def by_parameters(network: Network, but: Collection[str] = ()) -> Network:
    """The network with "layers/3" for "step_4", where layers/3 is all that is read there.

    Of several modules the first and the last: "norm…dense".
    but: names in `params` that are no parameters, as of keys and statistics.
    """
    names = {v: [n] for v, n in network.listing.parameters.items() if n not in but}
    for aside in network.asides:  # casts and slices, in an order in which they can run
        names.update(dict.fromkeys(aside.writes, _read(aside, names)))
    taken = {state.name for state in network.states() if not STEP.fullmatch(state.name)}
    segments = [_named(s, _place(_read(s, names)), taken) for s in network.segments]
    return network._replace(segments=tuple(segments))


def _read(segment: Segment, names: dict[int, list[str]]) -> list[str]:
    """The parameters of which a segment reads something, in the order of its equations."""
    reads = (v for e in segment.equations for v in e.reads)
    values = dict.fromkeys(value for value in reads if isinstance(value, int))
    return [*dict.fromkeys(name for v in values for name in names.get(v, ()))]


def _place(read: list[str]) -> str:
    """The module that all of the parameters are in; "" if it has no name."""
    inside = [os.path.dirname(name) or _alone(name) for name in read]
    if not inside or not all(inside):
        return ""
    first, last = inside[0], inside[-1]
    return os.path.commonpath(inside) or f"{first}…{last}"


def _alone(name: str) -> str:
    """A parameter outside of all modules by its own name, if it has one."""
    return "" if name.isdecimal() or name == "params" else name


def _named(segment: Segment, name: str, taken: set[str]) -> Segment:
    state = segment.state
    if state is None or not name or not STEP.fullmatch(state.name):
        return segment
    number, first = 1, name
    while name in taken:
        number += 1
        name = f"{first}:{number}"
    taken.add(name)
    return segment._replace(state=state._replace(name=name))
