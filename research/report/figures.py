"""Figures made from rows: heat maps and per-layer profiles, drawn one way everywhere."""

import io
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from depthbench.research.files.text import visible

STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 150,  # laid out as it is drawn: text is wider than at 100
    "svg.hashsalt": "depthbench",  # the same figure is the same bytes
    "svg.fonttype": "none",
}


class Line(NamedTuple):
    """A measured curve and the theory's, over layers; either may be absent."""

    label: str
    measured: np.ndarray | None
    theory: np.ndarray | None


LONGEST = 60  # letters of a text from a row


def literal(text: str) -> str:
    """The text as matplotlib draws it, which takes what is between dollars as formulas."""
    shown = visible(text)
    shown = shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"
    return shown.replace("$", r"\$")


def literal_lines(text: str) -> str:
    """The same of a text of any length, in lines."""
    return visible(text, keep="\n").replace("$", r"\$")


def literal_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row whose texts can be drawn."""
    return {
        name: literal(value) if isinstance(value, str) and name != "id" else value
        for name, value in row.items()
    }


def over_steps(
    axes: Any, steps: Sequence[int], log10_gradient: np.ndarray, least: float
) -> Any:
    """The heat map of states' gradients [steps, states], beside the last state's of a step.

    least: decades that the colours reach at the least, either way.
    """
    values = log10_gradient
    beside = values - values[:, -1:]  # a step's own scale is that of its loss
    finite = np.abs(beside[np.isfinite(beside)])
    limit = max(least, float(np.max(finite, initial=0)))
    states = np.arange(values.shape[1] + 1) - 0.5
    image = axes.pcolormesh(
        _edges(steps),
        states,
        np.ma.masked_invalid(beside.T),
        cmap="RdBu",
        vmin=-limit,
        vmax=limit,
    )
    axes.set_facecolor("#9a9a9a")
    axes.invert_yaxis()
    axes.set_xlabel("step")
    return image


def _edges(steps: Sequence[int]) -> np.ndarray:
    """Where a step's column begins and ends: halfway to its neighbours.

    >>> _edges([900, 1000]).tolist()
    [850.0, 950.0, 1050.0]
    """
    centres = np.asarray(steps, np.float64)
    if centres.size == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middles = (centres[1:] + centres[:-1]) / 2
    ends = 2 * centres[0] - middles[0], 2 * centres[-1] - middles[-1]
    return np.array([ends[0], *middles, ends[1]])


def labelled(count: int, most: int) -> list[int]:
    """Which of many ticks in a row have a label: one in so many, and the last.

    >>> labelled(22, 12)
    [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 21]
    """
    every = max(1, -(-(count - 1) // max(most - 1, 1)))
    places = [*range(0, count - every, every)]
    return [*places, count - 1] if count else []


def new(width: float, height: float) -> Any:
    """An empty matplotlib Figure, in inches, without any global state."""
    # Figures are files: a screen's backend is not asked for, nor where fonts are kept.
    os.environ["MPLBACKEND"] = "agg"
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib

    matplotlib.rcParams.update(STYLE)
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


class Instead(NamedTuple):
    """What a map shows where there is no number: a sign on a grey, and its meaning."""

    sign: str
    colour: str
    meaning: str


OTHERWISE = Instead("×", "#9a9a9a", "could not be measured")


def heat_map(
    axes: Any,
    values: Mapping[tuple[str, str], float | str],
    rows: Sequence[str],
    columns: Sequence[str],
    limit: float,
    title: str,
    instead: Mapping[str, Instead],
) -> Any:
    """A map of signed values, white at 0; of a word, the sign that stands for it.

    values: by (row, column). instead: signs by word. Returns the image, for a colour bar.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import SymLogNorm, to_rgba

    norm = SymLogNorm(linthresh=limit / 100, vmin=-limit, vmax=limit)
    colours = ScalarMappable(norm, "RdBu")
    grid = np.full((len(rows), len(columns)), np.nan)
    words = {}
    for (row, column), value in values.items():
        place = rows.index(row), columns.index(column)
        if isinstance(value, str):
            words[place] = instead.get(value, OTHERWISE)
        else:
            grid[place] = value
    # Coloured here, cell by cell: imshow would norm every pixel of the picture.
    pixels = colours.to_rgba(np.ma.masked_invalid(grid))
    for (r, c), what in words.items():
        pixels[r, c] = to_rgba(what.colour)
        ink = "white" if np.mean(pixels[r, c, :3]) < 0.6 else "black"
        axes.text(c, r, what.sign, color=ink, ha="center", va="center", fontsize=5.5)
    axes.set_facecolor("white")
    axes.imshow(pixels, aspect="auto", interpolation="nearest")
    # Ticks are the slow part of a figure, so only the outer maps of a grid have them.
    place = axes.get_subplotspec()
    axes.set_xticks(*((range(len(columns)), columns) if place.is_last_row() else ([],)))
    axes.set_yticks(*((range(len(rows)), rows) if place.is_first_col() else ([],)))
    axes.tick_params(length=0, labelsize=7)
    axes.set_title(title, loc="left")
    return colours


