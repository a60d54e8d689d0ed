"""Declarations: a study is data and pure functions, and everything is made from it."""

import itertools
import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence, Set
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from depthbench.research.signal.measured import Measured as Measured
from depthbench.research.study.axes import Axis, Value
from depthbench.research.study.claims import Claim
from depthbench.research.study.errors import Refusal
from depthbench.research.study.tables import Table

Cell = dict[str, Value]  # one point of the grid: a value for every axis
Size = Literal["smoke", "standard", "full"]
Kind = Literal["benchmark", "experiment"]


class Cost(NamedTuple):
    """Rough estimates for a unit's call.

    memory: bytes it needs at its smallest, one seed at a time.
    peak: bytes it takes if memory allows all seeds at once.
    seconds: on two cores, compilation apart.
    """

    memory: int
    peak: int
    seconds: float


Shared = Mapping[str, Any]  # JSON values by name


class Unit(NamedTuple):
    """Cells that are measured by one call; they are kept or lost together. Plain data.

    study: the name of the study that measures them.
    shared: what measuring them has to know of the run's other cells.
    program: units of equal program share what is compiled.
    data_dir: the folder that prepared data lie in, no part of what cells are; "" for the
      standard one.
    """

    study: str
    cells: tuple[Cell, ...]
    shared: Shared
    program: Hashable
    cost: Cost
    data_dir: str = ""


def fixed(
    memory: int = 2**28, seconds: float = 1.0
) -> Callable[[Sequence[Cell], Shared], Cost]:
    """A cost that is the same for every cell."""
    return lambda cells, shared: Cost(memory, memory, seconds * len(cells))


class Plan(NamedTuple):
    """How the cells of a run become units: `research.study.plan` follows it.

    group: cells of equal group are one unit; without it each cell is one by itself.
    program: what is compiled for a cell; without it, its group (of studies with
      neither, all cells share one).
    shared: from (the cells of one program, all cells of the run) to what measuring
      one of the former has to know of the others: JSON values by name.
    cost: of a unit, from its cells and what they share.
    priority: units with less of it are run first; without it, in their cells' order.
    split: where all cells are one group, the units that they are shared out in, so that
      no worker is idle.
    """

    group: Callable[[Cell], Hashable] | None = None
    program: Callable[[Cell], Hashable] | None = None
    shared: Callable[[Sequence[Cell], Sequence[Cell]], Shared] = lambda alike, run: {}
    cost: Callable[[Sequence[Cell], Shared], Cost] = fixed()
    priority: Callable[[Unit], Any] | None = None
    split: int = 1


class Sweep(NamedTuple):
    """An axis of settings, of which each method is shown at its best.

    by: of a row, the method that it is of. choose: what is asked of a setting, as
    `selection.best` takes it. See `research.study.widening`.
    """

    axis: str
    by: Callable[[Mapping[str, Any]], Hashable]
    choose: Literal["steps", "accuracy", "trained", "loss"]


class Figure(NamedTuple):
    """A picture: its name, a caption, and what draws it (returns a matplotlib Figure)."""

    name: str
    caption: str
    draw: Callable[[], Any]


class Recording(NamedTuple):
    """What can be listened to: a file's name, ending in .wav or .mid, what is heard, and
    what gives the file's bytes."""

    name: str
    caption: str
    made: Callable[[], bytes]


Row = dict[str, Any]  # a cell's settings, status, reason and values, flat
SMOKE_WARNING = "smoke size: verdicts mean nothing"


class Headline(NamedTuple):
    """What a study's rows answer, in a sentence, and their worst case in another."""

    answer: str
    worst: str = ""


class Summary(NamedTuple):
    """A system's rows in one line: the net that serves it best, beside its baseline.

    system: what it is. net, depth: chosen without test data; None of a system that no
    net of layers makes. noun: what is scored. score, low, high: with a 95 % interval,
    None of a single run. strong: the strong simple baseline. first_gradient: log10
    ‖∂loss/∂θ‖ of the net's first layer before training. step_mflop: operations of a
    training step. verdict: wins, ties or loses, of the net. form: how scores are written.
    """

    system: str
    net: str
    depth: int | None
    noun: str
    score: float
    low: float | None
    high: float | None
    strong: str
    strong_score: float | None
    first_gradient: float | None
    step_mflop: float | None
    verdict: str
    form: str = ".3f"


