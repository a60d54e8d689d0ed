"""Several training recipes in one row: each with its best learning rate of one grid."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple

from depthbench.research.datasets import find
from depthbench.research.lazy import lazily
from depthbench.research.learning import selection
from depthbench.research.learning.recipe import compiled
from depthbench.research.learning.selection import By, Outcome
from depthbench.research.study import doubts, families, trials
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Cell, Cost, Measured, Plan, Shared
from depthbench.research.study.errors import Refusal
from depthbench.research.study.estimates import Estimate, mean
from depthbench.research.study.plan import grouped, longest_first, share_out
from depthbench.research.study.tables import Mark, number

with lazily():
    import numpy as np

    from depthbench.research.learning import examples, fits, sweeps, training
    from depthbench.research.learning import recipe as recipes
    from depthbench.research.signal import profiles

Recipe = Mapping[str, Any]  # settings of `trials`, all but the learning rate
TARGET = 0.9  # share right of what is trained on, unless a study has another
DECAYS = (0.1, 1.0)  # of weights, × learning rate: the grid before it is made wider


class Swept(NamedTuple):
    """One recipe's outcome over learning rates; `best` is the place of the best one.

    results: what each of the rates measured. target: the share right that is asked for.
    """

    rates: tuple[float, ...]
    results: tuple[Any, ...]
    best: int
    target: float = TARGET

    @property
    def outcomes(self) -> list[Outcome]:
        return outcomes(self.results, self.target)


def log_spaced(lowest: float, highest: float, count: int) -> tuple[float, ...]:
    """Learning rates at equal ratios, both ends among them.

    >>> log_spaced(0.01, 1.0, 3)
    (0.01, 0.1, 1.0)
    """
    if count == 1:
        return (highest,)
    ratio = math.log10(highest / lowest) / (count - 1)
    return tuple(float(f"{lowest * 10 ** (ratio * n):.4g}") for n in range(count))


def outcomes(results: Sequence[Any], target: float) -> list[Outcome]:
    return [selection.outcome(result.values, target) for result in results]


def best_of(results: Sequence[Any], target: float = TARGET) -> int:
    """The place of the result that is soonest at the target."""
    return selection.best(outcomes(results, target), "steps")


def plan(recipes: Callable[[Cell], Mapping[str, Recipe]]) -> Plan:
    """A unit for each cell, which trains all its recipes at all its learning rates.

    recipes: by name, what to add to `trials.DEFAULTS` for a cell. The cell's `rates`,
    `lowest_rate` and `highest_rate` are the grid that every recipe is tried on.
    """

    def tried(cell: Cell) -> list[dict[str, Any]]:
        return _tried(cell, recipes, rates(cell))

    def program(cell: Cell) -> tuple:
        return compiled(tried(cell)[0])

    def cost(cells: Sequence[Cell], shared: Shared) -> Cost:
        costs = [trials.cost(part) for part in _parts(tried(cells[0]))]
        return Cost(
            max(cost.memory for cost in costs),
            max(cost.peak for cost in costs),
            sum(cost.seconds for cost in costs),
        )

    return Plan(program=program, cost=cost, priority=longest_first)


def rates(cell: Any) -> tuple[float, ...]:
    """The grid of learning rates, before it is made wider."""
    return log_spaced(cell["lowest_rate"], cell["highest_rate"], cell["rates"])


def best_decay(
    at: Callable[[float], Any], outcome: Callable[[Sequence[Any]], Outcome], by: By
) -> tuple[Any, float]:
    """(`fits.Tuned` at the best weight decay, which it is), each at its own best rate.

    at: from a decay to the `fits.Tuned` of rates. At an edge is what has its rate or its
    decay there.
    """
    tried: dict[float, Any] = {}

    def by_decay(decays: Sequence[float]) -> list[list[Any]]:
        tried.update({decay: at(decay) for decay in decays})
        return [tried[decay].runs for decay in decays]

    best = fits.tuned(by_decay, DECAYS, by, outcome, most=2)
    tuned = tried[best.setting]
    edge = tuned.at_edge or best.at_edge
    return tuned._replace(at_edge=edge), best.setting


def _tried(
    cell: Cell,
    recipes: Callable[[Cell], Mapping[str, Recipe]],
    rates: Sequence[float],
) -> list[dict[str, Any]]:
    """The settings of every recipe at every one of the learning rates."""
    return [
        {**trials.DEFAULTS, **cell, **changes, "recipe": name, "learning_rate": rate}
        for name, changes in recipes(cell).items()
        for rate in rates
    ]


def _parts(tried: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Those that are trained by one call: of one program, and half of them if alone."""
    return share_out(list(grouped(tried, compiled).values()), 2)


