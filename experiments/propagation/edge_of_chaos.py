"""Where is the edge of chaos of each activation, and do nets behave as theory says there?

Sources: Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017, arXiv:1611.01232.
"""

import functools
import math

from depthbench.experiments.propagation import nets
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Headline, Measured, Study
from depthbench.research.study.estimates import about, mean
from depthbench.research.study.headlines import measured, out_of
from depthbench.research.study.tables import Mark, Table, number

with lazily():
    import numpy as np

    from depthbench.research.signal import profiles
    from depthbench.research.theory import mean_field


def measure(cells, shared, memory):
    """Measures the cells that have a critical point, at its multiple.

    Cells without a critical σ_w² say why.
    """
    critical = [
        mean_field.critical_sigma_w2(ACTIVATIONS[c["activation"]], c["sigma_b2"])
        for c in cells
    ]
    there = {
        (c["sigma_b2"]): point.sigma_w2
        for c, point in zip(cells, critical, strict=True)
        if point.exists
    }
    runnable = [c for c in cells if c["sigma_b2"] in there]
    measured = {}
    if runnable:
        results = nets.measure(
            runnable,
            {**shared, "capacity": runnable[0]["depth"]},
            memory,
            lambda c: {"sigma_w2": c["of_critical"] * there[c["sigma_b2"]]},
            finish,
            "at_fixed_point",
        )
        measured = dict(zip(map(_key, runnable), results, strict=True))
    results = []
    for cell, point in zip(cells, critical, strict=True):
        if point.exists:
            result = measured[_key(cell)]
            values = {"sigma_w2_critical": point.sigma_w2, **result.values}
            results.append(result._replace(values=values))
        else:
            results.append(Measured("no_fixed_point", point.reason, {}))
    return results


def _key(cell):
    return tuple(cell.values())


def finish(cell, result):
    """Length and correlation at the last layer beside their fixed points."""
    names = ("q_star", "c_star", "chi_1", "xi_c", "phase")
    values = {name: result.values.get(name) for name in names}
    values["sigma_w2"] = result.values.get("sigma_w2_used")
    if result.status not in ("ok", "lost"):
        return Measured(result.status, result.reason, values)
    apart = result.values.get("decorrelation")
    error = result.values.get("decorrelation_se")
    values |= {
        "log10_length": result.values.get("log10_length"),
        "log10_length_se": result.values.get("log10_length_se"),
        "c": None if apart is None else 1 - apart,
        "c_se": None if error is None else profiles.resolved(error),
        "log10_slope": result.values.get("log10_slope"),
        "log10_slope_se": result.values.get("log10_slope_se"),
    }
    return Measured("ok", "", values, {})


def headline(rows):
    """How many activations have an edge, and how many nets are where theory ends."""
    done = measured(rows)
    names = {row["activation"] for row in rows}
    edges = out_of(len({row["activation"] for row in done}), len(names), "activations")
    answer = f"{edges} have an edge of chaos at some σ_b² that was tried"
    arrived = [row for row in done if length_scope(row)]
    if not arrived:
        return Headline(f"{answer}; no net has a length to compare with theory.")
    near = [row for row in arrived if abs(length_gap(row)) <= NEAR]
    worst = max(arrived, key=lambda row: abs(length_gap(row)))
    at = f"σ_b² = {worst['sigma_b2']:g}, {worst['of_critical']:g} × the critical σ_w²"
    return Headline(
        f"{answer}; {out_of(len(near), len(arrived), 'nets')} off the edge end within "
        "10 % of the length that theory says.",
        f"Farthest off: {worst['activation']} at {at}: length "
        f"{10 ** worst['log10_length']:.3g}, theory {worst['q_star']:.3g}.",
    )


NEAR = math.log10(1.1)


def tables(rows):
    """The critical σ_w² by activation and σ_b²; then lengths and correlations."""
    biases = sorted({row["sigma_b2"] for row in rows})
    at = {(row["activation"], row["sigma_b2"]): row for row in rows}
    body = []
    for name in dict.fromkeys(row["activation"] for row in rows):
        body.append((name, *(_critical(at.get((name, b))) for b in biases)))
    title = "Critical σ_w², where χ₁ = 1 at a stable length"
    shown = [Table(title, ("activation", *(f"σ_b² = {b:g}" for b in biases)), body)]
    far = [r for r in rows if r["status"] == "ok" and length_scope(r)]
    far = [r for r in far if r["log10_length"] is not None]
    far.sort(key=lambda r: -abs(length_gap(r)))
    lines = tuple(
        (
            row["activation"],
            number(row["sigma_b2"]),
            number(row["of_critical"]),
            number(row["q_star"]),
            number(10 ** row["log10_length"]),
            number(row["c_star"]),
            number(row["c"]),
        )
        for row in far[:8]
    )
    headers = ("activation", "σ_b²", "σ_w²/critical", "q*", "q", "c*", "c")
    return [*shown, Table("Farthest from their length's fixed point", headers, lines)]


def _critical(row):
    if row is None or row["status"] == "no_fixed_point":
        return Mark("none", "dim")
    return number(row.get("sigma_w2_critical"), 5)


def draw_figures(rows, profiles):
    caption = (
        "Left: the critical line of each activation; below it gradients vanish, above "
        "they explode. Right: measured correlation of two inputs at the last layer "
        "against theory's c*; points on the line agree."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows))]


