"""Methods side by side: the best learning rate of each, and what they differ by."""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.lazy import lazily
from depthbench.research.learning import selection
from depthbench.research.learning.selection import By
from depthbench.research.report import figures
from depthbench.research.study import doubts
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Headline, Measured, Row, Sweep
from depthbench.research.study.estimates import mean_of, seeds_of
from depthbench.research.study.headlines import counted, listed
from depthbench.research.study.plan import grouped
from depthbench.research.study.tables import Mark, Table, number, ranged

with lazily():
    import numpy as np

    from depthbench.research.learning import curves as training_curves

Score = Callable[[Mapping[str, Any]], float]  # of a row; less is better

LINE = tuple(  # settings that nets differ in
    "net architecture parametrization activation depth width batch dataset steps seeds"
    "".split()
)
COLUMNS = tuple(
    "status reason diverged diverged_at train_loss train_loss_low train_loss_high "
    "train_accuracy train_accuracy_low train_accuracy_high test_accuracy "
    "steps_to_target reached unfinished".split()
)


class Method(NamedTuple):
    """One of the methods that are set side by side."""

    name: str
    source: str


def methods(noun: str, names: Sequence[str], source: str) -> Catalogue[Method]:
    return Catalogue(noun, [Method(name, source) for name in names])


def rates(values: Sequence[float]) -> Axis:
    return Axis("learning rates", tuple(values), kind="number", low=0.0, high=1e6)


def whole(help: str, values: Sequence[int], low: int = 1, single: bool = True) -> Axis:
    """An axis of whole numbers; a single one unless said."""
    return Axis(help, tuple(values), None, "integer", low, 10**7, single=single)


def measured(cell: Mapping[str, Any], result: Any, by: By = "loss") -> Measured:
    """The row of a cell: what its runs gave, and whether that answers what is asked."""
    values = dict(result.values)
    if ran(values):
        chosen = selection.outcome(values)
        values["unfinished"] = selection.unfinished(chosen, by, values.pop("falling"))
    return Measured(result.status, result.reason, values, result.profiles)


def loss(row: Mapping[str, Any]) -> float:
    """The training loss; of runs that did not end with one, what they began with."""
    value = row.get("train_loss")
    ended = isinstance(value, float) and math.isfinite(value) and not row["diverged"]
    return value if ended else row["first_loss"]


def error(row: Mapping[str, Any]) -> float:
    """The share of training examples that are wrong."""
    return 1 - row["train_accuracy"]


def best(rows: Sequence[Row], by: Sequence[str], choose: By) -> list[Row]:
    """The row of the best learning rate for each value of `by`, in the rows' order.

    choose: what the study asks about, as `selection.best` takes it. Without those of
    which no rate was measured.
    """
    return [row for row in choices(rows, by, choose) if ran(row)]


def choices(rows: Sequence[Row], by: Sequence[str], choose: By) -> list[Row]:
    """As `best`; where no rate was measured, the first row, which says why."""
    groups = grouped(rows, lambda row: tuple(row[name] for name in by))
    return [_choice(group, choose) for group in groups.values()]


def _choice(group: Sequence[Row], choose: By) -> Row:
    measured = [row for row in group if ran(row)]
    if not measured:
        return group[0]
    place = selection.best([selection.outcome(row) for row in measured], choose)
    chosen = measured[place]
    line = [row for row in measured if _line(row) == _line(chosen)]
    rates = [row["learning_rate"] for row in line]
    outcomes = [selection.outcome(row) for row in line]
    return {**chosen, "rate_at_edge": selection.at_edge(rates, outcomes, choose)}


def _line(row: Row) -> tuple:
    """What rows of one net have in common, at whatever rate it was trained."""
    return tuple(row.get(name) for name in LINE)


def ran(row: Mapping[str, Any]) -> bool:
    """Whether a row's runs were made, however they ended."""
    return row.get("first_loss") is not None


