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
named in `zeros`, and what no gradient can reach in `without_gradient`. A state that is
not finite is named in `overflowed`; what comes before it has no gradient (nan).

`arrays(network, params, x)` is the same as a function of arrays alone, for jit, vmap and
scan: nothing is gone through again, and what may be lost is marked.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.signal import passes, readings, rolled, wide
from depthbench.research.signal.passes import Gradients, Values
from depthbench.research.signal.scaled import Scaled, log10_norm
from depthbench.research.signal.segments import Network, Segment

Tree = Any
Progress = Callable[[int, int], None]  # (segments gone through, all of them)


class StatesMeasured(NamedTuple):
    """What is measured of a function; the states are in the order of its equations.

    value: the loss.
    names: of the states.
    log10_gradient: [states] log10 ‖∂loss/∂h‖ over the whole batch; nan before a state
      that is not finite.
    log10_length: [states] log10 of the mean square; not finite where the state is not.
    decorrelation: [states] 1 − mean correlation of two examples; nan where a state has
      no axis of the batch in front.
    saturated: [states] share of the units, of what looks like an activation between the
      state before and this one (`nonlinearities`), whose |φ′| is below 1 % of the
      steepest for every example; the mean over activations, nan without one.
    dead: [states] share of those units whose φ′ is 0 for every example.
    log10_parameter_gradient: log10 ‖∂loss/∂θ‖ of each parameter that has one.
    without_gradient: the parameters that have none, and why.
    zeros: states and parameters whose gradient is 0 in float64 too (−inf above).
    overflowed: states that are not finite.
    widened: how many segments were gone through in float64.
    """

    value: float
    names: tuple[str, ...]
    log10_gradient: np.ndarray
    log10_length: np.ndarray
    decorrelation: np.ndarray
    saturated: np.ndarray
    dead: np.ndarray
    log10_parameter_gradient: dict[str, float]
    without_gradient: dict[str, str]
    zeros: tuple[str, ...]
    overflowed: tuple[str, ...]
    widened: int


class StatesArrays(NamedTuple):
    """`StatesMeasured` in arrays: states as `network.states()`, parameters in the order of
    `network.parameters()`.

    lost, lost_parameters: where a gradient is nan since it could not be told from 0 in
      float32, or since a state behind it is not finite.
    Logs are float32's: 10^-6290 is known to 5e-4 decades.
    """

    value: jax.Array
    log10_gradient: jax.Array
    log10_length: jax.Array
    decorrelation: jax.Array
    saturated: jax.Array
    dead: jax.Array
    log10_parameter_gradient: jax.Array
    lost: jax.Array
    lost_parameters: jax.Array


def measured(
    network: Network, params: Tree, x: Tree, progress: Progress | None = None
) -> StatesMeasured:
    """What is measured of the network; params and x have the shapes it was traced with.

    progress: is told how many segments have been gone through, of how many; the number
      of all grows if some have to be gone through again.
    """
    step = None if progress is None else _Steps(network, progress)
    known, read = passes.forward(network, params, x, step)
    gradients = passes.backward(network, known, read, passes.plainly, step)
    value, read_now, got = jax.device_get(
        (known[network.listing.loss], read, gradients)
    )
    widened = 0
    if any(got.lost):  # else nothing waits for a result in between
        careful = _Careful(network, known)
        if step is not None:
            step.again()
        again = passes.backward(network, known, read, careful.through, step)
        got, widened = jax.device_get(again), careful.widened
    return _measured(network, float(value), np.array(read_now), got, widened)


def _measured(
    network: Network, value: float, read: np.ndarray, got: Gradients, widened: int
) -> StatesMeasured:
    names = tuple(state.name for state in network.states())
    read = read.reshape(len(names), len(readings.COLUMNS)).astype(np.float64)
    finite = readings.is_finite(read)
    states = np.array([log10_norm(sizes) for sizes in got.states], np.float64)
    states[np.logical_or.accumulate(~finite[::-1])[::-1]] = np.nan
    parameters = {name: log10_norm([size]) for name, size in got.parameters.items()}
    logs = (*zip(names, states, strict=True), *parameters.items())
    return StatesMeasured(
        value=value,
        names=names,
        log10_gradient=states,
        **dict(zip(readings.COLUMNS, read.T, strict=True)),
        log10_parameter_gradient=parameters,
        without_gradient=network.without_gradient,
        zeros=tuple(name for name, log in logs if np.isneginf(log)),
        overflowed=tuple(n for n, good in zip(names, finite, strict=True) if not good),
        widened=widened,
    )


def arrays(network: Network, params: Tree, x: Tree) -> StatesArrays:
    """What is measured of the network, within jit, vmap over seeds, cond or scan.

    Equal to `measured` wherever that needs no float64; nan, and marked, elsewhere.
    """
    value, profiles, states, parameters = rolled.passed(network, params, x)
    # A state that is not finite, and all before it.
    broken = jnp.cumsum(~readings.is_finite(profiles)[::-1])[::-1] > 0
    states = jnp.where(broken, jnp.nan, states)
    return StatesArrays(
        value=value,
        log10_gradient=states,
        **dict(zip(readings.COLUMNS, profiles.T, strict=True)),
        log10_parameter_gradient=parameters,
        lost=jnp.isnan(states),
        lost_parameters=jnp.isnan(parameters),
    )


class _Steps:
    """Tells of progress, when what is given to it has been computed."""

    def __init__(self, network: Network, progress: Progress):
        self.progress, self.done = progress, 0
        self.back = len(network.back())
        self.total = len(network.segments) + len(network.asides) + self.back

    def __call__(self, made: Any) -> None:
        jax.block_until_ready(made)
        self.done += 1
        self.progress(self.done, self.total)

    def again(self) -> None:
        """Another pass back comes."""
        self.total += self.back


class _Careful:
    """The way through segments in float64, where float32 loses something."""

    def __init__(self, network: Network, known: Values):
        self.network, self.known = network, known
        self.widened = 0

    def through(self, segment: Segment, reads: list, cotangents: list, reading: Any):
        """As `passes.plainly`."""
        got, lost = passes.plainly(segment, reads, cotangents, reading)
        return (self._wide(segment, cotangents) if lost else got), lost

    def _wide(self, segment: Segment, cotangents: list[Scaled]) -> list[Scaled]:
        self.widened += 1
        wanted = [segment.reads[place] for place in segment.moved]
        writes = [segment.writes[place] for place in segment.made]
        made = wide.backward(
            segment.equations,
            {value: self.known[value] for value in segment.reads},
            dict(zip(writes, jax.device_get(cotangents), strict=True)),
            wanted,
            self.network.flow.moving,
        )
        # As the programs give it, or what adds them up is compiled once more.
        return [
            s._replace(array=jnp.asarray(s.array, self.known[value].dtype))
            for s, value in zip(made, wanted, strict=True)
        ]


def rows(measured: StatesMeasured) -> Iterator[dict[str, Any]]:
    """A dictionary of each state."""
    columns = ("log10_gradient", *readings.COLUMNS)
    for place, name in enumerate(measured.names):
        numbers = {c: float(getattr(measured, c)[place]) for c in columns}
        yield {"state": name, **numbers}
