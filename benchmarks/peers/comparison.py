"""Sides of one task: started, found to compute the same, and timed in turn."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from depthbench.benchmarks.peers.case import Case, Peer, Problem, Side
from depthbench.research.lazy import lazily
from depthbench.research.study.tables import number

with lazily():
    import jax

    from depthbench.benchmarks.peers import in_depthbench
    from depthbench.research.machine import timing

BASE = "depthbench"
SMALL = 1e-2  # gradients below this share of the whole are compared with it
STEPS = 3  # their losses are compared: the second depends on the update
REST = 0.005  # seconds: threads of one side spin for a while after its step


class Trial(NamedTuple):
    """A side that has been started.

    form: what its net is made of. first_s: until its first step's end.
    largest: how far it is from ours, see `apart`. agrees: that is near enough.
    """

    step: Callable[[], Any]
    form: str
    first_s: float
    largest: float
    agrees: bool


@contextmanager
def lenient() -> Iterator[None]:
    """Shapes and dtypes mixed as libraries do, where a session is stricter."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


def compare(
    case: Case, task: Problem, peers: Mapping[str, Peer], rounds: int
) -> dict[str, dict[str, Any]]:
    """Columns of ours and of each peer, by name."""
    with lenient():
        trials = start(case, task, peers)
        seconds = take(trials, rounds)
    firsts = trials[BASE].first_s
    return {name: _values(name, one, seconds, firsts) for name, one in trials.items()}


def start(case: Case, task: Problem, peers: Mapping[str, Peer]) -> dict[str, Trial]:
    """Ours and the peers' sides, each after its first steps, compared with ours.

    jax's caches are cleared before each: what sides have in common, each pays.
    """
    outputs = np.asarray(in_depthbench.outputs(task))
    our_side = in_depthbench.side(task)
    first = _first(our_side)
    gradients = case.arrange(jax.device_get(our_side.gradients()))
    ours = [outputs, _losses(first.result, our_side.step)]
    form = f"training.step of {case.architecture}, {task.loop}"
    trials = {BASE: Trial(our_side.step, form, first.total_s, 0.0, True)}
    for name, peer in peers.items():
        assert peer.side is not None  # ours, which is started above
        build, sizes = peer.nets[case.form], task.x.shape[1:]
        side = peer.side(build(task.weights, sizes), task)
        first = _first(side)
        their_gradients = jax.device_get(side.gradients())
        expected = peer.leaves(build(gradients, sizes))
        theirs = [_on_host(first.result[1]), _losses(first.result, side.step)]
        largest = max(apart(their_gradients, expected), apart(theirs, ours))
        agrees = largest <= case.tolerance
        form = (build.__doc__ or "").partition("\n")[0]
        trials[name] = Trial(side.step, form, first.total_s, largest, agrees)
    for trial in trials.values():
        trial.step()  # compiles again what was cleared for the next one
    return trials


def _on_host(array: Any) -> np.ndarray:
    """As NumPy's, which takes PyTorch's from its CPU alone."""
    return np.asarray(array.cpu() if hasattr(array, "cpu") else array)


def _first(side: Side) -> Any:
    """timing.First of a step that finds nothing in jax's caches."""
    jax.clear_caches()
    return timing.first(side.step)


def _losses(first: tuple[Any, Any], step: Callable) -> np.ndarray:
    """The losses of the first few steps."""
    losses = [first[0], *(step()[0] for _ in range(STEPS - 1))]
    return np.array([float(loss) for loss in losses])


def apart(results: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """The largest relative difference of arrays, one by one.

    What is nearly nothing beside the rest (a key's bias has no gradient at all, but for
    rounding) is compared with a share of the whole instead of with itself.
    """
    norm = lambda array: float(np.linalg.norm(np.asarray(array, np.float64)))
    whole = norm([norm(array) for array in expected])
    pairs = zip(results, expected, strict=True)
    return max(norm(a - b) / max(norm(b), SMALL * whole) for a, b in pairs)


def take(trials: dict[str, Trial], rounds: int) -> dict[str, np.ndarray]:
    """Seconds [rounds] of the steps of all that agree, in turn with rests between."""
    calls: dict[str, Callable] = {}
    for name, trial in trials.items():
        if trial.agrees:
            calls[name] = trial.step
            calls[f"rest after {name}"] = lambda: time.sleep(REST)
    return timing.interleaved(calls, rounds)


def _values(
    name: str, trial: Trial, seconds: dict[str, np.ndarray], own_first_s: float
) -> dict[str, Any]:
    values = {
        "form": trial.form,
        "first_step_s": trial.first_s,
        "first_ratio": trial.first_s / own_first_s,
        "agrees": trial.agrees,
        "largest_difference": trial.largest,
    }
    if not trial.agrees:
        return values
    step = timing.times(seconds[name])
    ratio = timing.ratio(seconds[name], seconds[BASE])
    return {
        **values,
        "step_ms": step.median_ms,
        "step_ms_low": step.low_ms,
        "step_ms_high": step.high_ms,
        "n": step.n,
        "ratio": ratio.median,
        "ratio_low": ratio.low,
        "ratio_high": ratio.high,
    }


def differs(values: Mapping[str, Any]) -> str:
    """Why a side that does not agree is not timed."""
    far = number(values["largest_difference"])
    return f"outputs, gradients or losses differ from ours by {far} of their size"