def measure(
    cells: Sequence[Cell],
    memory: int,
    recipes: Callable[[Cell], Mapping[str, Recipe]],
    finish: Callable[[Cell, dict[str, Swept]], Measured],
    target: float = TARGET,
) -> list[Measured]:
    """One Measured for each cell. finish: its row, from what its recipes gave by name."""
    return [_measure(cell, memory, recipes, finish, target) for cell in cells]


def _measure(cell: Any, memory: int, recipes, finish, target: float) -> Measured:
    """A row. A further rate is one of all its recipes, so that they share one grid."""
    grid, by_recipe, swept = rates(cell), {}, {}
    wanted, known = list(grid), []
    while wanted:
        for part in _parts(_tried(cell, recipes, wanted)):
            results = trials.train(part, memory, target)
            for full, result in zip(part, results, strict=True):
                by_recipe[full["recipe"], full["learning_rate"]] = result
        known = sorted([*known, *wanted])
        for name in recipes(cell):
            results = tuple(by_recipe[name, rate] for rate in known)
            place = best_of(results, target)
            swept[name] = Swept(tuple(known), results, place, target)
        wanted = further(grid, swept.values(), cell["further_rates"])
    return finish(cell, swept)


def further(grid: Sequence[float], swept: Iterable[Swept], most: int) -> list[float]:
    """The rates to try next: beyond the edge of the grid at which a best one is."""
    beyond = {
        selection.beyond(grid, one.rates, one.outcomes, "steps", most) for one in swept
    }
    return sorted(rate for rate in beyond if rate is not None)


def fit(cells: list[Cell], typed: Set[str]) -> tuple[list[Cell], list[str]]:
    """The cells; of a grid of rates that was typed no further one is tried.

    Raises Refusal where an architecture has no such depth.
    """
    families.at_own_depths(cells, typed)
    if "further_rates" in typed or not typed & set(rate_axes(1, 1, 1)):
        return cells, []
    return [{**cell, "further_rates": 0} for cell in cells], []


def refuse_more(cells: Iterable[Cell], name: str) -> None:
    """Raises Refusal where an axis asks for more training examples than there are."""
    for cell in cells:
        sizes = find(cell["dataset"], cell.get("data_dir") or None).sizes
        if sizes and cell[name] > sizes[0]:
            raise Refusal(
                f"--{name} {cell[name]}: {cell['dataset']} has {sizes[0]} examples to "
                "train on"
            )


def scores(result: Any) -> dict[str, Any]:
    """Accuracies with their standard errors and 95 % intervals; None for one seed's."""
    names = (f"{part}_accuracy{end}" for part in PARTS for end in ENDS)
    return {name: finite(result.values.get(name)) for name in names}


PARTS = ("train", "test")
ENDS = ("", "_se", "_low", "_high")


def columns(swept: Swept, prefix: str = "") -> dict[str, Any]:
    """A recipe's columns at its best rate.

    `steps_low` and `steps_high` are the least and the most over seeds, the latter None
    where a seed never got to the target.
    """
    best, soon = swept.results[swept.best], steps(swept)
    row = {
        "learning_rate": swept.rates[swept.best],
        "rate_at_edge": selection.at_edge(swept.rates, swept.outcomes, "steps"),
        "unfinished": unfinished(best),
        "reached": best.values["reached"],
        "steps_to_target": best.values["steps_to_target"],
        "steps_low": finite(np.min(soon)),
        "steps_high": finite(np.max(soon)),
        **scores(best),
        "rates_diverged": sum(r.status == "diverged" for r in swept.results),
    }
    return {prefix + name: value for name, value in row.items()}


def unfinished(result: Any) -> bool:
    """Whether runs that never got to the target were still learning at their end."""
    outcome = selection.outcome(result.values)
    return selection.unfinished(outcome, "steps", result.values["falling"])


def finite(value: Any) -> float | None:
    """The number, or None where it is none, infinite or nan."""
    return float(value) if value is not None and np.isfinite(value) else None


def steps(swept: Swept) -> Any:
    """Each seed's steps to the target at the best rate [seeds]; inf where never."""
    return swept.results[swept.best].profiles["steps_to_target"]


