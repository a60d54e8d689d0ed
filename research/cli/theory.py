"""`depthbench theory ACTIVATION`: the infinite-width theory of one network."""

import math
from pathlib import Path
from typing import Any

from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.cli.options import TABLE_OR_JSON, number, one_of, path
from depthbench.research.engine import console, runner
from depthbench.research.report import rendering
from depthbench.research.store import atomic
from depthbench.research.study import plugins
from depthbench.research.study.axes import Axis
from depthbench.research.study.errors import Refusal
from depthbench.research.study.tables import Table

MEANINGS = {
    "q_star": "fixed point of the squared length q",
    "chi_1": "factor of the squared gradient per layer",
    "c_star": "fixed point of the correlation of two inputs",
    "chi_c": "slope of the correlation map at c*",
    "xi_q": "depth scale of lengths, layers",
    "xi_c": "depth scale of correlations, layers",
    "trainable_depth": "6 ξ_c, layers",
    "sigma_w2_critical": "σ_w² of χ₁ = 1 at this σ_b²",
    "phase": "ordered (vanishes), critical, chaotic (explodes)",
    "converged": "the limits exist and are finite",
}
SIGMA_W2 = Axis("σ_w²: weight variance × fan-in", (1.0,), kind="number", low=1e-12)
SIGMA_B2 = Axis("σ_b²: bias variance", (0.0,), kind="number", low=0)


def arguments(parser) -> None:
    parser.add_argument("activation", help=", ".join(ACTIVATIONS))
    parser.add_argument("--sigma-w2", default="1", help=f"{SIGMA_W2.help}; default: 1")
    parser.add_argument("--sigma-b2", default="0", help=f"{SIGMA_B2.help}; default: 0")
    parser.add_argument("--format", default="table", help=", ".join(TABLE_OR_JSON))
    parser.add_argument("--figure", help="write the phase diagram to this .png or .svg")


def main(options) -> int:
    name = ACTIVATIONS.written(options.activation)
    sigma_w2 = number("--sigma-w2", options.sigma_w2, SIGMA_W2)
    sigma_b2 = number("--sigma-b2", options.sigma_b2, SIGMA_B2)
    one_of("--format", options.format, TABLE_OR_JSON)
    figure = None if options.figure is None else picture(options.figure)
    runner.begin(packages=())
    from depthbench.research.theory import mean_field

    plugins.look(ACTIVATIONS, name)
    activation = ACTIVATIONS[name]
    theory = mean_field.theory(activation, sigma_w2, sigma_b2)
    values = {name: getattr(theory, name) for name in MEANINGS}
    if figure is not None:
        write_figure(figure, activation, sigma_w2, sigma_b2)
    if options.format == "json":
        plain = {name: _json(value) for name, value in values.items()}
        console.write_json({**plain, "reason": theory.reason}, indent=None)
        return 0
    title = f"{activation.name}, σ_w² = {sigma_w2:g}, σ_b² = {sigma_b2:g}"
    body = tuple((name, _text(value), MEANINGS[name]) for name, value in values.items())
    table = Table(title, ("", "value", "meaning"), body)
    rendering.show(table, rendering.terminal())
    if theory.reason:
        console.write(theory.reason)
    if figure is not None:
        console.write(f"phase diagram: {figure}")
    return 0


def picture(text: str) -> Path:
    """The path of a picture that can be made. Raises Refusal."""
    file = path("--figure", text)
    if file.suffix not in (".png", ".svg"):
        raise Refusal(f"--figure {text}: must end in .png or .svg")
    if not file.parent.is_dir():
        raise Refusal(f"--figure {text}: no folder {file.parent}")
    if file.is_dir():
        raise Refusal(f"--figure {text}: is a folder")
    return file


def _json(value: Any) -> Any:
    """JSON has no infinity: "inf" as a string, None for what does not exist."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.9g}"
    return str(value)


def write_figure(path: Path, activation, sigma_w2: float, sigma_b2: float) -> None:
    """Writes the phase diagram: the sign of ln χ₁ over σ_w², σ_b², and the point."""
    from depthbench.research.report import figures

    figure = figures.new(4.2, 3.4)
    axes = figure.subplots()
    figures.phase_diagram(axes, activation, (sigma_w2, sigma_b2))
    render = figures.as_svg if path.suffix == ".svg" else figures.as_png
    atomic.write_atomically(path, render(figure))
