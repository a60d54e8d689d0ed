"""Which deep nets keep all directions of the signal, and not only its length?

At χ₁ = 1 the squared singular values of the input-output Jacobian have mean 1. Their
variance grows by a constant per layer, E[φ′⁴] / E[φ′²]² for Gaussian weights and one
less for orthogonal ones: a product of free matrices adds up its factors' variances.

Source: Pennington, Schoenholz & Ganguli 2017, arXiv:1711.04735.
"""

import functools
from typing import NamedTuple

from depthbench.experiments.propagation.isometry_shown import (
    draw_figures,
    headline,
    scale_free,
    tables,
    wide,
)
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.catalogues.initializers import NoCriticalPoint
from depthbench.research.lazy import lazily
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Cost, Measured, Plan, Study
from depthbench.research.study.estimates import about, above, below, mean

with lazily():
    import jax
    import numpy as np

    from depthbench.research.architectures import contract
    from depthbench.research.signal import ensembles, jacobian, measurement, profiles
    from depthbench.research.theory import quadrature

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
    mean = profiles.over_seeds(isometry.log10_mean, depth)
    # Squares that are equal but for some ten roundings have none.
    variance = profiles.over_seeds(isometry.variance, 100 * profiles.EPSILON)
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


def misses(row):
    return row["variance"] / row["variance_theory"] - 1


HERE = "noise, 1 to 64 layers of 256 units, 10 drawn nets, width at least 4 × depth"
PAPER = (
    "a theorem for infinite width, shown at up to 1,024 layers of 400 and more units"
)


def relative(row):
    """The variance of s² over theory's; 1 where they agree."""
    theory = row["variance_theory"]
    error = row.get("variance_se")
    return mean(row["variance"] / theory, error and error / theory, row["seeds"])


def per_layer(row):
    """The variance of s² over depth."""
    depth, error = row["depth"], row.get("variance_se")
    return mean(row["variance"] / depth, error and error / depth, row["seeds"])


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
            "networks per cell", (10,), kind="integer", low=1, high=999, single=True
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
    measure="depthbench.experiments.propagation.dynamical_isometry:measure",
    columns=tuple(
        "activation weights q_star depth width seeds status reason sigma_w2 sigma_b2 "
        "log10_mean log10_mean_se variance variance_se variance_theory".split()
    ),
    claims=(
        Claim(
            "pennington2017.variance-scale-free",
            "the variance of the Jacobian's squared singular values is L (Gaussian "
            "linear nets), 2L (Gaussian ReLU), L (orthogonal ReLU)",
            f"{SOURCE}, section 2",
            tag="S4",
            protocol=HERE,
            differs=PAPER,
            estimate=relative,
            published="L, 2L, L: ratio 1",
            allows=about(1.0, within=0.2),  # at finite width off by some depth/width
            scope=lambda row: (
                wide(row)
                and row["activation"] in ("linear", "relu")
                and (row["activation"], row["weights"]) != ("linear", "orthogonal")
            ),
            label=("weights", "activation", "depth"),
        ),
        Claim(
            "pennington2017.variance-tanh",
            "for tanh nets the variance of the Jacobian's squared singular values is "
            "L E[φ′⁴]/E[φ′²]² (Gaussian), L less (orthogonal)",
            f"{SOURCE}, section 2",
            tag="S4",
            protocol=HERE,
            differs=PAPER,
            estimate=relative,
            published="the formula's: ratio 1",
            allows=about(1.0, within=0.2),
            scope=lambda row: wide(row) and not scale_free(row),
            label=("weights", "activation", "q_star", "depth"),
        ),
        Claim(
            "pennington2017.tanh-near-isometry",
            "orthogonal tanh nets near isometry as q* → 0: the variance of squared "
            "singular values is below L/10 from q* = 0.1 on",
            f"{SOURCE}, section 2",
            tag="S4",
            protocol="noise, 1 to 64 layers of 256 units, 10 drawn nets",
            differs=f"{PAPER}; the tenth is ours",
            estimate=per_layer,
            published="variance / L: towards 0",
            allows=below(0.1),
            scope=lambda row: (
                (row["activation"], row["weights"]) == ("tanh", "orthogonal")
                and row["q_star"] <= 0.1
            ),
            label=("q_star", "depth"),
        ),
        Claim(
            "pennington2017.relu-no-isometry",
            "no ReLU net is an isometry: the variance of squared singular values is "
            "L at least, whatever the weights and q*",
            f"{SOURCE}, section 2",
            tag="S4",
            protocol="noise, 1 to 64 layers of 256 units, 10 drawn nets",
            differs=f"{PAPER}; here a tenth less is allowed",
            estimate=per_layer,
            published="variance / L: at least 1",
            allows=above(0.9),
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
    from depthbench.research.cli.main import script

    script(STUDY.name)