def versus(
    rows: Sequence[Row],
    axis: str,
    names: tuple[Any, Any],
    by: Sequence[str],
    score: Score,
    spread: Score,
    choose: By,
    of: str = "",
) -> list[Row]:
    """Of two values of an axis, the best of each side by side, for each value of `by`.

    gap: the second's score over the first's. gap_se: its standard error, from `spread`,
    that of one row's score. choose: as for `best`. of: the column that the score is of,
    where its mean may be of fewer seeds than the row has. What is doubtful of either side,
    or has kept it from being measured, is so of both.
    """
    sides: dict[tuple, dict[Any, Row]] = {}
    for row in choices(rows, (*by, axis), choose):
        sides.setdefault(tuple(row[name] for name in by), {})[row[axis]] = row
    return [
        {
            **dict(zip(by, key, strict=True)),
            axis: f"{names[0]} to {names[1]}",
            **_versus(*(by_value[name] for name in names), score, spread, of),
        }
        for key, by_value in sides.items()
        if all(name in by_value for name in names)
    ]


def _versus(one: Row, other: Row, score: Score, spread: Score, of: str) -> Row:
    pair = {
        **joint([one, other]),
        "seeds": min(seeds_of(one, of), seeds_of(other, of)),
        **dict.fromkeys(("gap", "gap_se", "first", "second")),
    }
    if pair["status"] != "ok":
        return pair
    first, second = score(one), score(other)
    error = math.hypot(spread(one), spread(other))
    return {
        **pair,
        **doubts.sides(one, other),
        "gap": second - first,
        "gap_se": error,
        "first": first,
        "second": second,
    }


def joint(rows: Sequence[Mapping[str, Any]]) -> Row:
    """Status, reason and doubts of what is made of several rows: the worst of them."""
    bad = next((row for row in rows if row["status"] != "ok"), rows[0])
    return {
        "status": bad["status"],
        "reason": bad.get("reason", ""),
        **{name: any(row.get(name) for row in rows) for name in doubts.COLUMNS},
    }


def sweep(by: Callable[[Mapping[str, Any]], Hashable], choose: By) -> Sweep:
    """Learning rates, of which each method is shown at its best."""
    return Sweep("learning_rate", by, choose)


def deviation(name: str) -> Score:
    """A row's standard error of this name; nan where it has none."""

    def of(row: Mapping[str, Any]) -> float:
        error = row.get(f"{name}_se")
        return math.nan if error is None else error

    return of


gap = mean_of("gap")  # of a pair, as a claim estimates it


def between(row: Mapping[str, Any], name: str, digits: int = 3) -> str:
    """A mean and its 95 % interval."""
    if not isinstance(row.get(name), float):
        return "-"
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return ranged(row[name], low, high, digits, word=" to ")


def headline(chosen: Sequence[Row], kind: str, axis: str, noun: str) -> Headline:
    """How the training loss of each kind goes from an axis's least value to its largest.

    chosen: the best row of each kind and value.
    """
    kinds: dict[str, list[Row]] = {}
    for row in sorted(chosen, key=lambda row: row[axis]):
        kinds.setdefault(str(row[kind]), []).append(row)
    if not kinds:
        return Headline("No run has a training loss.")
    ways = []
    for name, (first, *rest) in kinds.items():
        to = rest[-1] if rest else first
        way = f"from {ended(first)} to {ended(to)}" if rest else f"is {ended(first)}"
        ways.append(f"{name} {way}")
    values = sorted({row[axis] for row in chosen})
    over = f"From {values[0]} to {counted(values[-1], noun)}"
    if len(values) == 1:
        over = f"With {counted(values[0], noun)}"
    return Headline(
        f"{over} the training loss at the best rate: {listed(ways)}.",
        _last(chosen, kind),
    )


def ranking(chosen: Sequence[Row], kind: str) -> Headline:
    """Which kind has the least training loss, and which the most."""
    if not chosen:
        return Headline("No run has a training loss.")
    first, *others = sorted(chosen, key=loss)
    answer = f"The least training loss is that of {first[kind]}, {ended(first)}"
    rest = f"; then {listed(f'{r[kind]} {ended(r)}' for r in others)}" if others else ""
    depth = counted(first["depth"], "layer")
    return Headline(f"{answer} with {depth}{rest}.", _last(chosen, kind))


