"""How trainability is shown: tables and figures, pure functions of its rows."""

import functools
import math
from collections.abc import Sequence

import numpy as np

from depthbench.benchmarks import kept_by_dtype
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline, Profiles, Row
from depthbench.research.study.headlines import counted, listed, of_deepest, out_of
from depthbench.research.study.tables import Mark, Table, number

NET = ("architecture", "normalizer", "activation", "initializer", "width", "dtype")
ENDS = {"diverged": "diverged", "no_fixed_point": "no fixed point"}


def headline(rows: Sequence[Row]) -> Headline:
    """How many of the deepest nets train, by what their fresh gradient does."""
    deep = [row for row in of_deepest(rows) if row["status"] in ("ok", "diverged")]
    if not deep:
        return Headline("No net of the largest depth was trained.")
    trained = [row for row in deep if _trained(row)]
    alive = [row for row in deep if row["gradient"] == "survives"]
    dead = [row for row in deep if row["gradient"] != "survives"]
    parts = [
        f"{out_of(sum(map(_trained, nets)), len(nets))} whose gradient {what}"
        for nets, what in ((alive, "survives"), (dead, "does not survive"))
        if nets
    ]
    ended = [row for row in deep if row["status"] == "ok"]
    diverged = [row for row in deep if row["status"] == "diverged"]
    worst = min(ended, key=lambda row: row["train_accuracy"], default=None)
    said = [f"{_named(worst)}, {worst['train_accuracy']:.0%} right"] if worst else []
    said += [f"{_named(diverged[0])} diverged"] if diverged else []
    depth, target = counted(deep[0]["depth"], "layer"), deep[0]["target"]
    return Headline(
        f"With {depth} {out_of(len(trained), len(deep), 'nets')} train to {target:.0%}: "
        f"{listed(parts)}.",
        f"Worst: {listed(said)}.",
    )


def _trained(row: Row) -> bool:
    return row["status"] == "ok" and row["train_accuracy"] >= row["target"]


def _named(row: Row) -> str:
    named = (*NET[:1], *NET[2:4], "optimizer", "dtype")
    return " ".join(str(row[n]) for n in named if row.get(n))


def tables(rows: Sequence[Row]) -> list[Table]:
    """Accuracy by depth, a table for each optimizer; then which gradients train."""
    shown = [_accuracies(name, rows) for name in _optimizers(rows)]
    kept = kept_by_dtype.tables(rows)
    return [*shown, *kept, _gradients(rows), _rates(rows)] if rows else []


def _optimizers(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["optimizer"] for row in rows))


