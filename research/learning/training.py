"""Training of one setting of a network and a recipe: one row of numbers over seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from research.catalogues.initializers import NoCriticalPoint
from research.catalogues.optimizers import OPTIMIZERS, Hyper, tried
from research.learning import recipe as recipes
from research.learning import selection, sweeps
from research.learning.recipe import NUMBERS
from research.learning.supervised import Numbers
from research.learning.sweeps import Run, Trained
from research.learning.system import LARGEST
from research.signal import measurement, profiles
from research.signal.measured import Measured

POINTS = 200  # of a loss curve that is kept, at most
WINDOW = 20  # steps whose batches are taken together when a target is looked for

# Of a recipe's numbers, those that the optimizer and the initialiser take.
_RULE = {name for name in Hyper._fields if name in NUMBERS}
_WEIGHTS = {"sigma_w2", "sigma_b2"}


def numbers_of(settings: Mapping[str, Any]) -> Numbers:
    """The traced part of a cell's settings. Raises NoCriticalPoint."""
    numbers = {name: settings.get(name) for name in NUMBERS}
    rule = OPTIMIZERS[settings["optimizer"]].hyper(
        **{name: numbers[name] for name in NUMBERS if name in _RULE},
        steps=settings["steps"],
    )
    others = {
        name: value
        for name, value in numbers.items()
        if value is not None and name not in _RULE | _WEIGHTS
    }
    return Numbers(measurement.member(settings), rule, others)


def run_of(settings: Mapping[str, Any], seed: int) -> Run:
    """A run of a cell. Raises NoCriticalPoint."""
    return Run(seed, numbers_of(settings))


def runs_of(settings: Mapping[str, Any]) -> list[Run]:
    """A cell's runs, one for each seed. Raises NoCriticalPoint."""
    return [run_of(settings, seed) for seed in range(settings["seeds"])]


def measure(
    cells: Sequence[Mapping[str, Any]], at_a_time: int, target: float = 0.9
) -> list[Measured]:
    """A Measured for each cell; cells differ in what is traced alone.

    A cell with a tuple of learning rates has the Measured of the `best` of them.
    at_a_time: runs that fit in memory together. target: the share right, of the batches
    of WINDOW steps, whose first reaching is reported as `steps_to_target`.
    """
    rates = [tried(settings["learning_rate"]) for settings in cells]
    single = [
        {**settings, "learning_rate": rate}
        for settings, grid in zip(cells, rates, strict=True)
        for rate in grid
    ]
    each = iter(_measure(single, at_a_time, target))
    results = [[next(each) for _ in grid] for grid in rates]
    return [
        best(grid, measured) if len(grid) > 1 else measured[0]
        for grid, measured in zip(rates, results, strict=True)
    ]


def _measure(cells: Sequence[Mapping[str, Any]], at_a_time: int, target: float):
    results: dict[int, Measured] = {}
    runs: dict[int, list[Run]] = {}
    for number, settings in enumerate(cells):
        try:
            runs[number] = runs_of(settings)
        except NoCriticalPoint as error:
            results[number] = Measured("no_fixed_point", str(error), {}, {})
    flat = [run for cell_runs in runs.values() for run in cell_runs]
    if flat:
        steps = cells[0]["steps"]
        problem = sweeps.problem(recipes.of(cells[0]))
        done = iter(sweeps.train(problem, flat, steps, at_a_time))
        for number, cell_runs in runs.items():
            trained = [next(done) for _ in cell_runs]
            results[number] = result(trained, target)
    return [results[number] for number in range(len(cells))]


def best(rates: Sequence[float], results: Sequence[Measured]) -> Measured:
    """The Measured of the learning rate that ends most accurate on what it trained on.

    Added are `best_rate`, whether it is the lowest or the highest, the share of all
    rates' runs that diverged, and, in the profiles, each rate's means.
    """
    if any(not r.values for r in results):  # no run was made, at any rate
        return results[0]
    number = selection.best([selection.outcome(r.values) for r in results], "accuracy")
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
        "rate_at_edge": selection.at_edge(rates, number),
        "rates_diverged": float(np.mean(each["rate_diverged"])),
    }
    arrays = {**chosen.profiles, "rate": np.array(rates), **each}
    return chosen._replace(values=values, profiles=arrays)


def result(trained: Sequence[Trained], target: float) -> Measured:
    """The row of one cell, from its seeds' outcomes."""
    stops = [one.diverged for one in trained if one.diverged is not None]
    losses = np.stack([one.log["loss"] for one in trained])
    right = [one.log["accuracy"] for one in trained if "accuracy" in one.log]
    reached = [reach(curve, target) for curve in right] or [None] * len(trained)
    values: dict[str, Any] = {
        "diverged": len(stops) / len(trained),
        "diverged_at": min(stops, default=None),
        "first_loss": float(np.mean(losses[:, 0])),
        "reached": sum(step is not None for step in reached) / len(trained),
        "trained": _share_at_end(trained, target),
        "falling": _falling(trained),
        "steps_to_target": middle(reached),
    }
    for part in ("train", "test"):
        values |= _measured(part, trained)
    curves = {
        "loss": smooth(losses),
        **({"right": smooth(right)} if right else {}),
        "steps_to_target": np.array([np.inf if s is None else s for s in reached]),
    }
    if len(stops) == len(trained):
        reason = (
            f"no loss stays below {LARGEST:g}: the first is lost at step {min(stops)}"
        )
        return Measured("diverged", reason, values, curves)
    return Measured("ok", "", values, curves)


def _share_at_end(trained: Sequence[Trained], target: float) -> float:
    """The share of runs that end at the target."""
    ends = [
        "accuracy" in one.log
        and one.diverged is None
        and at_end(one.log["accuracy"]) >= target - 1e-9
        for one in trained
    ]
    return sum(ends) / len(ends)


def _falling(trained: Sequence[Trained]) -> bool:
    """Whether the mean loss of the runs that have not diverged still fell at the end."""
    ended = [one.log["loss"] for one in trained if one.diverged is None]
    return bool(ended) and selection.falling(np.mean(ended, 0, np.float64).tolist())


def at_end(right: Any) -> Any:
    """The share right of the batches of the last WINDOW steps. right: […, steps]."""
    return np.mean(np.asarray(right)[..., -WINDOW:], axis=-1, dtype=np.float64)


def _measured(part: str, trained: Sequence[Trained]) -> dict[str, Any]:
    """Columns of every measure of a part; losses of the runs that have not diverged."""
    columns: dict[str, Any] = {}
    for name in sorted(getattr(trained[0], part), reverse=True):
        ended = [one for one in trained if name != "loss" or one.diverged is None]
        each = [float(getattr(one, part)[name]) for one in ended]
        columns |= _over_seeds(f"{part}_{name}", each)
    return columns


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
