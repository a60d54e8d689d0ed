"""Training of one setting of a network and a recipe: one row of numbers over seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from depthbench.research.catalogues.initializers import NoCriticalPoint
from depthbench.research.catalogues.losses import SHARES
from depthbench.research.catalogues.optimizers import OPTIMIZERS, Hyper, tried
from depthbench.research.learning import recipe as recipes
from depthbench.research.learning import selection, sweeps
from depthbench.research.learning.curves import smooth
from depthbench.research.learning.recipe import NUMBERS
from depthbench.research.learning.supervised import Numbers
from depthbench.research.learning.sweeps import Run, Trained
from depthbench.research.learning.system import LARGEST
from depthbench.research.signal import interval, measurement, profiles
from depthbench.research.signal.measured import Measured

PARTS = ("train", "test")
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

    A cell with a tuple of learning rates has the Measured of the `best` of them; as long
    as that is the lowest or the highest, a further one is tried, up to `further_rates`
    of the cell's on each side.
    at_a_time: runs that fit in memory together. target: the share right, of the batches
    of WINDOW steps, whose first reaching is reported as `steps_to_target`.
    """
    grids = [tried(settings["learning_rate"]) for settings in cells]
    results: list[dict[float, Measured]] = [{} for _ in cells]
    wanted = [(number, rate) for number, grid in enumerate(grids) for rate in grid]
    while wanted:
        single = [{**cells[number], "learning_rate": rate} for number, rate in wanted]
        measured = _measure(single, at_a_time, target)
        for (number, rate), result in zip(wanted, measured, strict=True):
            results[number][rate] = result
        further = [
            beyond(grid, results[number], cells[number].get("further_rates", 0))
            for number, grid in enumerate(grids)
        ]
        wanted = [(n, rate) for n, rate in enumerate(further) if rate is not None]
    return [
        best(list(by_rate), list(by_rate.values()))
        if len(by_rate) > 1
        else next(iter(by_rate.values()))
        for by_rate in results
    ]


def beyond(
    grid: Sequence[float], results: Mapping[float, Measured], most: int
) -> float | None:
    """The rate to try next, where the best is at the edge; see `selection.beyond`."""
    if any(not result.values for result in results.values()):
        return None
    outcomes = [selection.outcome(result.values) for result in results.values()]
    return selection.beyond(grid, list(results), outcomes, "trained", most)


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
        sizes = {part: sweeps.size(getattr(problem, part)) for part in PARTS}
        done = iter(sweeps.train(problem, flat, steps, at_a_time))
        for number, cell_runs in runs.items():
            trained = [next(done) for _ in cell_runs]
            results[number] = result(trained, target, sizes)
    return [results[number] for number in range(len(cells))]


def best(rates: Sequence[float], results: Sequence[Measured]) -> Measured:
    """The Measured of the learning rate at which most runs end at the target.

    Added are `best_rate`, whether it is the lowest or the highest, the share of all
    rates' runs that diverged, and, in the profiles, each rate's means.
    """
    if any(not r.values for r in results):  # no run was made, at any rate
        return results[0]
    outcomes = [selection.outcome(result.values) for result in results]
    number = selection.best(outcomes, "trained")
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
        "rate_at_edge": selection.at_edge(rates, outcomes, "trained"),
        "rates_diverged": float(np.mean(each["rate_diverged"])),
    }
    arrays = {**chosen.profiles, "rate": np.array(rates), **each}
    return chosen._replace(values=values, profiles=arrays)


def result(
    trained: Sequence[Trained], target: float, sizes: Mapping[str, int]
) -> Measured:
    """The row of one cell, from its seeds' outcomes.

    sizes: how many examples each of PARTS has.
    """
    stops = [one.diverged for one in trained if one.diverged is not None]
    losses = np.stack([one.log["loss"] for one in trained])
    right = [one.log["accuracy"] for one in trained if "accuracy" in one.log]
    reached = [reach(curve, target) for curve in right] or [None] * len(trained)
    values: dict[str, Any] = {
        "diverged": len(stops) / len(trained),
        "diverged_at": min(stops, default=None),
        "first_loss": float(np.mean(losses[:, 0])),
        "reached": sum(step is not None for step in reached) / len(trained),
        **_at_end(trained, target),
        "falling": _falling(trained),
        "steps_to_target": middle(reached),
    }
    for part in PARTS:
        values |= _measured(part, trained, sizes[part])
    curves = {
        "loss": smooth(losses),
        **({"right": smooth(right)} if right else {}),
        "steps_to_target": np.array([np.inf if s is None else s for s in reached]),
    }
    if len(stops) == len(trained):
        reason = (
            f"no loss ends below {LARGEST:g}: the first is above from step {min(stops)}"
        )
        return Measured("diverged", reason, values, curves)
    return Measured("ok", "", values, curves)


def _at_end(trained: Sequence[Trained], target: float) -> dict[str, float]:
    """The share of runs that end at the target, and the mean share right there."""
    right = [
        at_end(one.log["accuracy"])
        if "accuracy" in one.log and one.diverged is None
        else 0.0
        for one in trained
    ]
    there = [one >= target - 1e-9 for one in right]
    return {"trained": sum(there) / len(there), "right": float(np.mean(right))}


def _falling(trained: Sequence[Trained]) -> bool:
    """Whether the mean loss of the runs that have not diverged still fell at the end."""
    ended = [one.log["loss"] for one in trained if one.diverged is None]
    return bool(ended) and selection.falling(np.mean(ended, 0, np.float64))


def at_end(right: Any) -> Any:
    """The share right of the batches of the last WINDOW steps. right: […, steps]."""
    return np.mean(np.asarray(right)[..., -WINDOW:], axis=-1, dtype=np.float64)


def _measured(part: str, trained: Sequence[Trained], size: int) -> dict[str, Any]:
    """Columns of every measure of a part; losses of the runs that have not diverged."""
    columns: dict[str, Any] = {}
    for name in sorted(getattr(trained[0], part), reverse=True):
        ended = [one for one in trained if name != "loss" or one.diverged is None]
        each = [float(getattr(one, part)[name]) for one in ended]
        columns |= _over_seeds(f"{part}_{name}", each, size if name in SHARES else None)
    return columns


def _over_seeds(name: str, values: Sequence[float], size: int | None) -> dict[str, Any]:
    """A mean, its standard error, and its 95 % confidence interval.

    size: of a share, how many examples it is of.
    """
    mean, error = profiles.over_seeds(np.asarray(values))
    if size is None:
        low, high = interval.student(mean, error, len(values))
    else:
        low, high = interval.of_share(mean, error, len(values), size)
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
