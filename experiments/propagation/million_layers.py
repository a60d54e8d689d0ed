"""Does the gradient survive a million layers of a plain tanh net?

At initialisation, and without skips or normalisers: dense layers z′ = W tanh(z) + b.
A slope of tanh is 1 − tanh², so that at a fixed length q* every layer takes a constant
share of the gradient in some directions, even where it keeps the mean over directions
(χ₁ = 1): no depth is reached so. At q* = 1/L a layer takes O(1/L), and slopes and σ_w
together change a gradient by a factor of e at most. What is left is the product of L
matrices: orthogonal ones keep every norm; of Gaussian ones the log norm is a random walk,
which drifts by −1/(2 width) a layer, however well their variance is chosen.

Sources: Pennington, Schoenholz & Ganguli 2017, arXiv:1711.04735; Hanin & Nica 2020,
arXiv:1812.05994; Xiao et al. 2018, arXiv:1806.05393.
"""

import math
import time

from depthbench.experiments.propagation import million_probed as probed
from depthbench.experiments.propagation import million_shown as shown
from depthbench.experiments.propagation.million_claims import CLAIMS, ISOMETRY, PRODUCTS
from depthbench.experiments.propagation.ten_thousand_layers import (
    Recipe,
    shrinkage,
    shrinking,
)
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.catalogues.initializers import INITIALIZERS
from depthbench.research.lazy import lazily
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Cost, Measured, Plan, Study

with lazily():
    import jax
    import numpy as np
    from scipy import special

    from depthbench.research.signal import measurement, profiles

POINTS = 250  # layers that a curve keeps, from either end


RECIPES = Catalogue(
    "recipe",
    [
        Recipe("orthogonal", "orthogonal", shrinking, ISOMETRY),
        Recipe("orthogonal_q1", "orthogonal", lambda depth: 1.0, ISOMETRY),
        Recipe(
            "orthogonal_gain1", "orthogonal", None, INITIALIZERS["orthogonal"].source
        ),
        Recipe(
            "gaussian", "free", shrinking, "Schoenholz et al. 2017, arXiv:1611.01232"
        ),
        Recipe("glorot", "glorot_normal", None, INITIALIZERS["glorot_normal"].source),
        Recipe("he", "he_normal", None, INITIALIZERS["he_normal"].source),
    ],
)


def settings(cell):
    """The net of a cell, as theory and variances are asked for it."""
    recipe = RECIPES[cell["recipe"]]
    return {
        "architecture": "mlp",
        "activation": "tanh",
        "normalizer": "none",
        "dataset": "noise",
        "batch": probed.BATCH,
        "initializer": recipe.initializer,
        "q_star": recipe.q_star and recipe.q_star(cell["depth"]),
        "width": cell["width"],
        "depth": cell["depth"],
    }


def group(cell):
    """Cells whose matrices are the same but for their size: drawn once for all."""
    return RECIPES[cell["recipe"]].draw, cell["depth"], cell["width"], cell["seeds"]


def cost(cells, shared):
    """One net's weights, its states twice, and what drawing and profiles take."""
    depth, width, seeds = (cells[0][name] for name in ("depth", "width", "seeds"))
    weights, states = width * width + width, probed.BATCH * width
    isometric = RECIPES[cells[0]["recipe"]].draw == "orthogonal"
    memory = 4 * (depth + 1) * (weights + 4 * states + 64 + 8 * seeds) + 2**28
    drawing = 1e-5 * (width / 16) ** 3 if isometric else 5e-9 * weights
    probing = len(cells) * (3e-6 + 3e-9 * weights)
    theory = 7e-6 * len(cells) / seeds
    return Cost(memory, memory, seeds * depth * (drawing + probing + theory))


def measure(cells, shared, memory):
    """One Measured for each cell of a unit: each seed's matrices serve all of them."""
    draw, depth, width, seeds = group(cells[0])
    members = [measurement.at_length(settings(cell)) for cell in cells]
    rules = [
        tuple(
            (np.float32(w), np.float32(b))
            for w, b in (m.first.gains(1, 1), m.hidden.gains(width, width))
        )
        for m in members
    ]
    program, costs = probed.compilation(draw, depth, width)
    signals, seconds, more = [[] for _ in cells], [[] for _ in cells], {}
    for seed in range(seeds):
        weights = probed.drawn(draw, depth, width, seed)
        states = probed.ends(width, seed)
        for n, rule in enumerate(rules):
            began = time.perf_counter()
            signal = jax.block_until_ready(program(weights, *states, rule))
            seconds[n].append(time.perf_counter() - began)
            signals[n].append(jax.device_get(signal))
        if seed == 0 and draw == "orthogonal":
            more = probed.stretched(weights[0], depth)
            doubles = [probed.in_float64(weights, *states, rule) for rule in rules]
        del weights  # before the next are drawn
    results = []
    for n, cell in enumerate(cells):
        signal = jax.tree.map(lambda *a: np.stack(a), *signals[n])
        result = measurement.result(settings(cell), members[n], signal)
        values = {"layer_us": float(np.median(seconds[n])) / depth * 1e6}
        values |= costs | more
        if result.status == "ok":
            ratios = profiles.ratio(signal.log10_gradient)
            # Not as 0 where float32 could be at fault: how far it is stands beside it.
            of_seeds = profiles.over_seeds(ratios)
            values["log10_ratio"] = of_seeds.mean
            values["log10_ratio_se"] = of_seeds.error if seeds > 1 else None
            if draw == "orthogonal":
                values["rounding"] = float(ratios[0]) - doubles[n]
        results.append(finish(cell, result, values))
    return results


