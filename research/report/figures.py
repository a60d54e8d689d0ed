"""Figures made from rows: heat maps and per-layer profiles, drawn one way everywhere."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

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


def new(width: float, height: float) -> Any:
    """An empty matplotlib Figure, in inches, without any global state."""
    import matplotlib

    matplotlib.rcParams.update(STYLE)
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def heat_map(
    axes: Any,
    values: Mapping[tuple[str, str], float | str],
    rows: Sequence[str],
    columns: Sequence[str],
    limit: float,
    title: str,
) -> Any:
    """A map of signed values, white at 0; a string instead of a number is written.

    values: by (row, column). Returns the image, for a colour bar.
    """
    grid = np.full((len(rows), len(columns)), np.nan)
    for r, row in enumerate(rows):
        for c, column in enumerate(columns):
            value = values.get((row, column), "")
            if isinstance(value, str):
                axes.text(c, r, value, ha="center", va="center", fontsize=5.5)
            else:
                grid[r, c] = value
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import SymLogNorm

    norm = SymLogNorm(linthresh=limit / 100, vmin=-limit, vmax=limit)
    colours = ScalarMappable(norm, "RdBu")
    axes.set_facecolor("#bbbbbb")
    # Coloured here, cell by cell: imshow would norm every pixel of the picture.
    axes.imshow(colours.to_rgba(grid), aspect="auto", interpolation="nearest")
    # Ticks are the slow part of a figure, so only the outer maps of a grid have them.
    place = axes.get_subplotspec()
    axes.set_xticks(*((range(len(columns)), columns) if place.is_last_row() else ([],)))
    axes.set_yticks(*((range(len(rows)), rows) if place.is_first_col() else ([],)))
    axes.tick_params(length=0, labelsize=7)
    axes.set_title(title, loc="left")
    return colours


def profile_lines(axes: Any, lines: Sequence[Line], title: str) -> None:
    """Curves over layers: measured solid, theory dashed in the same colour."""
    import matplotlib

    colours = matplotlib.color_sequences["tab10"]
    for number, line in enumerate(lines):
        colour = colours[number % len(colours)]
        if line.measured is not None:
            axes.plot(line.measured, color=colour, lw=1.5, label=line.label)
        if line.theory is not None:
            axes.plot(line.theory, color=colour, lw=1, ls=(0, (4, 3)))
    axes.set_title(title, loc="left")
    axes.grid(alpha=0.25, lw=0.5)


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


def data_uri(png: bytes) -> str:
    """A PNG inside a page, so that one HTML file is the whole report."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def phase_diagram(axes: Any, activation: Any, point: tuple[float, float]) -> None:
    """The critical line between order and chaos, and one network's place.

    Every length q on the line is a point (σ_w², σ_b²) = (1/E[φ′²], q − σ_w² E[φ²]).
    """
    from research.theory import mean_field

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
    from research.theory import mean_field

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