def legend_instead(
    figure: Any, rows: Sequence[Mapping[str, Any]], instead: Mapping[str, Instead]
) -> None:
    """Below a figure of maps, the signs that are on it for lack of a number."""
    from matplotlib.patches import Patch

    statuses = dict.fromkeys(row["status"] for row in rows if row["status"] != "ok")
    signs = dict.fromkeys(instead.get(status, OTHERWISE) for status in statuses)
    handles = [
        Patch(facecolor=what.colour, label=f"{what.sign}  {what.meaning}")
        for what in signs
    ]
    if handles:
        figure.legend(
            handles=handles, loc="outside lower center", ncols=3, frameon=False
        )


def colour(place: int) -> Any:
    """The colour of a panel's curve of this number, the same in all panels."""
    import matplotlib

    colours = matplotlib.color_sequences["tab10"]
    return colours[place % len(colours)]


def profile_lines(
    axes: Any, lines: Sequence[Line], title: str, labels: Sequence[str] = ()
) -> None:
    """Curves over layers: measured solid, theory dashed in the same colour.

    labels: of all panels that have one legend, each with its colour; without them the
    lines have colours in turn.
    """
    for number, line in enumerate(lines):
        ink = colour(labels.index(line.label) if labels else number)
        if line.measured is not None:
            axes.plot(line.measured, color=ink, lw=1.5, label=line.label)
        if line.theory is not None:
            axes.plot(line.theory, color=ink, lw=1, ls=(0, (4, 3)))
    axes.set_title(title, loc="left")
    axes.grid(alpha=0.25, lw=0.5)


def legend_lines(figure: Any, labels: Sequence[str]) -> None:
    """Above panels of `profile_lines`, one legend for all of them."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour(place), label=label)
        for place, label in enumerate(labels)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=8, frameon=False)


def legend_below(axes: Any, columns: int = 2) -> None:
    """Below a panel, where it covers none of its lines, what its curves are."""
    # Of the panel's height: what the ticks' labels and the axis's take.
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.17)}
    axes.legend(fontsize=6, frameon=False, ncols=columns, **place)


def bare(axes: Any) -> None:
    """Leaves a panel of a picture without ticks and frame; its labels stay."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def lay_out(figure: Any) -> None:
    """Places everything, once for all formats."""
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine("none")


def as_svg(figure: Any) -> bytes:
    """The figure, laid out, as SVG; the same rows give the same bytes."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    out = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None})
    return out.getvalue()


def as_png(figure: Any) -> bytes:
    """The figure, laid out, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    out = io.BytesIO()
    FigureCanvasAgg(figure).print_png(out, metadata={"Software": None})
    return out.getvalue()


def as_pixels(figure: Any) -> np.ndarray:
    """The figure, laid out, as pixels [height, width, 3] of 8 bits."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def phase_diagram(axes: Any, activation: Any, point: tuple[float, float]) -> None:
    """The critical line between order and chaos, and one network's place.

    Every length q on the line is a point (σ_w², σ_b²) = (1/E[φ′²], q − σ_w² E[φ²]).
    """
    from depthbench.research.theory import mean_field

    q = np.logspace(-4, 3, 400)
    line = mean_field.critical_line(activation, q)
    shown = (line.sigma_b2 >= -1e-9 * q) & (line.slope <= 1 + 1e-9)
    right = max(2.0 * point[0], 1.6 * _least(line.sigma_w2[shown], point[0]))
    top = max(2.0 * point[1], 0.5)
    inside = shown & (line.sigma_w2 <= 1.5 * right) & (line.sigma_b2 <= 1.5 * top)
    w, b = line.sigma_w2[inside], np.maximum(line.sigma_b2[inside], 0)
    if w.size and np.ptp(w) + np.ptp(b) < 1e-6:
        axes.plot(w[:1], b[:1], "D", color="black", label="χ₁ = 1: this point alone")
    elif w.size:
        axes.plot(w, b, color="black", label="χ₁ = 1")
    axes.set_xlim(0, right)
    axes.set_ylim(0, top)
    _shade(axes, activation, right, top)
    axes.plot(*point, "o", color="#c0392b", label="this network", clip_on=False)
    axes.set_xlabel("σ_w²")
    axes.set_ylabel("σ_b²")
    axes.set_title(f"{activation.name}: log10 χ₁", loc="left")
    axes.legend(fontsize=7, frameon=False, loc="upper left")


def _least(values: np.ndarray, otherwise: float) -> float:
    return float(np.min(values)) if values.size else otherwise


def _shade(axes: Any, activation: Any, right: float, top: float) -> None:
    """Colours the plane by log10 χ₁ at the fixed point: red vanishes, blue explodes."""
    from depthbench.research.theory import mean_field

    weights = (np.arange(24) + 0.5) / 24 * right
    biases = (np.arange(12) + 0.5) / 12 * top
    chi = [
        [mean_field.fixed_point(activation, float(w), float(b)).chi_1 for w in weights]
        for b in biases
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        shade = np.log10(np.asarray(chi))
    shade[~np.isfinite(shade)] = np.nan
    image = axes.imshow(
        shade,
        extent=(0, right, 0, top),
        origin="lower",
        aspect="auto",
        cmap="RdBu",
        vmin=-0.5,
        vmax=0.5,
        alpha=0.8,
    )
    axes.figure.colorbar(image, ax=axes, label="log10 χ₁", shrink=0.9)
