"""What is shown of the study `peers`: tables and a figure, from its rows."""

import functools
from collections.abc import Sequence
from typing import Any

from depthbench.benchmarks.peers.comparison import BASE
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline, Row
from depthbench.research.study.headlines import measured, out_of
from depthbench.research.study.tables import Mark, Table, number, ranged

BEHIND = 0.98  # ratios of less are red: 2 % is what the aim allows


def quiet(row: Row) -> bool:
    """Whether the machine did little else: our own threads, and one more.

    PyTorch's threads wait for each other in a loop; where others take the cores they
    wait for seconds, which says nothing of PyTorch.
    """
    return row["load"] <= row["threads"] + 1


def headline(rows: Sequence[Row]) -> Headline:
    """In how many cases our step is as fast as the best peer's, and where it is not."""
    timed = measured(rows)
    best: dict[str, Row] = {}
    for row in timed:
        if row["peer"] != BASE:
            name = row_label(row)
            best[name] = min(row, best.get(name, row), key=lambda r: r["ratio"])
    if not best:
        return Headline("No peer was timed.")
    level = [row for row in best.values() if row["ratio"] >= BEHIND]
    name = min(best, key=lambda name: best[name]["ratio"])
    worst = best[name]
    return Headline(
        f"{BASE}'s training step takes no longer than the best peer's, to 2 %, in "
        f"{out_of(len(level), len(best), 'cases')}.",
        f"Worst: {name}, where {worst['peer']} takes {worst['ratio']:.2f} of our time.",
    )


def tables(rows: Sequence[Row]) -> list[Table]:
    """Each case beside its best peer, then every peer, then what was not timed."""
    timed = [row for row in rows if row["status"] == "ok"]
    shown = [_best(timed), _every(rows)]
    busy = {(r["case"], number(r["load"])): None for r in timed if not quiet(r)}
    if busy:
        title = "Taken while others used the machine, and of no worth as times"
        shown.append(Table(title, ("case", "load"), tuple(busy)))
    reasons = {(r["case"], r["peer"], r["reason"]): None for r in rows if r["reason"]}
    if reasons:
        shown.append(Table("Not timed", ("case", "peer", "why"), tuple(reasons)))
    return shown


def _best(rows: Sequence[Row]) -> Table:
    """One line a case: its fastest peer, plain JAX, and who is done first with a step.

    first: that one's time to the end of its first step, over ours.
    """
    cases = {_setting(row): None for row in rows}
    body = []
    for case in cases:
        of = {row["peer"]: row for row in rows if _setting(row) == case}
        ours, peers = of.pop(BASE, None), list(of.values())
        if ours is None or not peers:
            continue
        steps = min(peers, key=lambda row: row["ratio"])
        first = min(peers, key=lambda row: row["first_ratio"])
        body.append(
            (
                row_label(ours),
                number(ours["step_ms"]),
                steps["peer"],
                _ratio(steps["ratio"]),
                _ratio(of["jax"]["ratio"]) if "jax" in of else "-",
                number(ours["first_step_s"], 2),
                first["peer"],
                _ratio(first["first_ratio"]),
            )
        )
    headers = "case step_ms best ratio jax first_s soonest first"
    title = f"{BASE} beside the best peer; a ratio is the peer's time over ours"
    return Table(title, tuple(headers.split()), tuple(body))


def _setting(row: Row) -> tuple:
    return tuple(row[name] for name in ("case", "batch", "length", "width", "depth"))


def row_label(row: Row) -> str:
    """The case, with batch, length, width and depth where they are not its own."""
    _, *sizes = _setting(row)
    if not any(sizes):
        return row["case"]
    return f"{row['case']} {','.join(str(size or '-') for size in sizes)}"


def _ratio(value: float, text: str = "") -> Mark:
    tone = "good" if value >= 1 else "warning" if value >= BEHIND else "bad"
    return Mark(text or f"{value:.2f}", tone)