Profiles = Callable[[Row], Mapping[str, np.ndarray]]  # a row's arrays, read when asked


Fit = Callable[[list[Cell], Set[str]], tuple[list[Cell], list[str]]]


class Study(NamedTuple):
    """A question, the grid that answers it, and how answers are shown.

    fit: from a grid's cells, and the names of the axes that were typed, to those that
      can be run and a line on each kind that was left out. Raises Refusal.
    measure: "module:function". The function, found when a unit is measured, is given a
      unit's cells, what they share (see `Plan`) and the bytes that it may use; it
      returns one Measured for each cell.
    sweep: the axis whose grid is made wider where a best setting is at its edge.
    plan: which cells are measured by one call, and what that costs; imports no jax.
    columns: what rows.csv and the terminal show first, in order.
    headline: from rows, at least one of them `ok`, to what they answer; a run of any part
      of the grid gives such rows. `research.study.headlines.of` is for all others.
    tables, figures, recordings: pure functions of rows (and profiles).
    compile_seconds: rough time to compile one program, for the estimate.
    timings: columns that say how fast the machine was, and are never the same twice.
    summary: of a study of a system, its line in the table of all systems, from rows of
      which one at least is `ok`.
    shows: the systems that it shows, as popular accounts name them.
    inner: of a study of studies, from a cell to the one that it runs, and its cells.
    """

    name: str
    kind: Kind
    question: str
    source: str
    axes: Mapping[str, Axis]
    sizes: Mapping[str, Mapping[str, tuple[Value, ...]]]
    measure: str
    columns: tuple[str, ...]
    plan: Plan = Plan()
    sweep: Sweep | None = None
    fit: Fit = lambda cells, typed: (cells, [])
    claims: tuple[Claim, ...] = ()
    headline: Callable[[Sequence[Row]], Headline] = lambda rows: Headline("")
    tables: Callable[[Sequence[Row]], Sequence[Table]] = lambda rows: ()
    figures: Callable[[Sequence[Row], Profiles], Sequence[Figure]] = lambda r, p: ()
    recordings: Callable[[Sequence[Row], Profiles], Sequence[Recording]] = lambda r, p: ()
    compile_seconds: float = 1.0
    timings: tuple[str, ...] = ()
    summary: Callable[[Sequence[Row]], Summary] | None = None
    shows: tuple[str, ...] = ()
    inner: Callable[[Cell], tuple["Study", list[Cell]]] | None = None
    threads: int = 0  # 0: as many as there are cores
    module: str = ""  # that declares it; known of those that `studies` found

    def shown(
        self, rows: Sequence[Row], profiles: Callable[[Row], Mapping[str, Any]]
    ) -> tuple[Sequence[Figure], Sequence[Recording]]:
        """Its figures and recordings; none of a system of which no net has a score."""
        known = lambda row: row["status"] == "ok" and row.get("score") is not None
        if self.summary and not any(map(known, rows)):
            return (), ()
        return self.figures(rows, profiles), self.recordings(rows, profiles)

    def entries(self, cells: Sequence[Cell]) -> set[str]:
        """The names of catalogues' entries in cells."""
        return {
            str(cell[name])
            for name, axis in self.axes.items()
            if axis.choices is not None
            for cell in cells
            if name in cell
        }

    @property
    def implied(self) -> dict[str, Value]:
        """What a cell that does not name an axis has there, by axis."""
        axes = self.axes.items()
        return {n: axis.implied for n, axis in axes if axis.implied is not None}

    def cell(self, row: Mapping[str, Any]) -> Cell:
        """The settings of a row, but for those that are implied."""
        named = self.named(row)
        implied = self.implied.items()
        return {n: named[n] for n in self.axes if (n, named[n]) not in implied}

    def named(self, row: Mapping[str, Any]) -> Row:
        """The row with what is implied in it; None is no value of such an axis."""
        more = {n: v for n, v in self.implied.items() if row.get(n) is None}
        return {**row, **more}

    def alike(self, rows: Sequence[Row]) -> list[Row]:
        """The rows, of which all name an axis where one does: as a table needs them."""
        some = any(row.get(name) is not None for row in rows for name in self.implied)
        return [self.named(row) for row in rows] if some else list(rows)

    def order(self, row: Row) -> tuple:
        """A sort key: rows in the order of the axes, names as in their catalogue."""
        named = self.named(row)
        return tuple(_place(axis, named[name]) for name, axis in self.axes.items())


