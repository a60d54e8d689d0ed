"""Do gradients change by the factor χ₁ per layer, as mean-field theory says?

Source: Schoenholz et al. 2017, Deep Information Propagation, arXiv:1611.01232.
"""

import functools

from depthbench.experiments.propagation import nets
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study import fixed_points
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Headline, Measured, Study
from depthbench.research.study.estimates import about, mean
from depthbench.research.study.headlines import measured, out_of
from depthbench.research.study.tables import Mark, Table

with lazily():
    import numpy as np

    from depthbench.research.signal import profiles

EDGE = 5  # states left out at either end, where the input and the loss are felt


def finish(cell, result):
    """The slope over interior layers beside ½ log10 χ₁, and the drift of the length."""
    values = {k: result.values.get(k) for k in ("chi_1", "q_star", "phase", "verdict")}
    for name in ("log10_slope_theory", "log10_length_theory"):
        values[name] = result.values.get(name)
    if result.status != "ok":
        return Measured(result.status, result.reason, values)
    measured = result.profiles["log10_gradient"]
    slopes = profiles.over_seeds(profiles.slope(measured, EDGE), 1.0)
    values |= {"log10_slope": slopes.mean, "log10_slope_se": slopes.error}
    length, q_star = result.profiles["log10_length"], values["q_star"]
    finite = q_star is not None and 0 < q_star < np.inf
    drift = length[-1] - np.log10(q_star) if finite else None
    values["drift"] = profiles.resolved(drift, len(length)) if finite else None
    names = ("log10_gradient", "log10_gradient_theory")
    arrays = {k: result.profiles[k] for k in names if k in result.profiles}
    return Measured("ok", "", values, arrays)


def settings(cell):
    return {"sigma_w2": cell["sigma_w"] ** 2, "sigma_b2": cell["sigma_b"] ** 2}


def headline(rows):
    """At how many points the rate is √χ₁, and where it is not most."""
    known = [r for r in measured(rows) if r["log10_slope_theory"] is not None]
    if not known:
        return Headline("Theory has no rate for any of these nets.")
    near = [row for row in known if off(row) <= WITHIN]
    arrived = [row for row in known if fixed_points.arrived(row)]
    worst = max(arrived or known, key=off)
    good = out_of(len(near), len(known), "nets")
    at = f"σ_w = {worst['sigma_w']:g}"
    return Headline(
        f"In {good} the gradient changes per layer by √χ₁, to {WITHIN:g} decades.",
        f"Farthest off{' of nets at their fixed point' * bool(arrived)}: "
        f"{worst['activation']} at {at}, by {off(worst):.2g} decades a layer.",
    )


def off(row):
    return abs(row["log10_slope"] - row["log10_slope_theory"])


def tables(rows):
    """Measured slope, and what it misses theory by, for each activation and σ_w."""
    sigmas = sorted({row["sigma_w"] for row in rows})
    at = {(row["activation"], row["sigma_w"]): row for row in rows}
    body = []
    for name in dict.fromkeys(row["activation"] for row in rows):
        entries = [_entry(at.get((name, sigma))) for sigma in sigmas]
        body.append((name, *entries))
    title = "Decades per layer (difference from ½ log10 χ₁)"
    return [Table(title, ("activation", *(f"σ_w = {s:g}" for s in sigmas)), body)]


def _entry(row):
    if row is None or row.get("log10_slope") is None:
        return Mark(row["status"] if row else "", "dim")
    slope, theory = row["log10_slope"], row["log10_slope_theory"]
    if theory is None:
        return Mark(f"{slope:+.4f} (no theory)", "dim")
    far = abs(slope - theory) - 3 * (row["log10_slope_se"] or 0) > WITHIN
    return Mark(f"{slope:+.4f} ({slope - theory:+.4f})", "bad" if far else "good")


def draw_figures(rows, profiles):
    caption = (
        "Measured decades per layer against ½ log10 χ₁; the line is equality. Grey: "
        "lengths have no finite fixed point, outside the theorem's scope."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows))]