def _nets(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by their net's name: what it differs in from the others."""
    shown = [n for n in NET if n == "architecture" or len({r.get(n) for r in rows}) > 1]
    shown += [] if "activation" in shown else ["activation"]
    nets: dict[str, list[Row]] = {}
    for row in rows:
        words = ["" if row[n] == "none" else str(row[n]) for n in shown]
        nets.setdefault(" ".join(filter(None, words)), []).append(row)
    return nets


def _accuracies(optimizer: str, rows: Sequence[Row]) -> Table:
    optimizer_rows = [row for row in rows if row["optimizer"] == optimizer]
    depths = sorted({row["depth"] for row in optimizer_rows})
    body = []
    for net, group in _nets(optimizer_rows).items():
        at = {row["depth"]: row for row in group}
        deepest = max(group, key=lambda row: row["depth"])
        body.append(
            (
                net,
                *(_accuracy(at.get(depth)) for depth in depths),
                _decades(deepest),
                _theory(deepest),
            )
        )
    first = optimizer_rows[0]
    title = (
        f"{optimizer}: % of {first['dataset']} right after {first['steps']} steps at the "
        f"best rate, on what was trained / on the rest (steps to {first['target']:.0%}); "
        "decades of the deepest's fresh gradient, depth that theory lets train"
    )
    headers = (
        *("net", *(f"depth {depth}" for depth in depths)),
        *("decades", "theory"),
    )
    return Table(title, headers, tuple(body))


def _accuracy(row: Row | None) -> Mark:
    if row is None:
        return Mark("", "dim")
    if row["status"] != "ok":
        tone = "bad" if row["status"] == "diverged" else "dim"
        return Mark(ENDS.get(row["status"], row["status"]), tone)
    train, steps = row["train_accuracy"], row["steps_to_target"]
    text = f"{100 * train:.0f} / {100 * row['test_accuracy']:.0f}"
    text += "" if steps is None else f" ({steps:.0f})"
    done = train >= row["target"]
    return Mark(text, "good" if done else "bad" if train < 0.5 else "warning")


def _decades(row: Row) -> Mark:
    if row.get("log10_ratio") is None:
        return Mark(str(row.get("gradient") or "-"), "bad")
    tone = "good" if row["gradient"] == "survives" else "bad"
    return Mark(f"{row['log10_ratio']:+.1f}", tone)


def _theory(row: Row) -> str:
    depth = row.get("theory_depth")
    if depth is None:
        return "-"
    return "∞" if depth in ("inf", math.inf) else f"{depth:.3g}"


def _gradients(rows: Sequence[Row]) -> Table:
    """Of fresh nets by what their gradient does: how many train."""
    body = []
    for gradient in ("survives", "vanishes", "explodes", "lost", "overflow"):
        nets = [r for r in rows if r.get("gradient") == gradient]
        nets = [r for r in nets if r.get("train_accuracy") is not None]
        if not nets:
            continue
        entries = []
        for optimizer in _optimizers(rows):
            group = [row for row in nets if row["optimizer"] == optimizer]
            good = sum(row["train_accuracy"] >= row["target"] for row in group)
            share = good / len(group) if group else 0.0
            tone = "good" if share > 0.8 else "bad" if share < 0.4 else "warning"
            entries.append(Mark(f"{good} of {len(group)}", tone))
        body.append((gradient, *entries))
    target = rows[0]["target"]
    headers = ("fresh gradient", *_optimizers(rows))
    title = f"Nets that are trained to {target:.0%}, by their gradient before training"
    return Table(title, headers, tuple(body))


def _rates(rows: Sequence[Row]) -> Table:
    """The median best rate by depth, and the share of all runs that diverged."""
    body = []
    for optimizer in _optimizers(rows):
        optimizer_rows = [row for row in rows if row["optimizer"] == optimizer]
        for depth in sorted({row["depth"] for row in optimizer_rows}):
            group = [r for r in optimizer_rows if r["depth"] == depth]
            best = [r["best_rate"] for r in group if r.get("best_rate") is not None]
            ended = [r.get("rates_diverged", r.get("diverged")) for r in group]
            ended = [share for share in ended if share is not None]
            share = float(np.mean(ended)) if ended else 0.0
            body.append(
                (
                    optimizer,
                    number(depth),
                    number(float(np.median(best)) if best else None, 2),
                    number(min(best, default=None), 2),
                    number(max(best, default=None), 2),
                    Mark(f"{share:.0%}", "bad" if share > 0.2 else "dim"),
                )
            )
    headers = ("optimizer", "depth", "best rate", "lowest", "highest", "runs diverged")
    return Table("Best learning rates (median over nets)", headers, tuple(body))


def draw_figures(rows: Sequence[Row], profiles: Profiles) -> list[Figure]:
    """Accuracy by net and depth, and accuracy against the fresh gradient's decades."""
    if not rows:
        return []
    caption = (
        "Top: training accuracy of each net and depth at its best learning rate, which "
        "is written; a red line ends what theory allows. Below: the same accuracies "
        "over the decades that the gradient loses or gains before training, with 95 % "
        "intervals over seeds; it survives between the lines."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows))]