def _draw(rows):
    figure = figures.new(9, 4.2)
    left, right = figure.subplots(1, 2)
    import matplotlib

    colours = matplotlib.color_sequences["tab20"]
    for k, name in enumerate(dict.fromkeys(r["activation"] for r in rows)):
        points = {
            (r["sigma_w2_critical"], r["sigma_b2"])
            for r in rows
            if r["activation"] == name and r.get("sigma_w2_critical") is not None
        }
        if points:
            x, y = zip(*sorted(points, key=lambda p: p[1]), strict=True)
            mark, colour = "os^D"[k % 4], colours[k % 20]
            left.plot(x, y, "-", marker=mark, ms=3, lw=1, color=colour, label=name)
    left.set_xscale("log")
    left.set_xlabel("critical σ_w²")
    left.set_ylabel("σ_b²")
    left.legend(fontsize=6, frameon=False, loc="center", bbox_to_anchor=(0.8, 0.5))
    for scoped, colour in ((False, "#bbbbbb"), (True, "#1f5f99")):
        shown = [r for r in rows if r["status"] == "ok" and r.get("c") is not None]
        shown = [r for r in shown if correlation_scope(r) is scoped]
        right.plot(
            [r["c_star"] for r in shown],
            [r["c"] for r in shown],
            "o",
            ms=3.5,
            color=colour,
            label="in scope" if scoped else "not arrived: depth < 4 ξ_c",
        )
    right.axline((0, 0), slope=1, color="black", lw=0.8)
    right.set_xlabel("theory: c*")
    right.set_ylabel("measured correlation at the last layer")
    right.legend(frameon=False)
    return figure


def length_scope(row):
    """A finite fixed point, and not the edge itself, where lengths arrive slowly."""
    q_star = row.get("q_star")
    finite = isinstance(q_star, float) and q_star > 0
    return finite and row["of_critical"] != 1


def length_gap(row):
    return row["log10_length"] - np.log10(row["q_star"])


def length(row):
    """How far a length is from its fixed point, in decades."""
    if row["log10_length"] is None:
        return mean(None, None, row["seeds"])
    return mean(length_gap(row), row["log10_length_se"], row["seeds"])


def correlation(row):
    """How far two inputs' correlation is from its fixed point."""
    if row["c"] is None:
        return mean(None, None, row["seeds"])
    return mean(row["c"] - row["c_star"], row["c_se"], row["seeds"])


def correlation_scope(row):
    """Nets deep enough to have arrived: at least 4 ξ_c layers."""
    scale = row.get("xi_c")
    return length_scope(row) and isinstance(scale, float) and row["depth"] > 4 * scale


HERE = "digits, 60 layers of 300 units that start at q*, 16 drawn nets"

STUDY = Study(
    name="edge_of_chaos",
    kind="experiment",
    question="Where is each activation's edge of chaos, and do nets obey it?",
    source="Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017",
    axes={
        "activation": Axis("the nonlinearity", ACTIVATIONS.published, ACTIVATIONS),
        "sigma_b2": Axis(
            "bias variance", (0.0, 0.01, 0.05, 0.2), kind="number", low=0, high=1e3
        ),
        "of_critical": Axis(
            "σ_w² as a multiple of the critical one",
            (0.7, 1.0, 1.5),
            kind="number",
            low=1e-3,
            high=1e3,
        ),
        "depth": Axis("layers", (60,), kind="integer", low=2, high=10**5, single=True),
        "width": Axis("units", (300,), kind="integer", low=2, high=10**5, single=True),
        "seeds": Axis(
            "networks per cell", (16,), kind="integer", low=1, high=999, single=True
        ),
    },
    sizes={
        "smoke": {
            "activation": ("tanh", "relu", "softplus"),
            "sigma_b2": (0.0, 0.05),
            "depth": (16,),
            "width": (48,),
            "seeds": (3,),
        },
        "full": {
            "sigma_b2": (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
            "of_critical": (0.5, 0.7, 0.9, 1.0, 1.1, 1.5, 2.0, 3.0),
            "depth": (300,),
            "width": (1000,),
            "seeds": (30,),
        },
    },
    plan=nets.plan(lambda cell: {"sigma_w2": None}),
    measure="depthbench.experiments.propagation.edge_of_chaos:measure",
    columns=tuple(
        "activation sigma_b2 of_critical depth width seeds status reason "
        "sigma_w2_critical sigma_w2 q_star log10_length log10_length_se c_star c c_se "
        "chi_1 xi_c phase "
        "log10_slope log10_slope_se".split()
    ),
    claims=(
        Claim(
            "poole2016.lengths-converge",
            "the lengths of a net's states converge to q*",
            "Poole et al. 2016, arXiv:1606.05340, section 2",
            tag="S2",
            protocol=f"{HERE}, off the edge of chaos, within 26 %",
            differs="tanh, 1,000 units, at many lengths and variances",
            estimate=length,
            published="q*: gap 0 decades",
            allows=about(0.0, within=0.1),
            scope=length_scope,
            label=("activation", "sigma_b2", "of_critical"),
        ),
        Claim(
            "poole2016.correlations-converge",
            "the correlation of two inputs converges to c*: 1 in order, below 1 in chaos",
            "Poole et al. 2016, arXiv:1606.05340, section 3",
            tag="S2",
            protocol=f"{HERE}, where 60 layers are more than 4 ξ_c",
            differs="tanh, 1,000 units, pairs of inputs of given correlation",
            estimate=correlation,
            published="c*: gap 0",
            allows=about(0.0, within=0.1),
            scope=correlation_scope,
            label=("activation", "sigma_b2", "of_critical"),
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=8.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
