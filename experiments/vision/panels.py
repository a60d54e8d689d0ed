"""What pictures of several studies have: bare panels, and the best net of each kind."""

from depthbench.research.study.headlines import measured


def bare(axes):
    """Leaves an image without ticks and frame; its labels are kept."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def best_of_each(scoring, rows, names):
    """By architecture, of those named that there are, the row that is best by what was
    held out."""
    kinds = {
        name: [row for row in measured(rows) if row["architecture"] == name]
        for name in names
    }
    return {name: scoring.best(own) for name, own in kinds.items() if own}
