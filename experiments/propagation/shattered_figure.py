"""The picture of shattered gradients: as the paper's figures 1 and 2, and by depth."""

import functools

from depthbench.experiments.propagation.gradient_pairs import LAGS, NETS
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure

with lazily():
    import numpy as np

SHOWN = (("plain", 1), ("plain_batch", 24), ("plain_batch", 50), ("residual_batch", 50))


def draw_figures(rows, profiles):
    caption = (
        "Top: the gradient of one unit along a line of inputs, beside a random walk and "
        "independent numbers. Left: autocorrelation of such gradients in the deepest "
        "nets. Right: correlation of gradients at independent inputs; dashed: wide nets; "
        "dotted: the paper's laws."
    )
    return [Figure("figure", caption, functools.partial(draw, rows, profiles))]


def draw(rows, profiles):
    """The picture, from the study's rows and their profiles."""
    deepest = max((row["depth"] for row in rows), default=0)
    shown = [row for row in rows if row["status"] == "ok" and row["depth"] == deepest]
    fitted = {row["net"]: row["layers_fitted"] for row in shown}
    curves = {row["net"]: profiles(row) for row in shown}
    figure = figures.new(10.4, 5)
    above, below = figure.subfigures(2, 1, height_ratios=(2, 3))
    _draw_series(above.subplots(1, len(SHOWN) + 2), curves, deepest)
    left, right = below.subplots(1, 2)
    lines = [
        figures.Line(n, of["autocorrelation"][-1], None) for n, of in curves.items()
    ]
    figures.profile_lines(left, lines, f"after {deepest} layers")
    left.set_xlabel("inputs apart on the line")
    left.set_ylabel("autocorrelation")
    points = next((len(of["series"][0]) for of in curves.values()), 2)
    for name, style in (("random walk", "-"), ("independent", ":")):
        mean = np.mean([_own_acf(s) for s in drawn_noise(name, 200, points)], axis=0)
        left.plot(mean, color="#999999", ls=style, label=name)
    below.legend(loc="outside right upper", frameon=False)
    _draw_correlations(right, curves, fitted)
    return figure


def _draw_series(panels, curves, deepest):
    shown = [(n, min(layer, deepest)) for n, layer in SHOWN]
    points = next((len(of["series"][0]) for of in curves.values()), 2)
    x = np.linspace(-2, 2, points)
    for axes, (name, layer) in zip(panels, shown, strict=False):
        axes.set_title(f"{name}, {layer}", loc="left", fontsize=8)
        if name in curves:
            colour = f"C{list(curves).index(name)}"
            axes.plot(x, curves[name]["series"][layer], color=colour, lw=0.6)
    for axes, name in zip(panels[-2:], ("random walk", "independent"), strict=True):
        axes.plot(x, drawn_noise(name, 1, points)[0], color="#999999", lw=0.6)
        axes.set_title(name, loc="left", fontsize=8)
    for axes in panels:
        axes.set_yticks(())
        axes.set_xticks((-2, 0, 2))


def drawn_noise(name, draws, points):
    """[draws, points] of brown ("random walk") or white noise."""
    steps = np.random.default_rng(0).standard_normal((draws, points))
    return np.cumsum(steps, axis=1) if name == "random walk" else steps


def _own_acf(series):
    apart = series - series.mean()
    size = len(apart)
    lags = range(min(LAGS, size))
    return [apart[: size - lag] @ apart[lag:] / (apart @ apart) for lag in lags]


def _draw_correlations(axes, curves, fitted):
    for place, (name, of) in enumerate(curves.items()):
        colour, shown = f"C{place}", slice(fitted[name] + 1)
        layer, mean = np.arange(len(of["theory"])), of["correlation"]
        axes.plot(layer[shown], mean[shown], color=colour, lw=1.5)
        low, high = mean - 3 * of["error"], mean + 3 * of["error"]
        axes.fill_between(
            layer[shown], low[shown], high[shown], color=colour, alpha=0.2, lw=0
        )
        axes.plot(layer, of["theory"], color=colour, lw=1, ls=(0, (4, 3)))
        net, layer = NETS[name], layer[1:].astype(float)
        paper = net.number**layer if net.law == "rate" else layer**net.number
        axes.plot(layer, paper, color=colour, lw=1.2, ls=":")
    axes.set_yscale("log")
    axes.set_ylim(1e-4, 1.5)
    axes.set_xlabel("layer")
    axes.set_ylabel("correlation of gradients")
    axes.grid(alpha=0.25, lw=0.5)
