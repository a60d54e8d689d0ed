"""What was measured of a net's seeds, as a row and its profiles."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from depthbench.benchmarks.own_model import names
from depthbench.research.signal import profiles
from depthbench.research.signal.measured import Measured
from depthbench.research.signal.states import StatesMeasured
from depthbench.research.study.headlines import listed


def row(seeds: Sequence[StatesMeasured]) -> Measured:
    """The row of a cell, of its seeds."""
    first = seeds[0]
    gradient = _of_all(seeds, "log10_gradient")
    if not gradient.shape[1]:
        why = "no state stands alone between the input and the loss"
        return Measured("no_states", why, {"states": 0})
    length, apart = _of_all(seeds, "log10_length"), _of_all(seeds, "decorrelation")
    saturated = _of_all(seeds, "saturated")
    lost = min(filter(None, map(profiles.lost_at, length, apart)), default=None)
    values: dict[str, Any] = {
        "states": gradient.shape[1],
        "signal_lost_at": lost[0] if lost else None,
        "signal_lost_how": lost[1] if lost else None,
        "signal_lost_in": first.names[lost[0]] if lost else None,
        "saturated": _last(saturated).mean,
        "log10_length": _last(length).mean,
        "log10_length_se": _last(length).error,
        "decorrelation": _last(apart).mean,
        "decorrelation_se": _last(apart).error,
        "zeros": len(first.zeros),
        "without_gradient": len(first.without_gradient),
        "no_gradient_in": _named(first),
    }
    kept = {
        "log10_gradient": gradient,
        "log10_length": _mean(length),
        "decorrelation": _mean(apart),
        "saturated": _mean(saturated),
        "dead": _mean(_of_all(seeds, "dead")),
        "log10_parameter_gradient": np.array(
            [list(s.log10_parameter_gradient.values()) for s in seeds]
        ),
    }
    arrays = {name: np.asarray(array, np.float32) for name, array in kept.items()}
    arrays["state_names"] = names.packed(first.names)
    arrays["parameter_names"] = names.packed(tuple(first.log10_parameter_gradient))
    bad = ~np.all(np.isfinite(gradient), axis=1)
    if np.any(bad):
        status, reason = _ended(gradient, lost, first.names, bad)
        return Measured(status, reason, _plain({**values, "verdict": status}), arrays)
    return Measured(
        "ok", "", _plain({**values, **_decades(gradient, first.names)}), arrays
    )


def _of_all(seeds: Sequence[StatesMeasured], name: str) -> np.ndarray:
    """[seeds, states]"""
    return np.stack([np.asarray(getattr(s, name), np.float64) for s in seeds])


def _mean(array: np.ndarray) -> np.ndarray:
    return array.mean(axis=0)


def _last(values: np.ndarray) -> profiles.SeedMean:
    """Over seeds, at the last state at which all seeds have a number."""
    there = np.flatnonzero(np.all(np.isfinite(values), axis=0))
    return profiles.over_seeds(values[:, there[-1]] if there.size else values[:0, 0])


def _ended(
    gradient: np.ndarray, lost: Any, states: Sequence[str], bad: np.ndarray
) -> tuple[str, str]:
    seeds = f"in {np.sum(bad)} of {bad.size} seeds"
    if lost and lost[1] in ("overflow", "zero"):
        how = "not finite" if lost[1] == "overflow" else "exactly zero"
        status = "overflow" if lost[1] == "overflow" else "lost"
        return status, f"the state is {how} from {states[lost[0]]} on, {seeds}"
    if np.any(np.isnan(gradient) | np.isposinf(gradient)):
        return "overflow", f"the gradient is not finite, {seeds}"
    zero = np.any(np.isneginf(gradient), axis=0)
    last = states[int(np.flatnonzero(zero)[-1])]
    return (
        "lost",
        f"the gradient is exactly zero at {np.sum(zero)} of {zero.size} states, the last "
        f"of them {last}, {seeds}",
    )


def _decades(gradient: np.ndarray, states: Sequence[str]) -> dict[str, Any]:
    """Ratio, slope and verdict, and the states that decide them."""
    layers = gradient.shape[1] - 1
    ratios = profiles.over_seeds(profiles.ratio(gradient), layers)
    slopes = profiles.SeedMean(np.nan, np.nan)
    if layers:
        slopes = profiles.over_seeds(profiles.slope(gradient), 1.0)
    beside_last = (gradient - gradient[:, -1:]).mean(axis=0)
    worst = int(np.argmax(np.abs(beside_last)))
    beyond = np.flatnonzero(np.abs(beside_last) > profiles.SURVIVES)
    return {
        "log10_ratio": ratios.mean,
        "log10_ratio_se": ratios.error,
        "log10_slope": slopes.mean,
        "log10_slope_se": slopes.error,
        "verdict": profiles.verdict(ratios.mean),
        "worst_state": states[worst],
        "log10_worst": profiles.resolved(beside_last[worst], max(layers, 1)),
        "first_bad_state": states[beyond[-1]] if beyond.size else None,
    }


def _named(seed: StatesMeasured) -> str | None:
    """What has no gradient, and why: the first few."""
    zeros = [f"{name}: 0" for name in seed.zeros]
    without = [f"{name}: {why}" for name, why in seed.without_gradient.items()]
    return listed([*without, *zeros], 4) if zeros or without else None


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """What has no number is None."""
    return {
        name: None if isinstance(value, float) and np.isnan(value) else value
        for name, value in values.items()
    }
