"""`depthbench compare A B`: what differs between two runs beyond noise."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from depthbench.research.cli.options import TABLE_OR_JSON, one_of, path
from depthbench.research.engine import console
from depthbench.research.learning.recipe import NUMBERS
from depthbench.research.report import comparison, rendering
from depthbench.research.report.comparison import LEVEL, Change, plain
from depthbench.research.report.run_folder import is_training, opened, training
from depthbench.research.store.manifest import DECIDING
from depthbench.research.study.declaration import Row
from depthbench.research.study.errors import Refusal
from depthbench.research.study.tables import Mark, Table, number

WORLD = (*DECIDING, "processor", "cores", "devices", "commit", "uncommitted", "data")
TRAINED = "a training run"
MACHINE = ("device", "processor", "cores")


class Side(NamedTuple):
    """One of the two. world: what it was made with; of a training its settings too.

    settings: the columns that say which cell a row is of. apart: columns that are not
    compared where the machines are two.
    """

    path: Path
    kind: str
    rows: list[Row]
    settings: tuple[str, ...]
    world: dict[str, Any]
    records: dict[str, Any]
    apart: tuple[str, ...] = ()


def arguments(parser) -> None:
    folder = "folder of a study's run, of committed rows, or of a training run"
    parser.add_argument("a", metavar="DIR_A", help=folder)
    parser.add_argument("b", metavar="DIR_B", help="another of the same kind")
    parser.add_argument("--format", default="table", help=", ".join(TABLE_OR_JSON))


def main(options) -> int:
    one_of("--format", options.format, TABLE_OR_JSON)
    a, b = side(path("DIR_A", options.a)), side(path("DIR_B", options.b))
    if a.kind != b.kind:
        raise Refusal(f"{options.a} contains {a.kind}, {options.b} {b.kind}")
    settings = tuple(n for n in a.settings if told_apart(n, a, b))
    both = comparison.pairs(settings, a.rows, b.rows)
    if not both:
        raise Refusal(f"{a.path} and {b.path} share no cell: {why(settings, a, b)}")
    other = any(a.world.get(n) != b.world.get(n) for n in MACHINE)
    apart = (*a.settings, "seeds", *(a.apart if other else ()))
    compared = [(x, y, comparison.columns(x, y, apart)) for x, y in both]
    changed = [
        change
        for x, y, names in compared
        for change in comparison.changes(settings, x, y, names)
    ]
    counts = {
        "cells_in_both": len(both),
        "only_in_a": len(a.rows) - len(both),
        "only_in_b": len(b.rows) - len(both),
        "identical": sum(identical(a, b, x, y, apart) for x, y in both),
        "cells_changed": len({change.cell for change in changed}),
        "values_compared": sum(len(names) for *_, names in compared),
    }
    notes = differing(a, b, other)
    if options.format == "json":
        summary = {
            **counts,
            "level": LEVEL,
            "changes": [change._asdict() for change in changed],
            "environment": worlds(a.world, b.world),
            "notes": notes,
        }
        console.write_json(summary)
    else:
        show(counts, changed, worlds(a.world, b.world), notes)
    return 0


def side(path: Path) -> Side:
    """What is in a folder. Raises Refusal where it is no result."""
    if is_training(path):
        trained = training(path)
        chosen, rows = trained.settings, comparison.last_rows(trained)
        several = {n: None for n in NUMBERS if len(chosen.get(n) or ()) > 1}
        return Side(
            path,
            TRAINED,
            rows,
            NUMBERS,
            {**trained.manifest.environment, **chosen, **several},
            {},
        )
    results = opened(path, bare=True)
    axes, named = tuple(results.study.axes), results.study.named
    return Side(
        path,
        f"rows of {results.study.name}",
        list(map(named, results.rows)),
        axes,
        results.stamp,
        {comparison.key(axes, named(r.settings)): r.profiles for r in results.records},
        results.study.timings,
    )


def told_apart(name: str, a: Side, b: Side) -> bool:
    """Whether a setting is part of what a cell is.

    Of trainings, a number of which one has several values; others may differ. Seeds
    where a folder has rows of several numbers of them.
    """
    if name == "seeds" or a.kind == TRAINED:
        return any(len({row.get(name) for row in s.rows}) > 1 for s in (a, b))
    return True


def why(settings: Sequence[str], a: Side, b: Side) -> str:
    """Where two grids are apart, in words."""
    for name in settings:
        values = [list(dict.fromkeys(r.get(name) for r in s.rows)) for s in (a, b)]
        if not set(values[0]) & set(values[1]):
            return f"{name} is {_few(values[0])} in one, {_few(values[1])} in the other"
    return "no combination of settings is in both"


def _few(values: Sequence[Any]) -> str:
    more = ", …" if len(values) > 4 else ""
    return ", ".join("not set" if v is None else str(v) for v in values[:4]) + more


def identical(a: Side, b: Side, x: Row, y: Row, apart: Iterable[str]) -> bool:
    """Whether rows, and profiles where both have them, are the same in every digit."""
    names = [n for n in x if n in y and n not in (*apart, "reason")]
    keys = [s.records.get(comparison.key(a.settings, r)) for s, r in ((a, x), (b, y))]
    profiles = not (a.records and b.records) or keys[0] == keys[1]
    return profiles and all(plain(x[n]) == plain(y[n]) for n in names)


def differing(a: Side, b: Side, other: bool) -> list[str]:
    """What was not compared, in sentences."""
    names = [set().union(*(row for row in s.rows)) - {"id"} for s in (a, b)]
    notes = [
        f"only in {s.path}: {', '.join(sorted(only))}"
        for s, only in ((a, names[0] - names[1]), (b, names[1] - names[0]))
        if only
    ]
    left_out = [n for n in a.apart if n in names[0] & names[1]]
    if other and left_out:
        notes.append(f"timings left out, of two machines: {', '.join(left_out)}")
    return notes


def worlds(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What differs between what two were made with: name to [in A, in B]."""
    settings = [n for n in {**a, **b} if n not in ("driver", *WORLD)]
    names = (*WORLD, *settings)
    return {n: [a.get(n), b.get(n)] for n in names if a.get(n) != b.get(n)}


def show(
    counts: dict[str, int], changed: Sequence[Change], apart: dict, notes: Sequence[str]
) -> None:
    terminal = rendering.terminal()
    console.write(*(f"{n.replace('_', ' '):<16}{c}" for n, c in counts.items()))
    if apart:
        body = tuple((n, str(a), str(b)) for n, (a, b) in apart.items())
        rendering.show(Table("Made with", ("", "A", "B"), body), terminal)
    else:
        console.write("made with the same")
    console.write(*notes)
    level = f"Student's t at a level of {100 * LEVEL:g} % for each value"
    if not changed:
        console.write(f"no value differs beyond chance ({level})")
        return
    body = tuple(
        (c.cell, c.column, number(c.before), Mark(number(c.after), "bad"))
        for c in changed[:40]
    )
    more = f"; first 40 of {len(changed)}" if len(changed) > 40 else ""
    title = f"Changed beyond chance ({level}{more})"
    rendering.show(Table(title, ("cell", "column", "A", "B"), body), terminal)