def kept_layers(depth):
    """The states that a curve keeps: the first, the last, and POINTS from either end."""
    steps = np.geomspace(1, depth, POINTS).round().astype(int)
    return np.unique(np.concatenate([[0], steps, depth - steps]))


def finish(cell, result, values):
    """A cell's row: gradients and correlations from end to end, and thinned curves."""
    names = ("q_star", "chi_1", "xi_c", "log10_ratio_theory", "verdict")
    names += ("signal_lost_at", "signal_lost_how")
    values = {**values, **{name: result.values.get(name) for name in names}}
    if RECIPES[cell["recipe"]].name in ("gaussian", "glorot"):
        values["log10_ratio_product"] = cell["depth"] * drift(cell["width"])
    if result.status != "ok":
        return Measured(result.status, result.reason, values)
    layers = kept_layers(cell["depth"])
    gradient = np.mean(result.profiles["log10_gradient"], axis=0, dtype=np.float64)
    apart = result.profiles["decorrelation"]
    values |= {"apart_first": float(apart[0]), "apart": float(apart[-1])}
    values["apart_se"] = result.values["decorrelation_se"]
    arrays = {"gradient": (gradient - gradient[-1])[layers], "apart": apart[layers]}
    if "log10_gradient_theory" in result.profiles:
        arrays["gradient_theory"] = result.profiles["log10_gradient_theory"][layers]
    if 0 < (values["q_star"] or 0) < math.inf:
        variances = (result.values[f"sigma_{n}2_used"] for n in "wb")
        start = min(float(apart[0]), 1.0)
        theory = decorrelations(*variances, values["q_star"], start, layers)
        values["apart_theory"] = float(theory[-1])
        arrays["apart_theory"] = theory
    arrays = {name: np.asarray(a, np.float32) for name, a in arrays.items()}
    return Measured("ok", "", values, {**arrays, "layer": layers.astype(np.int32)})


def drift(width):
    """Decades a layer that a vector gains on average in a product of Gaussian matrices.

    Its squared norm is multiplied by χ²(width)/width, whose mean is 1 and whose log has
    the mean ψ(n/2) − ln(n/2) = −1/n − 1/(3n²) − …; to leading order that of Hanin & Nica.

    >>> round(drift(16), 6)
    -0.013854
    """
    return float(special.digamma(width / 2) - math.log(width / 2)) / 2 / math.log(10)


def decorrelations(sigma_w2, sigma_b2, q, start, layers):
    """1 − c by the c map at length q, at these layers of a tanh net, from the first on.

    Source: Poole et al. 2016, arXiv:1606.05340.
    """
    series = shrinkage(ACTIVATIONS["tanh"], sigma_w2, sigma_b2, q)
    # A million times: Clenshaw's rule in plain numbers, without terms that are nothing.
    first, *others = (float(a) for a in series.coef)
    while others and abs(others[-1]) < 1e-18:
        others.pop()
    others.reverse()
    apart, layer, kept = start, 0, []
    for wanted in map(int, layers):
        while layer < wanted:
            twice = 4 * math.sqrt(apart) - 2
            b1 = b2 = 0.0
            for a in others:
                b1, b2 = a + twice * b1 - b2, b1
            after = apart * (first + twice / 2 * b1 - b2)
            layer = wanted if after == apart else layer + 1
            apart = after
        kept.append(apart)
    return np.asarray(kept)


STUDY = Study(
    name="million_layers",
    kind="experiment",
    question="Does the gradient survive a million layers of a plain tanh net?",
    source=f"{ISOMETRY}; {PRODUCTS}",
    axes={
        "recipe": Axis("how weights are drawn, and how large", tuple(RECIPES), RECIPES),
        "depth": Axis(
            "layers",
            (100, 1000, 10_000, 100_000, 1_000_000),
            kind="integer",
            low=2,
            high=10**7,
        ),
        "width": Axis("units", (16,), kind="integer", low=2, high=4096),
        "seeds": Axis(
            "networks per cell", (4,), kind="integer", low=1, high=999, single=True
        ),
    },
    sizes={
        "smoke": {
            "recipe": ("orthogonal", "gaussian"),
            "depth": (16, 128),
            "width": (8,),
            "seeds": (2,),
        },
        # A million layers of 64 units are 15.5 GiB of weights, of 128 units 61.5 GiB.
        "full": {"width": (64, 128)},
    },
    plan=Plan(group=group, cost=cost),
    measure="depthbench.experiments.propagation.million_layers:measure",
    columns=tuple(
        "recipe depth width seeds status reason log10_ratio log10_ratio_se "
        "log10_ratio_theory log10_ratio_product verdict q_star chi_1 xi_c apart_first "
        "apart apart_se apart_theory signal_lost_at signal_lost_how rounding "
        "stretch_least stretch_most stretch_bound layer_us compile_s compile_ratio "
        "compile_ratio_se peak_mib".split()
    ),
    claims=CLAIMS,
    headline=shown.headline,
    tables=shown.tables,
    figures=shown.draw_figures,
    compile_seconds=3.0,
    timings=("layer_us", "compile_s", "compile_ratio", "compile_ratio_se"),
    threads=1,  # a machine's memory for one net, and clean times
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