def _draw(rows):
    figure = figures.new(5.2, 4.6)
    axes = figure.subplots()
    known = [r for r in rows if r.get("log10_slope_theory") is not None]
    known = [r for r in known if r.get("log10_slope") is not None]
    for scoped, colour in ((False, "#bbbbbb"), (True, "#1f5f99")):
        points = [r for r in known if fixed_points.arrived(r) is scoped]
        axes.errorbar(
            [r["log10_slope_theory"] for r in points],
            [r["log10_slope"] for r in points],
            yerr=[3 * (r["log10_slope_se"] or 0) for r in points],
            fmt="o",
            ms=3.5,
            color=colour,
            label="in scope" if scoped else "out of scope",
        )
    far = sorted(known, key=lambda r: -abs(r["log10_slope"] - r["log10_slope_theory"]))
    for row in far[:4]:
        axes.annotate(
            f"{row['activation']} {row['sigma_w']:g}",
            (row["log10_slope_theory"], row["log10_slope"]),
            fontsize=6.5,
            xytext=(4, -8),
            textcoords="offset points",
        )
    axes.axline((0, 0), slope=1, color="black", lw=0.8)
    axes.set_xlabel("theory: ½ log10 χ₁")
    axes.set_ylabel("measured decades per layer")
    axes.legend(frameon=False)
    return figure


WITHIN = fixed_points.RATE_WITHIN


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return nets.measure(cells, shared, memory, settings, finish, "at_fixed_point")


STUDY = Study(
    name="gradient_rate",
    kind="experiment",
    question="Do gradients change by the factor χ₁ per layer?",
    source="Schoenholz et al. 2017, arXiv:1611.01232",
    axes={
        "activation": Axis("the nonlinearity", ACTIVATIONS.published, ACTIVATIONS),
        "sigma_w": Axis(
            "√(weight variance × fan-in)",
            (0.8, 1.0, 1.2, 1.4),
            kind="number",
            low=1e-6,
            high=1e3,
        ),
        "sigma_b": Axis("√(bias variance)", (0.3,), kind="number", low=0, high=1e3),
        "depth": Axis("layers", (50,), kind="integer", low=12, high=10**5, single=True),
        "width": Axis("units", (300,), kind="integer", low=2, high=10**5, single=True),
        "seeds": Axis(
            "networks per cell", (6,), kind="integer", low=1, high=999, single=True
        ),
    },
    sizes={
        "smoke": {
            "activation": ("tanh", "relu", "selu"),
            "depth": (20,),
            "width": (48,),
            "seeds": (3,),
        },
        "full": {
            "sigma_w": tuple(round(0.5 + 0.1 * k, 1) for k in range(16)),
            "depth": (200,),
            "width": (1000,),
            "seeds": (20,),
        },
    },
    plan=nets.plan(settings),
    measure="depthbench.experiments.propagation.gradient_rate:measure",
    columns=tuple(
        "activation sigma_w sigma_b depth width seeds status reason log10_slope "
        "log10_slope_se log10_slope_theory log10_length_theory chi_1 q_star drift phase "
        "verdict".split()
    ),
    claims=(
        Claim(
            "schoenholz2017.rate-by-variance",
            "a plain net's gradient changes by √χ₁ per layer: it vanishes if χ₁ < 1 and "
            "explodes if χ₁ > 1",
            "Schoenholz et al. 2017, arXiv:1611.01232, section 4",
            tag="S1",
            protocol="at four variances of weights, through 50 layers of 300 units that "
            "start at their fixed point q*",
            differs="tanh and a hard-tanh, deeper nets, the variance of weights on a line",
            estimate=lambda row: mean(
                row["log10_slope"] - row["log10_slope_theory"],
                row["log10_slope_se"],
                row["seeds"],
            ),
            published="½ log10 χ₁: gap 0",
            allows=about(0.0, within=WITHIN),
            scope=fixed_points.arrived,
            label=("activation", "sigma_w"),
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
