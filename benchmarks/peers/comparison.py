"""Sides of one task: started, found to compute the same, and timed in turn."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from depthbench.benchmarks.peers import torch_loop
from depthbench.benchmarks.peers.case import Case, Peer, Problem, Side, Weights
from depthbench.research.lazy import lazily
from depthbench.research.study.tables import number

with lazily():
    import jax

    from depthbench.benchmarks.peers import in_depthbench
    from depthbench.research.architectures.recurrent import sequence
    from depthbench.research.machine import timing

BASE = "depthbench"
SMALL = 1e-2  # gradients below this share of the whole are compared with it
STEPS = 3  # their losses are compared: the second depends on the update
FULL, FAILED = "out of memory", "failed"  # what reasons begin with
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
) -> dict[str, dict[str, Any] | str]:
    """Columns of ours and of each peer, by name; or why one was not timed."""
    with lenient():
        trials, failures = start(case, task, peers)
        seconds = take(trials, rounds)
    firsts = trials[BASE].first_s
    values = {n: _values(n, one, seconds, firsts) for n, one in trials.items()}
    return {**values, **failures}


def compare_large(
    case: Case, task: Problem, peers: Mapping[str, Peer], rounds: int
) -> dict[str, dict[str, Any] | str]:
    """The same, each side alone and gone before the next; or why one was not timed.

    PyTorch's come first: what it gives back the device has, and what jax took it keeps.
    Ours is next, so that any other has what it is compared with when time runs out.
    """
    began = time.monotonic()
    seen: dict[str, Alone | str] = {}
    for name in sorted([BASE, *peers], key=lambda name: _rank(name, peers)):
        if name != BASE and time.monotonic() - began > case.large:
            seen[name] = f"not begun: the case's {case.large:g} s were over"
            continue
        with lenient(), jax.default_matmul_precision("default"):
            seen[name] = _alone(case, task, peers.get(name), rounds)
        gc.collect()
        jax.clear_caches()
        if not torch_loop.absent():
            torch_loop.give_back()
    ours = seen[BASE]
    if isinstance(ours, str):
        return {name: ours for name in seen}
    return {
        name: one if isinstance(one, str) else _large_values(case, name, one, ours)
        for name, one in seen.items()
    }


def _rank(name: str, peers: Mapping[str, Peer]) -> int:
    if name == BASE:
        return 1
    return 0 if peers[name].outside else 2


class Alone(NamedTuple):
    """A side that is gone. losses: of its first steps. peak: bytes, where known."""

    form: str
    first_s: float
    losses: np.ndarray
    seconds: np.ndarray
    peak: int | None


def _alone(case: Case, task: Problem, peer: Peer | None, rounds: int) -> Alone | str:
    """A side's losses, times and memory; or why it has none."""
    form = f"training.step of {case.architecture}, {task.loop}"
    try:
        if peer is None:
            side = in_depthbench.side(task)
        else:
            assert peer.side is not None
            build = peer.nets[case.form]
            form = (build.__doc__ or "").partition("\n")[0]
            side = peer.side(build(task.weights, task.x.shape[1:]), task)
        first = _first(side)
        if peer is not None and peer.outside:
            # What cuDNN and a compiler tried out was of the first step alone; XLA's plan
            # has none of that either.
            torch_loop.forget_peak()
        losses = _losses(first.result, side.step)
        seconds = timing.interleaved({form: side.step}, rounds)[form]
        return Alone(form, first.total_s, losses, seconds, side.peak())
    except RuntimeError as error:
        why = _failure(error)
        if peer is None and not why.startswith(FULL):
            raise
        return why


def _failure(error: RuntimeError) -> str:
    """What a library, its compiler or the device says: jax's and PyTorch's errors."""
    first = next(iter(str(error).splitlines()), "")
    if any(word in str(error) for word in ("RESOURCE_EXHAUSTED", "of memory")):
        return f"{FULL}: {first}"
    return f"{FAILED}: {type(error).__name__}: {first}"


def _large_values(case: Case, name: str, one: Alone, ours: Alone) -> dict[str, Any]:
    # Of the first loss: two steps of a ResNet-50 make 5 % of it of a millionth.
    far = apart([one.losses[:1]], [ours.losses[:1]])
    agrees = far <= case.tolerance and bool(np.all(np.isfinite(one.losses)))
    trial = Trial(lambda: None, one.form, one.first_s, far, agrees)
    seconds = {name: one.seconds, BASE: ours.seconds}
    values = _values(name, trial, seconds, ours.first_s)
    return {**values, "peak_gib": one.peak and one.peak / 2**30}


def start(
    case: Case, task: Problem, peers: Mapping[str, Peer]
) -> tuple[dict[str, Trial], dict[str, str]]:
    """Ours and the peers' sides, each after its first steps, compared with ours; and why
    a peer's failed.

    jax's caches are cleared before each: what sides have in common, each pays.
    """
    outputs = np.asarray(in_depthbench.outputs(task))
    our_side = in_depthbench.side(task)
    first = _first(our_side)
    gradients = case.arrange(jax.device_get(our_side.gradients()))
    ours = [outputs, _losses(first.result, our_side.step)]
    form = f"training.step of {case.architecture}, {task.loop}"
    if case.form == "lstm":
        form = f"{form}, {sequence.form()}"
    trials = {BASE: Trial(our_side.step, form, first.total_s, 0.0, True)}
    failures = {}
    for name, peer in peers.items():
        try:
            trials[name] = _started(peer, case, task, gradients, ours)
        except RuntimeError as error:
            failures[name] = _failure(error)
    for trial in trials.values():
        trial.step()  # compiles again what was cleared for the next one
    return trials, failures


def _started(
    peer: Peer, case: Case, task: Problem, gradients: Weights, ours: list[np.ndarray]
) -> Trial:
    """A peer's side after its first steps. gradients, ours (outputs, losses): expected."""
    assert peer.side is not None  # ours alone has none
    build, sizes = peer.nets[case.form], task.x.shape[1:]
    side = peer.side(build(task.weights, sizes), task)
    first = _first(side)
    their_gradients = jax.device_get(side.gradients())
    expected = peer.leaves(build(gradients, sizes))
    theirs = [_on_host(first.result[1]), _losses(first.result, side.step)]
    largest = max(apart(their_gradients, expected), apart(theirs, ours))
    form = (build.__doc__ or "").partition("\n")[0]
    return Trial(side.step, form, first.total_s, largest, largest <= case.tolerance)


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