def ended(row: Row) -> str:
    """The training loss that a row ended with; or that it diverged."""
    diverged = row["status"] == "diverged" or row["diverged"] == 1
    return "diverged" if diverged else number(loss(row))


def _last(chosen: Sequence[Row], kind: str) -> str:
    worst = max(chosen, key=lambda row: (ended(row) == "diverged", loss(row)))
    return (
        f"Worst: {worst[kind]} with {counted(worst['depth'], 'layer')}, {ended(worst)}."
    )


def best_table(
    rows: Sequence[Row], by: Sequence[str], choose: By, title: str, bad: Score
) -> Table:
    """One line a method, at its best learning rate.

    bad: 0 of a row that is as it should be; others stand out.
    """
    body = tuple(
        (
            *(str(row[name]) for name in by),
            number(row["learning_rate"]),
            Mark(between(row, "train_loss"), "bad" if bad(row) else "good")
            if row["status"] == "ok"
            else Mark(f"diverged, step {row['diverged_at']}", "bad"),
            between(row, "train_accuracy"),
            number(row["test_accuracy"]),
            str(row["seeds"]),
        )
        for row in best(rows, by, choose)
    )
    headers = (*by, "best rate", "training loss", "training accuracy", "test", "n")
    return Table(title, headers, body)


def rate_table(
    rows: Sequence[Row],
    by: Sequence[str],
    score: Score,
    title: str,
    choose: By,
    shown: Callable[[float], float] = float,
) -> Table:
    """The score of every learning rate, the best of each line marked.

    shown: from the score to what is written. choose: as for `best`.
    """
    columns = sorted({row["learning_rate"] for row in rows})
    chosen = [
        (*_line(row), row["learning_rate"], *(row[name] for name in by))
        for row in best(rows, by, choose)
    ]
    lines: dict[tuple, dict[float, Row]] = {}
    for row in rows:
        key = tuple(str(row[name]) for name in by)
        lines.setdefault(key, {})[row["learning_rate"]] = row

    def entry(row: Row | None) -> str | Mark:
        if row is None:
            return "-"
        if row["status"] == "diverged":
            return Mark(f"step {row['diverged_at']}", "bad")
        if not ran(row):
            return Mark(row["status"], "bad")
        text = number(shown(score(row)))
        if row["diverged"]:
            return Mark(f"{text} ({row['diverged']:.0%} div.)", "warning")
        key = (*_line(row), row["learning_rate"], *(row[name] for name in by))
        return Mark(text, "good") if key in chosen else text

    body = tuple(
        (*key, *(entry(by_rate.get(column)) for column in columns))
        for key, by_rate in lines.items()
    )
    return Table(title, (*by, *(number(rate, 2) for rate in columns)), body)


def draw_curves(
    axes: Any,
    rows: Sequence[Row],
    profiles: Callable,
    label: Callable[[Row], str],
    name: str = "loss",
    shown: Callable[[Any], Any] = lambda curves: curves,
) -> None:
    """Mean training curves of rows, with the range over seeds.

    name: of the profile. shown: from it to what is drawn.
    """
    import matplotlib

    colours = matplotlib.color_sequences["tab10"]
    for place, row in enumerate(rows):
        curves = shown(profiles(row)[name])
        size = training_curves.stretch(row["steps"])
        at = (np.arange(curves.shape[1]) + 0.5) * size
        colour = colours[place % len(colours)]
        with np.errstate(all="ignore"):
            mean = np.mean(curves, axis=0)
            axes.plot(at, mean, color=colour, lw=1.5, label=label(row))
            low, high = np.min(curves, axis=0), np.max(curves, axis=0)
        axes.fill_between(at, low, high, color=colour, alpha=0.15, lw=0)
    axes.set_xlabel("step")
    axes.grid(alpha=0.25, lw=0.5)


def panels(count: int, width: float = 3.2, height: float = 3.4):
    """(figure, its `count` axes side by side with one vertical scale)."""
    figure = figures.new(max(width * count, 4.5), height)
    return figure, figure.subplots(1, count, squeeze=False, sharey=True)[0]
