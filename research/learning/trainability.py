"""Does it train? One network setting and recipe, one row of numbers over seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from research.catalogues.initializers import INITIALIZERS, NoCriticalPoint
from research.catalogues.optimizers import OPTIMIZERS, Hyper, tried
from research.learning import sweeps
from research.learning.jobs import Rules, Setup
from research.learning.sweeps import Run, Trained
from research.learning.training import LARGEST
from research.signal import measurement, profiles
from research.signal.measurement import Result

POINTS = 200  # of a loss curve that is kept, at most
WINDOW = 20  # steps whose batches are taken together when a target is looked for

NUMBERS = [n for n in Hyper._fields if n != "steps"]


def setup_of(settings: Mapping[str, Any]) -> Setup:
    """The static part of a cell's settings."""
    names = {**settings, "draw": INITIALIZERS[settings["initializer"]].draw}
    return Setup(**{name: names[name] for name in Setup._fields})


def run_of(settings: Mapping[str, Any], seed: int) -> Run:
    """The traced part of a cell's settings. Raises NoCriticalPoint."""
    rules = Rules(*measurement.member(settings))
    given = {name: settings[name] for name in NUMBERS}
    hyper = OPTIMIZERS[settings["optimizer"]].hyper(**given, steps=settings["steps"])
    return Run(seed, rules, hyper)


def runs_of(settings: Mapping[str, Any]) -> list[Run]:
    """A cell's runs, one for each seed. Raises NoCriticalPoint."""
    return [run_of(settings, seed) for seed in range(settings["seeds"])]


def measure(
    cells: Sequence[Mapping[str, Any]], at_a_time: int, target: float = 0.9
) -> list[Result]:
    """A Result for each cell; cells differ in what is traced alone.

    A cell with a tuple of learning rates has the Result of the `best` of them.
    at_a_time: runs that fit in memory together. target: the share right, of the batches
    of WINDOW steps, whose first reaching is reported as `steps_to_target`.
    """
    rates = [tried(settings["learning_rate"]) for settings in cells]
    single = [
        {**settings, "learning_rate": rate}
        for settings, own in zip(cells, rates, strict=True)
        for rate in own
    ]
    each = iter(_measure(single, at_a_time, target))
    results = [[next(each) for _ in own] for own in rates]
    return [
        best(own, found) if len(own) > 1 else found[0]
        for own, found in zip(rates, results, strict=True)
    ]


def _measure(cells: Sequence[Mapping[str, Any]], at_a_time: int, target: float):
    results: dict[int, Result] = {}
    runs: dict[int, list[Run]] = {}
    for number, settings in enumerate(cells):
        try:
            runs[number] = runs_of(settings)
        except NoCriticalPoint as error:
            results[number] = Result("no_fixed_point", str(error), {}, {})
    flat = [run for own in runs.values() for run in own]
    if flat:
        steps = cells[0]["steps"]
        done = iter(sweeps.train(setup_of(cells[0]), flat, steps, at_a_time))
        for number, own in runs.items():
            trained = [next(done) for _ in own]
            results[number] = result(trained, target)
    return [results[number] for number in range(len(cells))]


def best(rates: Sequence[float], results: Sequence[Result]) -> Result:
    """The Result of the learning rate that ends most accurate on what it trained on.

    Of equals the soonest at the target. Rates are compared by training alone, so that
    the test accuracy is not that of the best of several tests. Added are `best_rate`,
    the share of all rates' runs that diverged, and, in the profiles, each rate's means.
    """
    if any(not r.values for r in results):  # no run was made, at any rate
        return results[0]

    def merit(result: Result):
        steps = result.values["steps_to_target"]
        return (
            result.status == "ok",
            result.values["train_accuracy"],
            -np.inf if steps is None else -steps,
        )

    number = max(range(len(rates)), key=lambda n: merit(results[n]))
    chosen = results[number]
    each = {
        f"rate_{name}": np.array(
            [np.nan if (v := r.values[name]) is None else v for r in results],
            np.float64,
        )
        for name in ("train_accuracy", "test_accuracy", "steps_to_target", "diverged")
    }
    values = {
        **chosen.values,
        "best_rate": rates[number] if chosen.status == "ok" else None,
        "rates_diverged": float(np.mean(each["rate_diverged"])),
    }
    kept = {**chosen.profiles, "rate": np.array(rates), **each}
    return chosen._replace(values=values, profiles=kept)


def result(trained: Sequence[Trained], target: float) -> Result:
    """The row of one cell, from its seeds' outcomes."""
    ended = [one for one in trained if one.diverged is None]
    stops = [one.diverged for one in trained if one.diverged is not None]
    losses = np.stack([one.log.loss for one in trained])
    reached = [reach(one.log.right, target) for one in trained]
    values: dict[str, Any] = {
        "diverged": len(stops) / len(trained),
        "diverged_at": min(stops, default=None),
        "first_loss": float(np.mean(losses[:, 0])),
        "reached": sum(step is not None for step in reached) / len(trained),
        "steps_to_target": middle(reached),
    }
    for part in ("train", "test"):
        measured = [getattr(one, part) for one in ended]
        values |= _over_seeds(f"{part}_loss", [float(m.loss) for m in measured])
        measured = [getattr(one, part) for one in trained]
        values |= _over_seeds(f"{part}_accuracy", [float(m.right) for m in measured])
    kept = {
        "loss": smooth(losses),
        "right": smooth([one.log.right for one in trained]),
        "steps_to_target": np.array([np.inf if s is None else s for s in reached]),
    }
    if not ended:
        reason = (
            f"no loss stays below {LARGEST:g}: the first is lost at step {min(stops)}"
        )
        return Result("diverged", reason, values, kept)
    return Result("ok", "", values, kept)


def _over_seeds(name: str, values: Sequence[float]) -> dict[str, Any]:
    """A mean, its standard error, and its 95 % confidence interval."""
    mean, error = profiles.over_seeds(np.asarray(values))
    low, high = profiles.interval(np.asarray(values))
    return {name: mean, f"{name}_se": error, f"{name}_low": low, f"{name}_high": high}


def reach(right: np.ndarray, target: float) -> int | None:
    """The step by which the mean of the last WINDOW steps reaches the target, if any.

    right: [steps]. A run shorter than the window is taken whole.
    """
    window = min(WINDOW, len(right))
    sums = np.cumsum(np.insert(np.asarray(right, np.float64), 0, 0.0))
    means = (sums[window:] - sums[:-window]) / window
    there = np.flatnonzero(means >= target - 1e-9)
    return int(there[0]) + window if there.size else None


def middle(steps: Sequence[int | None]) -> float | None:
    """The median over seeds; None where half of them or more never got there."""
    ordered = sorted(np.inf if step is None else step for step in steps)
    median = float(np.median(ordered))
    return median if np.isfinite(median) else None


def smooth(curves: Any) -> np.ndarray:
    """Means of equal stretches of curves [seeds, steps]: [seeds, at most POINTS]."""
    curves = np.asarray(curves, np.float32)
    size = -(-curves.shape[1] // POINTS)
    whole = curves.shape[1] // size * size
    return curves[:, :whole].reshape(len(curves), -1, size).mean(axis=2)