def log2_longer(long: Any, short: Any) -> tuple[float | None, float | None]:
    """log2 of long / short, both [seeds]: (mean, standard error), paired by seed.

    None where a seed never got there.
    """
    if not np.all(np.isfinite([long, short])):
        return None, None
    mean, error = profiles.over_seeds(np.log2(long / short), 1.0)
    return mean, finite(error)


def accuracy(name: str) -> Callable[[Mapping[str, Any]], Estimate]:
    """What is estimated of a row's recipe: the share right of what it trained on."""

    def of(row: Mapping[str, Any]) -> Estimate:
        value, error = (row[f"{name}_train_accuracy{end}"] for end in ("", "_se"))
        return mean(value, error, row["seeds"])

    return of


def doubts_of(*names: str) -> Callable[[Mapping[str, Any]], str]:
    """Why a claim about these of a row's recipes may be undecided."""

    def of(row: Mapping[str, Any]) -> str:
        return doubts.of_training(
            {c: any(row.get(f"{n}_{c}") for n in names) for c in doubts.COLUMNS}
        )

    return of


def curve(swept: Swept) -> Any:
    """The mean loss over seeds at the best rate [points]; nan once one has diverged."""
    return np.mean(swept.results[swept.best].profiles["loss"], 0, dtype=np.float32)


def log10_ratio(cell: Cell, recipe: Recipe) -> float | None:
    """log10 of the first state's gradient norm over the last's, before training.

    Of the first seed's net, on all that it will be trained on; None where it is 0.
    """
    settings = {**trials.DEFAULTS, **cell, **recipe, "learning_rate": 0.0}
    chosen = recipes.of(settings)
    programs = sweeps.of_recipe(chosen, settings["steps"])
    data, _ = examples.batches(chosen)
    state = programs.init(*sweeps.arguments(training.runs_of(settings)[:1]))
    states, _ = programs.profile(state, data)["net"]
    return finite(states[0] - states[-1])


def rate_axes(lowest: float, highest: float, count: int) -> dict[str, Axis]:
    """The axes of the grid of learning rates, which every recipe is tried on."""

    def rate(text: str, value: float) -> Axis:
        return Axis(text, (value,), kind="number", low=1e-12, high=1e6, single=True)

    return {
        "lowest_rate": rate("the lowest learning rate", lowest),
        "highest_rate": rate("the highest learning rate", highest),
        "rates": Axis(
            "number of learning rates, at equal ratios",
            (count,),
            kind="integer",
            low=1,
            high=1000,
            single=True,
        ),
        "further_rates": Axis(
            "learning rates tried beyond each end of the grid, at most, as long as the "
            "best is there",
            (selection.MOST,),
            kind="integer",
            low=0,
            high=100,
            single=True,
        ),
    }


def one(text: str, value: int, low: int = 1) -> Axis:
    """An axis of whole numbers that takes one value in a run."""
    return Axis(text, (value,), kind="integer", low=low, high=10**7, single=True)


def entry(row: Mapping[str, Any], prefix: str = "") -> Mark:
    """The steps to the target; red, with the accuracy, where most seeds never get there.

    >>> entry({"steps_to_target": None, "train_accuracy": 0.1}).text
    'never: 10%'
    """
    steps = row[prefix + "steps_to_target"]
    if steps is None:
        return Mark(f"never: {row[prefix + 'train_accuracy'] or 0:.0%}", "bad")
    if row[prefix + "reached"] < 1:
        return Mark(f"{number(steps)} ({row[prefix + 'reached']:.0%})", "warning")
    return Mark(number(steps), "good")


SHOWN = 50  # points of a curve: more would show single batches


def draw_curve(axes: Any, row: Mapping[str, Any], loss: Any, **style: Any) -> None:
    """A loss curve [points] over the steps of a row's runs, in means of stretches."""
    size = -(-len(loss) // SHOWN)
    loss = loss[: len(loss) // size * size].reshape(-1, size).mean(1)
    step = (np.arange(len(loss)) + 0.5) * row["steps"] / len(loss)
    axes.plot(step, loss, **style)


def dress(axes: Any, title: str) -> None:
    """Axes of loss curves of ten classes; dotted: the loss of guessing."""
    axes.axhline(np.log(10), color="#888888", lw=0.8, ls=":")
    axes.set_yscale("log")
    axes.set_ylim(1e-3, 5)
    axes.set_xlabel("step")
    axes.set_title(title, loc="left")
    axes.grid(alpha=0.25, lw=0.5)
