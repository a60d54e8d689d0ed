"""The signal at each state of any function: gradients in log scale, lengths, examples.

`measured(segments.network(f, params, x, loss), params, x)` has the gradient's size at
each state and of each parameter, equal to automatic differentiation where that does not
underflow.

How it is done. The segments run forward, and what one reads of another is kept: the
states. Backward, each segment computes its inside again. Cotangents have a power of two
of their own, value by value (`scaled`), so that neither depth nor a path beside a
smaller one is lost; what comes from several segments is added under a common power,
signs and all. A segment in which a cotangent nears the smallest number of its dtype, or
is 0, is gone through again in float64, equation by equation (`wide`). What is 0 then is
named in `zeros`, and what no gradient can reach in `without_gradient`.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from research.signal import probes, wide
from research.signal.scaled import Scaled, log10_norm, scaled, total
from research.signal.segments import LiveSet, Network, Segment

Tree = Any
_scaled = jax.jit(scaled)


class StatesMeasured(NamedTuple):
    """What is measured of a function; the states are in the order of its equations.

    value: the loss.
    names: of the states.
    log10_gradient: [states] log10 ‖∂loss/∂h‖ over the whole batch.
    log10_length: [states] log10 of the mean square.
    decorrelation: [states] 1 − mean correlation of two examples. Both are nan where a
      state has no axis of the batch in front.
    log10_parameter_gradient: log10 ‖∂loss/∂θ‖ of each parameter that has one.
    without_gradient: the parameters that have none, and why.
    zeros: states and parameters whose gradient is 0 in float64 too (−inf above).
    widened: how many segments were gone through in float64.
    """

    value: float
    names: tuple[str, ...]
    log10_gradient: np.ndarray
    log10_length: np.ndarray
    decorrelation: np.ndarray
    log10_parameter_gradient: dict[str, float]
    without_gradient: dict[str, str]
    zeros: tuple[str, ...]
    widened: int


def measured(network: Network, params: Tree, x: Tree) -> StatesMeasured:
    """What is measured of the network; params and x have the shapes it was traced with."""
    known = _forward(network, params, x)
    gradients = _Backward(network, known)
    at_states, at_parameters = gradients.run()
    batch = next((a.shape[0] for a in jax.tree.leaves(x) if np.ndim(a)), None)
    spreads = [_spread([known[v] for v in s.values], batch) for s in network.states()]
    value = known[network.listing.loss]
    sizes = jax.tree.map(_size, (at_states, at_parameters), is_leaf=_is_scaled)
    got = jax.device_get((value, *sizes, spreads))
    value, at_states, at_parameters, spreads = got
    names = tuple(state.name for state in network.states())
    states = np.array([log10_norm(parts) for parts in at_states])
    parameters = {name: log10_norm([s]) for name, s in at_parameters.items()}
    logs = (*zip(names, states, strict=True), *parameters.items())
    return StatesMeasured(
        value=float(value),
        names=names,
        log10_gradient=states,
        log10_length=np.array([length for length, _ in spreads], np.float64),
        decorrelation=np.array([apart for _, apart in spreads], np.float64),
        log10_parameter_gradient=parameters,
        without_gradient=network.without_gradient,
        zeros=tuple(name for name, log in logs if np.isneginf(log)),
        widened=gradients.widened,
    )


def _is_scaled(tree: Any) -> bool:
    return isinstance(tree, Scaled)


def _size(cotangent: Scaled) -> Scaled:
    """Without the array, which need not come to the host."""
    return cotangent._replace(array=None)


def _forward(network: Network, params: Tree, x: Tree) -> dict[int, Any]:
    """The values of the leaves, and of all that a segment reads of another."""
    listing = network.listing
    leaves = map(jnp.asarray, jax.tree.leaves((params, x)))
    places = (*listing.parameters, *listing.inputs)
    known = dict(zip(places, leaves, strict=True))
    known.update((v, jnp.asarray(a)) for v, a in listing.constants.items())
    for segment in (*network.asides, *network.segments):
        made = segment.program.forward([known[v] for v in segment.reads])
        known.update(zip(segment.writes, made, strict=True))
    return known


class _Backward:
    """One pass back over all segments; a second one if something was lost in it."""

    def __init__(self, network: Network, known: dict[int, Any]):
        self.network, self.known = network, known
        self.widened = 0

    def run(self) -> tuple[list[list[Scaled]], dict[str, Scaled]]:
        """The cotangents of the states' values, and of the parameters, by name."""
        at_states, at_parameters, lost = self._pass(careful=False)
        if any(jax.device_get(lost)):  # else nothing waits for a result in between
            at_states, at_parameters, _ = self._pass(careful=True)
        return at_states, at_parameters

    def _pass(self, careful: bool):
        listing, lost, at_states = self.network.listing, [], []
        one = _scaled(jnp.ones_like(self.known[listing.loss]))
        pulled: dict[int, Scaled] = {listing.loss: one}

        def at(state: LiveSet | None) -> None:
            if state is not None:
                at_states.append([pulled[v] for v in state.values])

        for segment in reversed(self.network.segments):
            at(segment.state)
            lost.append(self._through(segment, pulled, careful))
        at(self.network.start)
        for segment in self.network.asides:
            if segment.made:
                lost.append(self._through(segment, pulled, careful))
        at_parameters = {
            name: pulled[value]
            for value, name in listing.parameters.items()
            if value in pulled and name not in self.network.without_gradient
        }
        return (
            at_states[::-1],
            at_parameters,
            [flag for flag in lost if flag is not None],
        )

    def _through(self, segment: Segment, pulled: dict[int, Scaled], careful: bool):
        """Whether something was lost; adds the segment's cotangents to `pulled`."""
        if not segment.moved or not segment.made:
            return None
        reads = [self.known[v] for v in segment.reads]
        cotangents = [pulled[segment.writes[place]] for place in segment.made]
        got, lost = segment.program.backward(reads, cotangents)
        if careful and lost:
            got = self._wide(segment, pulled)
        for place, g in zip(segment.moved, got, strict=True):
            value = segment.reads[place]
            pulled[value] = total(pulled[value], g) if value in pulled else g
        return lost

    def _wide(self, segment: Segment, pulled: dict[int, Scaled]) -> list[Scaled]:
        self.widened += 1
        wanted = [segment.reads[place] for place in segment.moved]
        writes = [segment.writes[place] for place in segment.made]
        made = wide.backward(
            segment.equations,
            {value: self.known[value] for value in segment.reads},
            jax.device_get({value: pulled[value] for value in writes}),
            wanted,
            self.network.flow.moving,
        )
        own = [self.known[value].dtype for value in wanted]
        return [
            Scaled(jnp.asarray(s.array, dtype), jnp.asarray(s.exponent), s.norm)
            for s, dtype in zip(made, own, strict=True)
        ]


def _spread(arrays: Iterable[Any], batch: int | None) -> tuple[Any, Any]:
    """(log10 of the mean square, 1 − mean correlation of two examples)."""
    arrays = list(arrays)
    if not all(a.ndim and a.shape[0] == batch for a in arrays):
        return np.nan, np.nan
    return _spread_of(arrays)


@jax.jit
def _spread_of(arrays: list[Any]) -> tuple[Any, Any]:
    doubles = any(a.dtype == jnp.float64 for a in arrays)
    dtype = jnp.float64 if doubles else jnp.float32
    return probes.spread([a.astype(dtype) for a in arrays])


def rows(measured: StatesMeasured) -> Iterator[dict[str, Any]]:
    """A dictionary of each state."""
    columns = (measured.log10_gradient, measured.log10_length, measured.decorrelation)
    for name, gradient, length, apart in zip(measured.names, *columns, strict=True):
        yield {
            "state": name,
            "log10_gradient": float(gradient),
            "log10_length": float(length),
            "decorrelation": float(apart),
        }