def _every(rows: Sequence[Row]) -> Table:
    """One line a peer; times beside ours."""
    headers = "case peer step_ms first_s first_ratio ratio n".split()
    known = any(row.get("peak_gib") for row in rows)
    body = []
    for row in rows:
        label = (row["case"], row["peer"])
        memory = [number(row.get("peak_gib"))] if known else []
        if row["status"] != "ok":
            tone = "dim" if row["status"] == "absent" else "bad"
            body.append((*label, *[""] * 3, Mark(row["status"], tone), "", *memory))
            continue
        quartiles = row["ratio_low"], row["ratio_high"]
        text = ranged(row["ratio"], *quartiles, digits=2, form="f")
        is_base = row["peer"] == BASE
        ratio = Mark(text, "dim") if is_base else _ratio(row["ratio"], text)
        first = Mark("1.00", "dim") if is_base else _ratio(row["first_ratio"])
        times = (number(row["step_ms"]), number(row["first_step_s"], 2))
        body.append((*label, *times, first, ratio, number(row["n"]), *memory))
    title = f"A training step; ratio: the peer's time over {BASE}'s (quartiles)"
    if known:
        headers.append("GiB")
        title += "; GiB: the most that a step needs"
    return Table(title, tuple(headers), tuple(body))


def draw_figures(rows: Sequence[Row], profiles: Any) -> list[Figure]:
    """Ratios of times to ours; nothing where no peer was timed."""
    timed = [row for row in rows if row["status"] == "ok" and row["peer"] != BASE]
    if not timed:
        return []
    caption = (
        f"A peer's time over {BASE}'s, for a training step (dots: median and quartiles of "
        "steps taken in turn) and until the first step's end (crosses). Right of the line "
        "the peer takes longer; grey: the machine was busy."
    )
    return [Figure("figure", caption, functools.partial(_draw, timed))]


def _draw(rows: Sequence[Row]) -> Any:
    cases = list(dict.fromkeys(_setting(row) for row in rows))
    figure = figures.new(8.5, 1.0 + 0.26 * len(rows) + 0.3 * len(cases))
    axes = figure.subplots()
    place, ticks = 0.0, []
    for case in cases:
        for row in (row for row in rows if _setting(row) == case):
            _point(axes, place, row)
            ticks.append((place, f"{row_label(row)}: {row['peer']}"))
            place += 1
        axes.axhline(place - 0.25, color="#cccccc", lw=0.6)
        place += 0.5
    axes.axvline(1, color="black", lw=1)
    axes.set_xscale("log", base=2)
    values = [row[name] for row in rows for name in ("ratio_low", "ratio_high")]
    values += [row["first_ratio"] for row in rows]
    axes.set_xlim(min(0.5, min(values) / 1.2), max(2.0, max(values) * 1.2))
    axes.xaxis.set_major_formatter("{x:g}×")
    axes.set_yticks([at for at, _ in ticks], [text for _, text in ticks], fontsize=7)
    axes.set_ylim(place - 0.5, -0.7)
    axes.set_xlabel(f"time over {BASE}'s")
    axes.grid(axis="x", alpha=0.25, lw=0.5)
    return figure


def _point(axes: Any, place: float, row: Row) -> None:
    colour = "#1e8449" if row["ratio"] >= 1 else "#c0392b"
    colour = colour if quiet(row) else "#999999"
    spread = (row["ratio_low"], row["ratio_high"])
    axes.plot(spread, (place, place), color=colour, lw=5, alpha=0.3)
    axes.plot(row["ratio"], place, "o", color=colour, ms=4)
    axes.plot(row["first_ratio"], place, "x", color="#2e6da4", ms=4)
    label = f"{row['ratio']:.2f}  ({row['step_ms']:.3g} ms)"
    beside = axes.get_yaxis_transform()
    axes.text(1.01, place, label, fontsize=6, va="center", transform=beside)
