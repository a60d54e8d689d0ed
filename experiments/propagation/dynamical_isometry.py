"""Which deep nets keep all directions of the signal, and not only its length?

At χ₁ = 1 the squared singular values of the input-output Jacobian have mean 1. Their
variance grows by a constant per layer, E[φ′⁴] / E[φ′²]² for Gaussian weights and one
less for orthogonal ones: a product of free matrices adds up its factors' variances.

Source: Pennington, Schoenholz & Ganguli 2017, arXiv:1711.04735.
"""

import functools
from typing import NamedTuple

from experiments.propagation.isometry_headline import headline
from research.catalogues.activations import ACTIVATIONS
from research.catalogues.catalogue import Catalogue
from research.catalogues.initializers import NoCriticalPoint
from research.lazy import lazily
from research.report import figures
from research.study.axes import Axis
from research.study.claims import Claim
from research.study.declaration import Cost, Figure, Measured, Plan, Study
from research.study.tables import Mark, Table

with lazily():
    import jax
    import numpy as np

    from research.architectures import contract
    from research.signal import ensembles, jacobian, measurement, profiles
    from research.theory import quadrature

SOURCE = "Pennington, Schoenholz & Ganguli 2017, arXiv:1711.04735"


class Kind(NamedTuple):
    """A kind of weights: its draw, and the variance of W Wᵀ's spectrum at σ_w = 1."""

    name: str
    draw: str
    variance: float
    source: str


WEIGHTS = Catalogue(
    "kind of weights",
    [
        Kind("gaussian", "normal", 1.0, SOURCE),
        Kind("orthogonal", "orthogonal", 0.0, SOURCE),
    ],
)


def slopes_spread(activation, q):
    """E[φ′⁴] / E[φ′²]² − 1 over N(0, q): how unequal a layer's squared slopes are."""
    marks = np.array([*quadrature.BENDS, *activation.kinks]) / q**0.5
    grid = np.linspace(-quadrature.REACH, quadrature.REACH, 51)
    breaks = np.concatenate([grid, marks[np.abs(marks) < quadrature.REACH]])
    z, weight = quadrature.rule(breaks, quadrature.ORDER)
    squared = quadrature.evaluate(activation, z * q**0.5)[1] ** 2
    spread = float(weight @ squared**2 / (weight @ squared) ** 2 - 1)
    return spread if spread > 1e-13 else 0.0  # what is left of 0 is rounding


def fit(cells, typed):
    """One cell for all q* where lengths have no scale, and a line that says so."""
    distinct = {}
    for cell in cells:
        alike = {**cell, "q_star": None} if scale_free(cell) else cell
        distinct.setdefault(tuple(alike.items()), cell)
    left = len(cells) - len(distinct)
    why = "a net without a scale is the same at every q*"
    return list(distinct.values()), [f"left out {left} cells: {why}"] if left else []


def shared(alike, run):
    """The most layers, with which all nets are drawn."""
    return {"capacity": max(cell["depth"] for cell in run)}


def cost(cells, shared):
    width, seeds = cells[0]["width"], cells[0]["seeds"]
    # The weights, a copy while they are drawn, and some Jacobians.
    held = 4 * (2 * shared["capacity"] * seeds + 8) * width**2
    layers = sum(cell["depth"] + 10 for cell in cells)
    return Cost(held, held, seeds * layers * (1e-4 + width**3 * 5e-10))


def measure(cells, shared, memory):
    """One Measured for each cell of an activation and kind of weights."""
    return [spectra(cell, shared["capacity"]) for cell in cells]


def spectra(cell, capacity):
    """The spectrum of nets whose lengths start at q*, beside theory's variance."""
    try:
        member = measurement.at_length(cell)
    except NoCriticalPoint as error:
        return Measured("no_fixed_point", str(error), {})
    activation, kind = ACTIVATIONS[cell["activation"]], WEIGHTS[cell["weights"]]
    depth, width = cell["depth"], cell["width"]
    program = ensembles.Program(
        "mlp", "none", (activation.name,), width, capacity, 1, "noise"
    )
    variables, x, _ = ensembles.inputs(program, kind.draw, range(cell["seeds"]))
    rules = jax.tree.map(np.float32, member)
    spectrum = _spectrum(program)

    def of(seed):
        one = jax.tree.map(lambda a: a[seed], variables)
        return jax.device_get(spectrum(one, x[seed], rules, depth))[0]

    log10 = np.stack([of(seed) for seed in range(cell["seeds"])]).astype(np.float64)
    isometry = jacobian.isometry(log10)
    mean = profiles.over_seeds(isometry.log10_mean)
    variance = profiles.over_seeds(isometry.variance)
    spread = slopes_spread(activation, cell["q_star"])
    values = {
        "sigma_w2": member.hidden.sigma_w2,
        "sigma_b2": member.hidden.sigma_b2,
        "log10_mean": mean.mean,
        "variance": variance.mean,
        "variance_theory": depth * (spread + kind.variance),
    }
    if cell["seeds"] > 1:
        values |= {"log10_mean_se": mean.error, "variance_se": variance.error}
    known = np.where(np.isfinite(log10), log10, -8.0)  # below float32's reach
    return Measured("ok", "", values, {"log10": np.mean(known, 0, dtype=np.float32)})