NAME = re.compile(r"[a-z][a-z0-9_]*")
MEASURE = re.compile(r"[a-z][\w.]*:\w+")


def flaw(study: Any) -> str:
    """What is wrong with a declaration, as far as it is not code; "" if nothing is."""
    if not isinstance(study, Study):
        return f"STUDY is a {type(study).__name__}, not a Study"
    if not (isinstance(study.name, str) and NAME.fullmatch(study.name)):
        return f"the study's name is {study.name!r}; it must be of a-z, 0-9 and _"
    if study.kind not in get_args(Kind):
        return f"its kind is {study.kind!r}, not {' or '.join(get_args(Kind))}"
    for name, axis in study.axes.items():
        if not (isinstance(axis, Axis) and NAME.fullmatch(name) and axis.values):
            return f"its axis {name!r} must have a name of a-z, 0-9 and _, and values"
    for size, values in study.sizes.items():
        unknown = [str(name) for name in values if name not in study.axes]
        if size not in get_args(Size) or unknown:
            return f"its size {size!r} is of {', '.join(unknown) or 'no such name'}"
    if not MEASURE.fullmatch(study.measure):
        return f"its measure is {study.measure!r}, not module:function"
    return ""


def of_smoke_size(study: Study, rows: Sequence[Row]) -> bool:
    """Whether the rows are as small as a smoke run's: in the numbers that it lowers.

    Names do not count: `--size smoke --activation gelu` is as small as without.
    """
    smoke = study.sizes.get("smoke", {})
    numbers = [n for n in smoke if study.axes[n].choices is None] or list(smoke)
    return bool(rows and numbers) and all(
        row.get(name) in smoke[name] for row in rows for name in numbers
    )


def _place(axis: Axis, value: Value) -> tuple:
    if value is None:
        return (0, 0, "")
    if isinstance(value, str):
        names = axis.choices.published if axis.choices else ()
        return (1, names.index(value) if value in names else len(names), value)
    return (2, value, "")


MOST_CELLS = 100_000  # of a run: all of them are listed before the first is measured


def grid(study: Study, chosen: Mapping[str, tuple[Value, ...]]) -> list[Cell]:
    """Every combination of the chosen values, axes in the declaration's order.

    Raises Refusal where they are more than a run can have.
    """
    count = math.prod(len(chosen[name]) for name in study.axes)
    if count > MOST_CELLS:
        lengths = (f"{len(chosen[name])} of {name}" for name in study.axes)
        listed = " × ".join(length for length in lengths if not length.startswith("1 "))
        raise Refusal(f"{count:,} cells ({listed}): a run has at most {MOST_CELLS:,}")
    return [
        study.cell(dict(zip(study.axes, values, strict=True)))
        for values in itertools.product(*(chosen[name] for name in study.axes))
    ]


def combinations(study: Study, grid: Mapping[str, Sequence[Any]]) -> list[Cell]:
    """All cells of a grid; none where they are too many, or an axis is missing."""
    if not set(study.axes) <= set(grid):
        return []
    values = [grid[name] for name in study.axes]
    if math.prod(map(len, values)) > MOST_CELLS:
        return []
    return [
        study.cell(dict(zip(study.axes, each, strict=True)))
        for each in itertools.product(*values)
    ]


def chosen_values(
    study: Study, size: str, overrides: Mapping[str, tuple[Value, ...]]
) -> dict[str, tuple[Value, ...]]:
    """The values of every axis: those given, else the size's, else the standard ones."""
    sized = study.sizes.get(size, {})
    return {
        name: overrides.get(name, sized.get(name, axis.values))
        for name, axis in study.axes.items()
    }
