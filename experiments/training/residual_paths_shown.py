"""How `residual_paths` is shown: two tables and a figure."""

import functools

from depthbench.experiments.training.path_nets import NETS, residual
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import measured
from depthbench.research.study.tables import Mark, Table, number, with_error

with lazily():
    import numpy as np

    from depthbench.experiments.training import path_lengths

MOST = 0.5  # of the gradient: "most"
STRAIGHT = 0.9  # share of the variance of log norms that a falling line explains
SPARED = 0.95  # of the accuracy above chance, by a net that can spare a block
FATAL = 0.25  # by one that cannot


def tables(rows):
    """Gradient by path length; the same of sums; accuracy without a block."""
    done = measured(rows)
    nets = [row for row in done if residual(row)]
    return [
        Table(
            "Share of the gradient by paths of 5/54 to 17/54 of the blocks",
            (
                *("net", "trained", "fresh", "binomial", "all paths equal"),
                *("90 % of it by", "factor a block (fresh)", "R²"),
            ),
            tuple(map(_by_length, nets)),
        ),
        Table(
            "The same where gradients of one length are added before their norm is taken",
            ("net", "trained", "independent directions", "90 % of it by"),
            tuple(map(_summed, nets)),
        ),
        Table(
            "What is left of the accuracy above chance without one block",
            ("net", "training", "test", "mean over blocks", "block needed most"),
            tuple(map(_without, done)),
        ),
    ]


def _by_length(row):
    return (
        _name(row),
        _toned(row, "share", MOST),
        with_error(row["share_fresh"], row["share_fresh_se"]),
        f"{row['share_binomial']:.3f}",
        f"{row['share_equal']:.4f}",
        f"{row['shortest']:.1f}–{row['longest']:.1f}",
        f"{number(row['factor'])} ({number(row['factor_fresh'])})",
        _toned(row, "straight", STRAIGHT),
    )


def _summed(row):
    return (
        _name(row),
        _toned(row, "share_summed", MOST),
        f"{row['share_independent']:.3f}",
        f"{row['shortest_summed']:.1f}–{row['longest_summed']:.1f}",
    )


def _without(row):
    return (
        _name(row),
        f"{row['train_accuracy']:.3f}",
        with_error(row["test_accuracy"], row["test_accuracy_se"]),
        "-" if row["kept"] is None else _toned(row, "kept", SPARED),
        number(row["kept_least"]),
    )


def _name(row):
    return f"{row['net']}, {row['depth']} blocks"


def _toned(row, name, least):
    text = with_error(row[name], row[f"{name}_se"])
    return Mark(text, "good" if row[name] >= least else "bad")


def draw_figures(rows, profiles):
    caption = (
        "Left: norm of the gradient along a path, by its length, over that of length 0 "
        "(dashed: before training). Middle: share of all paths' gradient by length "
        "(dotted: binomial; dashed: added before their norm is taken; grey: all paths "
        "equal), the published range shaded. "
        "Right: test accuracy without each one block. Means over seeds, of the deepest "
        "nets."
    )
    return [Figure("figure", caption, functools.partial(draw, rows, profiles))]


def draw(rows, profiles):
    """The picture, from the study's rows and their profiles."""
    figure = figures.new(10, 3.3)
    decay, share, cut = figure.subplots(1, 3)
    done = measured(rows)
    blocks = max((row["depth"] for row in done), default=1)
    for row in (row for row in done if row["depth"] == blocks):
        colour, curves = f"C{list(NETS).index(row['net'])}", profiles(row)
        accuracy = np.mean(curves["accuracy_cut"], axis=0)
        cut.plot(np.arange(1, blocks + 1), accuracy[1:], color=colour, label=row["net"])
        cut.axhline(accuracy[0], color=colour, lw=0.6, ls="--")
        if residual(row):
            _draw_lengths(decay, share, row, curves, colour)
    share.plot(path_lengths.expected(blocks, 1.0), color="0.6", lw=1)
    within = np.flatnonzero(path_lengths.effective(blocks))
    share.axvspan(within[0] - 0.5, within[-1] + 0.5, color="0.92", zorder=0)
    decay.set_ylabel("log10 gradient along a path")
    share.set_ylabel("share of the gradient")
    cut.set_ylabel("test accuracy without a block")
    cut.set_ylim(0, 1)
    for axes in (decay, share):
        axes.set_xlabel("blocks on the path")
    cut.set_xlabel("block left out")
    cut.legend(frameon=False, loc="center right")
    return figure


def _draw_lengths(decay, share, row, curves, colour):
    """A residual net's gradient along paths, and what those of each length carry."""
    counts = path_lengths.log10_counts(row["depth"])
    for name, style in (("log10_fresh", "--"), ("log10_path", "-")):
        curve = np.mean(curves[name] - curves[name][:, :1], axis=0)
        decay.plot(curve, style, color=colour, lw=1.2)
    each = [path_lengths.shares(counts + log10) for log10 in curves["log10_path"]]
    share.plot(np.mean(each, axis=0), color=colour)
    law = path_lengths.expected(row["depth"], row["factor"])
    share.plot(law, ":", color="black", lw=1, zorder=3)
    summed = [path_lengths.shares(log10) for log10 in curves["log10_summed"]]
    share.plot(np.mean(summed, axis=0), "--", color=colour, lw=1)