@functools.cache
def _spectrum(program):
    """A compiled (variables, x, rules, depth) -> log10 singular values [1, width]."""
    phi = ACTIVATIONS[program.activations[0]].phi

    def run(variables, x, rules, depth):
        net = ensembles.build(program, phi, "normal", rules, depth)
        links = contract.links(net, variables, depths=(depth,))
        return jacobian.singular_values(links, x, method="exact").log10

    return jax.jit(run)


def net(row):
    length = "" if scale_free(row) else f", q* = {row['q_star']:g}"
    return f"{row['activation']}{length}"


def label(row):
    return f"{row['weights']} {net(row)}"


def scale_free(row):
    """Whether every length is kept, so that q* makes no difference."""
    return row["activation"] in ("linear", "relu", "leaky_relu")


def tables(rows):
    """The variance of the squared singular values by depth, beside theory's."""
    depths = sorted({row["depth"] for row in rows})
    at = {(label(row), row["depth"]): row for row in rows}
    body = []
    for name in dict.fromkeys(map(label, rows)):
        body.append((name, *(_entry(at.get((name, depth))) for depth in depths)))
    headers = ("net", *(f"depth {depth}" for depth in depths))
    title = "Variance of the squared singular values (theory, wide nets)"
    return [Table(title, headers, tuple(body))]


def _entry(row):
    if row is None or row["status"] != "ok":
        return Mark(row["status"] if row else "", "dim")
    text = f"{short(row['variance'])} ({short(row['variance_theory'])})"
    if row["variance"] < 1:
        return Mark(text, "good")
    return Mark(text, "bad" if row["variance"] > 10 else "")


def short(variance):
    """Two or three figures; 0 for what is rounding."""
    if variance < 1e-6:
        return "0"
    return f"{variance:.3g}" if variance >= 1 else f"{variance:.2g}"


