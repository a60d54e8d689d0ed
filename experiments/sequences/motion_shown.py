"""The pictures of a ball's flight: errors by snapshots, and tracks."""

from depthbench.experiments import scores
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import counted

with lazily():
    import numpy as np

CALLED = {
    "mlp": "plain net",
    "cnn_same": "CNN",
    "stacked_gru": "GRU",
}


def draw_snapshots(scoring, rows):
    """Draws the error of each kind of net at its best depth, by snapshots."""

    def draw(figure, axes):
        done = scores.scored(rows)
        seen = sorted({row["snapshots"] for row in done})
        for kind in dict.fromkeys(row["architecture"] for row in done):
            own = [row for row in done if row["architecture"] == kind]
            best = [
                scoring.best([row for row in own if row["snapshots"] == n])
                for n in seen
                if any(row["snapshots"] == n for row in own)
            ]
            at = [seen.index(row["snapshots"]) for row in best]
            shown, label = [row["score"] for row in best], CALLED[kind]
            axes.plot(at, shown, "o-", ms=4, lw=1.3, label=label)
        for name, style in (("strong", "k--"), ("trivial", "k:")):
            level = [next(r[name] for r in done if r["snapshots"] == n) for n in seen]
            axes.plot(
                range(len(seen)), level, style, lw=1, label=getattr(scoring, name)
            )
        axes.set_xticks(range(len(seen)), [str(n) for n in seen])
        axes.set_xlabel("snapshots seen")
        axes.set_ylim(bottom=0)
        axes.set_title("error in pixels, best depth", loc="left")
        figures.legend_below(axes)

    return draw


def draw_tracks(scoring, rows, profiles):
    """Draws what was seen of some balls, where they flew, and what was foreseen."""
    done = scores.scored(rows)
    seen = sorted({row["snapshots"] for row in done})
    best = [scoring.best([r for r in done if r["snapshots"] == n]) for n in seen]
    count = len(profiles(best[0])["picture"])
    figure = figures.new(1.9 * count + 0.6, 1.95 * len(seen) + 0.5)
    grid = figure.subplots(len(seen), count, squeeze=False)
    for line, row in enumerate(best):
        shown = profiles(row)
        for place, axes in enumerate(grid[line]):
            path = np.asarray(shown["path"][place])
            picture = np.asarray(shown["picture"][place], np.float32)
            axes.imshow(picture, cmap="gray", vmin=-0.2, vmax=1.2)
            axes.plot(path[:, 1], path[:, 0], color="#888888", lw=0.8)
            for name, mark, colour in (
                ("end", "o", "#2ecc71"),
                ("strong", "s", "#e67e22"),
                ("net", "x", "#e74c3c"),
            ):
                y, x = path[-1] if name == "end" else shown[name][place]
                label = {"end": "where it is", "strong": "baseline"}.get(name, name)
                axes.plot(x, y, mark, color=colour, ms=7, mew=1.8, fillstyle="none")
                axes.lines[-1].set_label(label)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_xlim(-0.5, picture.shape[1] - 0.5)
            axes.set_ylim(picture.shape[0] - 0.5, -0.5)
        grid[line][0].set_ylabel(counted(row["snapshots"], "snapshot"), fontsize=8)
    figure.legend(
        *grid[0][0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=3,
        fontsize=7,
        frameon=False,
    )
    return figure


def figures_of(scoring, rows, profiles):
    """Error and gradient by depth, error by snapshots; and tracks."""
    rows = scores.scored(rows)
    most = max(row["snapshots"] for row in rows)
    seen = [row for row in rows if row["snapshots"] == most]
    caption = (
        f"Left and middle: {counted(most, 'snapshot')} seen. Third: by how many were."
    )
    lines = scoring._replace(by=("architecture",))
    return [
        lines.figure(seen, caption, draw_snapshots(scoring, rows)),
        Figure(
            "tracks",
            "Balls of the test part, as they were seen; grey: their whole flight. A line "
            "of pictures for each number of snapshots, the net that does best with it.",
            lambda: draw_tracks(scoring, rows, profiles),
        ),
    ]
