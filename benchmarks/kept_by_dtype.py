"""What dtypes keep of fresh gradients: a sentence, a table, a map, of rows that say it."""

import functools
import statistics
from collections.abc import Sequence

from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study import dtypes
from depthbench.research.study.declaration import Figure, Row
from depthbench.research.study.headlines import counted, listed, of_deepest
from depthbench.research.study.tables import Mark, Table, number

with lazily():
    import numpy as np

NET = ("architecture", "normalizer", "initializer", "activation")


def of_one(rows: Sequence[Row]) -> list[Row]:
    """The rows of one dtype: what is exact is the same in all of them."""
    first = next((row.get("dtype") for row in rows), None)
    return [row for row in rows if row.get("dtype") == first]


def typed(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows that say what their dtype keeps, by dtype."""
    there = [row for row in rows if row.get("kept_layers") is not None]
    return {
        name: [row for row in there if row["dtype"] == name]
        for name in dict.fromkeys(row["dtype"] for row in there)
    }


def sentence(rows: Sequence[Row]) -> str:
    """In how many of the deepest nets something of the gradient is left, by dtype."""
    kept = {name: of_deepest(group) for name, group in typed(rows).items()}
    if not kept:
        return ""
    depth = max(row["depth"] for group in kept.values() for row in group)
    parts = [f"{name} in {whole(g)} of {len(g)}" for name, g in kept.items()]
    layers = counted(depth, "layer")
    return f" Some of it is left through {layers} in {listed(parts, 9)} nets."


def whole(rows: Sequence[Row], column: str = "kept_layers") -> int:
    return sum(row[column] >= row["depth"] for row in rows)


def tables(rows: Sequence[Row]) -> list[Table]:
    """A line for each architecture and dtype, of its deepest nets; none without any."""
    body = []
    for name, group in typed(rows).items():
        for architecture in dict.fromkeys(row["architecture"] for row in group):
            deep = of_deepest([r for r in group if r["architecture"] == architecture])
            body.append((architecture, name, *_line(deep)))
    title = (
        f"What is left of the fresh gradient at each net's deepest, beside {_exact()}: of "
        "anything, of half of its entries; the angle's cosine; the net that loses it first"
    )
    headers = (
        *("architecture", "dtype", "depth", "any left", "half left"),
        *("cosine: median", "least", "lost first"),
    )
    return [Table(title, headers, tuple(body))] if body else []


def _exact() -> str:
    return f"{dtypes.STANDARD}'s in log scale"


def _line(rows: Sequence[Row]) -> tuple:
    cosines = [row["cosine"] for row in rows]
    worst = min(rows, key=lambda row: row["kept_layers"])
    lost = ""
    if worst["kept_layers"] < worst["depth"]:
        how = "0" if worst["lost_how"] == "zero" else "inf"
        layers = counted(round(worst["kept_layers"]), "layer")
        net = f"{worst['activation']} {worst['initializer']}"
        lost = f"{net}: {how} after {layers}"
    return (
        number(rows[0]["depth"]),
        *(_share(whole(rows, c), len(rows)) for c in ("kept_layers", "half_layers")),
        number(statistics.median(cosines), 3),
        number(min(cosines), 3),
        lost,
    )


def _share(good: int, total: int) -> Mark:
    tone = "good" if good == total else "bad" if good == 0 else "warning"
    return Mark(f"{good}/{total}", tone)


def pictures(rows: Sequence[Row]) -> list[Figure]:
    """A map of how much of each net's depth the dtypes keep; none without any."""
    if not typed(rows):
        return []
    caption = (
        "The share of its layers, from the last, through which plain backpropagation in a "
        "dtype keeps anything finite of the gradient, by net and depth: yellow all of "
        "them; ∞ where something overflows first."
    )
    return [Figure("dtypes", caption, functools.partial(_draw, rows))]


def _draw(rows: Sequence[Row]):
    groups = typed(rows)
    every = [row for group in groups.values() for row in group]
    nets = list(dict.fromkeys(_net(row) for row in every))
    depths = sorted({row["depth"] for row in every})
    wide = 0.7 + 0.3 * len(depths)
    figure = figures.new(2.6 + wide * len(groups), 1.1 + 0.14 * len(nets))
    panels = figure.subplots(1, len(groups), squeeze=False, sharey=True)[0]
    for axes, (name, group) in zip(panels, groups.items(), strict=True):
        shares = np.full((len(nets), len(depths)), np.nan)
        for row in group:
            place = nets.index(_net(row)), depths.index(row["depth"])
            shares[place] = min(row["kept_layers"] / row["depth"], 1)
            if row["lost_how"] == "overflow":
                ink = "white" if shares[place] < 0.6 else "black"
                at = {"ha": "center", "va": "center", "fontsize": 6, "color": ink}
                axes.text(place[1], place[0], "∞", **at)
        axes.set_facecolor("#bbbbbb")
        image = axes.imshow(
            shares, aspect="auto", vmin=0, vmax=1, interpolation="nearest"
        )
        axes.set_xticks(range(len(depths)), depths, rotation=90)
        axes.tick_params(length=0, labelsize=6)
        axes.set_title(name, loc="left")
        axes.set_xlabel("depth")
    panels[0].set_yticks(range(len(nets)), nets)
    figure.colorbar(image, ax=panels, shrink=0.6, label="share of layers kept")
    return figure


def _net(row: Row) -> str:
    return " ".join(str(row[n]) for n in NET if row.get(n) not in (None, "none"))