def _draw(rows: Sequence[Row]):
    optimizers = _optimizers(rows)
    nets = list(_nets(rows))
    tall = 0.6 + 0.2 * len(nets)
    figure = figures.new(2.2 + 2.7 * len(optimizers), tall + 2.6)
    grid = figure.subplots(
        2, len(optimizers), squeeze=False, height_ratios=(tall, 2.2), sharey="row"
    )
    for top, below, name in zip(grid[0], grid[1], optimizers, strict=True):
        optimizer_rows = [row for row in rows if row["optimizer"] == name]
        image = _map(top, optimizer_rows, nets)
        top.set_title(name, loc="left")
        _scatter(below, optimizer_rows)
    grid[0][0].set_yticks(range(len(nets)), nets)
    grid[1][0].set_ylabel("training accuracy")
    grid[1][0].legend(fontsize=6.5, frameon=False, loc="center left")
    figure.colorbar(image, ax=grid[0], shrink=0.8, pad=0.01, label="training accuracy")
    return figure


def _map(axes, rows: Sequence[Row], nets: Sequence[str]):
    depths = sorted({row["depth"] for row in rows})
    values = np.full((len(nets), len(depths)), np.nan)
    for net, group in _nets(rows).items():
        place = nets.index(net)
        for row in group:
            column = depths.index(row["depth"])
            good = row["status"] == "ok"
            text = f"{row['best_rate']:.1g}" if good and row.get("best_rate") else ""
            if not good:
                text = ENDS.get(row["status"], row["status"])
            elif row.get("train_accuracy") is not None:
                values[place, column] = row["train_accuracy"]
            dark = not good or (row.get("train_accuracy") or 0) > 0.6
            colour = "black" if dark else "white"
            axes.text(
                *(column, place, text),
                **{"ha": "center", "va": "center", "fontsize": 6, "color": colour},
            )
        _theory_line(axes, place, depths, group[0])
    axes.set_facecolor("#bbbbbb")
    image = axes.imshow(values, aspect="auto", vmin=0, vmax=1, cmap="viridis")
    axes.set_xticks(range(len(depths)), depths)
    axes.set_xlabel("depth")
    axes.tick_params(length=0)
    return image


def _theory_line(axes, place: int, depths: Sequence[int], row: Row) -> None:
    theory = row.get("theory_depth")
    if theory is None or theory in ("inf", math.inf):
        return
    column = sum(depth <= theory for depth in depths) - 0.5
    ends = [place - 0.48, place + 0.48]
    axes.plot([column] * 2, ends, color="#ff3b30", lw=2.5, clip_on=False)


MARKS = "os^Dv<>ph*"


def _scatter(axes, rows: Sequence[Row]) -> None:
    import matplotlib

    colours = matplotlib.color_sequences["tab10"]
    names = list(dict.fromkeys(row["architecture"] for row in rows))
    for number_, name in enumerate(names):
        group = [
            row
            for row in rows
            if row["architecture"] == name
            and row.get("log10_ratio") is not None
            and row.get("train_accuracy_low") is not None
        ]
        if not group:
            continue
        middle = np.array([row["train_accuracy"] for row in group])
        low = np.array([row["train_accuracy_low"] for row in group])
        high = np.array([row["train_accuracy_high"] for row in group])
        around = np.stack([middle - np.maximum(low, 0), np.minimum(high, 1) - middle])
        axes.errorbar(
            [row["log10_ratio"] for row in group],
            middle,
            np.maximum(around, 0),
            fmt=MARKS[number_ % len(MARKS)],
            color=colours[number_ % len(colours)],
            ms=3.5,
            lw=0.7,
            alpha=0.8,
            label=name,
        )
    for edge in (-3, 3):
        axes.axvline(edge, color="#888888", lw=0.8, ls=(0, (2, 2)))
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlabel("decades of the fresh gradient")
    axes.set_ylim(0, 1.02)
    axes.grid(alpha=0.25, lw=0.5)
