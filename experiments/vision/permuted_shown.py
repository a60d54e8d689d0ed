"""How shuffled pixels are shown: what is lost by depth, and examples in both orders."""

from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import measured

with lazily():
    import numpy as np


WORDS = {"mlp": "dense net", "cnn": "CNN", "gru": "GRU"}
SHOWN = 5  # examples, of as many classes
MARGIN = 0.1  # of accuracy, above and below all means: few seeds may be far apart


def examples(parts, shuffled):
    """The first test example of each of the first classes, in order and shuffled."""
    places = [int(np.argmax(parts.test.y == label)) for label in range(SHOWN)]
    kept = parts.test.x[places]
    shape = (SHOWN, *kept.shape[1:3]) if kept.ndim == 4 else (SHOWN, -1)
    both = {"kept": kept, "shuffled": shuffled(kept, 0)}
    if kept.ndim == 4:  # of colours the mean is shown
        both = {name: x.mean(axis=-1) for name, x in both.items()}
    return {name: x.reshape(shape).astype(np.float32) for name, x in both.items()}


def draw_drops(rows):
    """Draws what is lost by shuffling, by depth."""

    def draw(figure, axes):
        done = sorted(measured(rows), key=lambda row: row["depth"])
        for place, net in enumerate(dict.fromkeys(row["net"] for row in done)):
            own = [row for row in done if row["net"] == net]
            at, mean = [r["depth"] for r in own], [r["drop"] for r in own]
            how = {"ms": 3, "lw": 1.3, "color": f"C{place}", "label": WORDS[net]}
            axes.plot(at, mean, "o-", **how)
            ends = [
                [
                    m if r[end] is None else r[end]
                    for r, m in zip(own, mean, strict=True)
                ]
                for end in ("drop_low", "drop_high")
            ]
            axes.fill_between(at, *ends, color=f"C{place}", alpha=0.15, lw=0)
        axes.axhline(0, color="black", lw=0.8)
        drops = [row["drop"] for row in done]
        axes.set_ylim(min(0, *drops) - MARGIN, max(0, *drops) + MARGIN)
        places = sorted({row["depth"] for row in done})
        axes.set_xscale("log", base=2)
        axes.set_xticks(places, [str(place) for place in places])
        axes.minorticks_off()
        axes.set_xlabel("depth")
        axes.set_title("accuracy lost by shuffling", loc="left")
        axes.grid(alpha=0.25, lw=0.5)
        figures.legend_below(axes)

    return draw


def figures_of(scoring, rows, profiles):
    caption = (
        "Third: the accuracy that is lost when pixels are shuffled, 95 % intervals, "
        f"clipped at {MARGIN} beyond the means."
    )
    return [
        scoring.figure(rows, caption, draw_drops(rows)),
        both_orders(rows, profiles),
    ]


def both_orders(rows, profiles):
    """The picture `orders`: examples in order and shuffled."""

    def draw():
        shown = profiles(measured(rows)[0])
        images = shown["kept"].ndim == 3
        figure = figures.new(9.0, 4.2 if images else 2.8)
        panels = figure.subplots(2, SHOWN, sharex=True, sharey=True)
        for line, name in enumerate(("kept", "shuffled")):
            for label, axes in enumerate(panels[line]):
                one = shown[name][label]
                if images:
                    axes.imshow(one, cmap="gray_r", interpolation="nearest")
                else:
                    axes.plot(one, ".-", lw=1, ms=2, color=f"C{line}")
                axes.set_yticks([])
                order = "shuffled" if line else "in order"
                axes.set_title(f"a {label}, {order}", loc="left")
        return figure

    text = "An example of each of five classes, and below with its pixels shuffled."
    return Figure("orders", text, draw)