def draw_figures(rows, profiles):
    caption = (
        "Left: singular values of the Jacobian, largest first, at the largest depth in "
        "scope; an isometry is a level line at 1. Right: variance of their squares "
        "against depth: points are measured, with three standard errors, lines are theory "
        "for wide nets. Orthogonal weights: solid; Gaussian ones: dashed, open."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


FLOOR = 1e-4  # the right panel's: an orthogonal linear net lies below it


def _draw(rows, profiles):
    rows = [row for row in rows if row["status"] == "ok"]
    figure = figures.new(9.6, 4)
    left, right = figure.subplots(1, 2)
    deepest = max((r["depth"] for r in rows if wide(r)), default=rows[0]["depth"])
    colours = _colours(rows)
    for name in dict.fromkeys(map(label, rows)):
        of = sorted((r for r in rows if label(r) == name), key=lambda r: r["depth"])
        solid = of[0]["weights"] == "orthogonal"
        look = {"color": colours[net(of[0])], "ls": "-" if solid else (0, (4, 2))}
        for row in of:
            if row["depth"] == deepest:
                values = profiles(row)["log10"]
                share = (np.arange(len(values)) + 0.5) / len(values)
                left.plot(share, 10.0**values, lw=1.5, **look)
        _draw_variances(right, of, name, look, solid)
    left.set(yscale="log", ylabel="singular value")
    left.set_ylim(bottom=1e-3)
    left.set_xlabel("share of the singular values that are larger")
    left.set_title(f"depth {deepest}", loc="left")
    right.set_xscale("log", base=2)
    right.set(yscale="log", xlabel="depth")
    right.set_ylim(bottom=FLOOR / 2)
    right.set_ylabel(f"variance of s² (drawn at {FLOOR:g} if smaller)")
    figure.legend(fontsize=7, frameon=False, loc="outside right upper")
    return figure


def _draw_variances(axes, rows, name, look, solid):
    """One net's variances against depth, beside theory's; rows by depth."""
    depth = [row["depth"] for row in rows]
    axes.errorbar(
        depth,
        [max(row["variance"], FLOOR) for row in rows],
        yerr=[3 * (row.get("variance_se") or 0) for row in rows],
        fmt="o" if solid else "s",
        mfc=None if solid else "white",
        ms=4,
        color=look["color"],
        label=name,
    )
    axes.plot(depth, [row["variance_theory"] for row in rows], lw=1, **look)


def _colours(rows):
    """A colour for each net without its weights: those with a q* in shades of one."""
    import matplotlib

    names = list(dict.fromkeys(net(row) for row in rows))
    scaled = [name for name in names if "q*" in name]
    plain = [name for name in names if name not in scaled]
    shades = matplotlib.colormaps["viridis_r"](np.linspace(0.15, 0.9, len(scaled)))
    others = ("black", "#c0392b", "#b9770e", "#8e44ad")
    return dict(zip(scaled, shades, strict=True)) | {
        name: others[place % 4] for place, name in enumerate(plain)
    }


def wide(row):
    """Nets whose width is at least 16 depths: corrections are of order depth/width."""
    return row["width"] >= 16 * row["depth"]


def misses(row):
    return row["variance"] / row["variance_theory"] - 1


STUDY = Study(
    name="dynamical_isometry",
    kind="experiment",
    question="Which deep nets keep all directions of the signal?",
    source=SOURCE,
    axes={
        "activation": Axis("the nonlinearity", ("linear", "relu", "tanh"), ACTIVATIONS),
        "weights": Axis("how weights are drawn", tuple(WEIGHTS), WEIGHTS),
        "q_star": Axis(
            "length on the critical line (linear and ReLU nets have no scale)",
            (0.01, 0.1, 1.0),
            kind="number",
            low=1e-8,
            high=1e8,
        ),
        "depth": Axis("layers", (1, 4, 16, 64), kind="integer", low=1, high=10**5),
        "width": Axis("units", (256,), kind="integer", low=2, high=10**4, single=True),
        "seeds": Axis(
            "networks per cell", (4,), kind="integer", low=1, high=999, single=True
        ),
    },
    sizes={
        "smoke": {
            "q_star": (0.01, 1.0),
            "depth": (1, 4),
            "width": (32,),
            "seeds": (3,),
        },
        "full": {
            "activation": ("linear", "relu", "tanh", "hard_tanh", "erf", "softsign"),
            "q_star": (0.001, 0.01, 0.1, 1.0),
            "depth": (1, 4, 16, 64, 256),
            "width": (1024,),
            "seeds": (10,),
        },
    },
    fit=fit,
    plan=Plan(
        group=lambda cell: (cell["activation"], cell["weights"]),
        program=lambda cell: cell["activation"],
        shared=shared,
        cost=cost,
    ),
    measure="experiments.propagation.dynamical_isometry:measure",
    columns=tuple(
        "activation weights q_star depth width seeds status reason sigma_w2 sigma_b2 "
        "log10_mean log10_mean_se variance variance_se variance_theory".split()
    ),
    claims=(
        Claim(
            "pennington2017.variance-scale-free",
            "the variance of s² is L (Gaussian linear), 2L (Gaussian ReLU), L "
            "(orthogonal ReLU)",
            SOURCE,
            tag="S4",
            gap=misses,
            error=lambda row: row["variance_se"] / row["variance_theory"],
            published="L, 2L, L: gap 0",
            within=0.1,  # at finite width it is off by about depth/width, 1/16 at most
            scope=lambda row: (
                wide(row)
                and row["activation"] in ("linear", "relu")
                and row["variance_theory"] > 0.5
            ),
            label=("weights", "activation", "depth"),
        ),
        Claim(
            "pennington2017.linear-isometry",
            "orthogonal linear nets are isometries at every depth",
            SOURCE,
            tag="S4",
            gap=lambda row: row["variance"],
            error=lambda row: row["variance_se"],
            published="0",
            within=1e-5,
            scope=lambda row: (
                (row["activation"], row["weights"]) == ("linear", "orthogonal")
            ),
            label=("depth",),
        ),
        Claim(
            "pennington2017.variance-tanh",
            "for tanh the variance of s² is L E[φ′⁴]/E[φ′²]² (Gaussian), L less "
            "(orthogonal)",
            SOURCE,
            tag="S4",
            gap=misses,
            error=lambda row: row["variance_se"] / row["variance_theory"],
            published="the formula's: gap 0",
            within=0.1,
            scope=lambda row: wide(row) and not scale_free(row),
            label=("weights", "activation", "q_star", "depth"),
        ),
        Claim(
            "pennington2017.tanh-near-isometry",
            "orthogonal tanh nets near isometry as q* → 0: the variance of s² is "
            "below L/10 from q* = 0.1 on",
            SOURCE,
            tag="S4",
            gap=lambda row: max(0.0, row["variance"] / row["depth"] - 0.1),
            error=lambda row: row["variance_se"] / row["depth"],
            published="variance / L: below 0.1",
            ours=lambda row: row["variance"] / row["depth"],
            within=0.0,
            scope=lambda row: (
                (row["activation"], row["weights"]) == ("tanh", "orthogonal")
                and row["q_star"] <= 0.1
            ),
            label=("q_star", "depth"),
        ),
        Claim(
            "pennington2017.relu-no-isometry",
            "no ReLU net is an isometry: the variance of s² is at least L, whatever "
            "the weights and q*",
            SOURCE,
            tag="S4",
            gap=lambda row: min(0.0, row["variance"] / row["depth"] - 1),
            error=lambda row: row["variance_se"] / row["depth"],
            published="variance / L: at least 1",
            ours=lambda row: row["variance"] / row["depth"],
            within=0.1,
            scope=lambda row: row["activation"] == "relu",
            label=("weights", "depth"),
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=2.0,
)

if __name__ == "__main__":
    from research.cli.main import script

    script(STUDY.name)
