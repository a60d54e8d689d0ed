"""Does a plain tanh convolutional net keep its gradient through 10,000 layers?

At initialisation, and without skips or normalisers. Delta-orthogonal kernels, which are
an orthogonal matrix at the centre and 0 around it, keep the norm of every image; at
χ₁ = 1 and q* = 1/L the slopes of tanh together change it by a factor of e at most.

Source: Xiao et al. 2018, arXiv:1806.05393.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

from depthbench.experiments.propagation import nets
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.catalogues.initializers import DRAWS, INITIALIZERS
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.signal.profiles import SURVIVES
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Headline, Measured, Study
from depthbench.research.study.estimates import about, above, mean, mean_of
from depthbench.research.study.headlines import (
    counted,
    listed,
    measured,
    of_deepest,
    out_of,
)
from depthbench.research.study.tables import Mark, Table, number

with lazily():
    import jax
    import numpy as np

    from depthbench.research.theory import mean_field, quadrature

SOURCE = "Xiao et al. 2018, arXiv:1806.05393"
KERNEL, IMAGE = (3, 3), (8, 8)


class Recipe(NamedTuple):
    """A way to start: weights, and from the depth the length q* at which χ₁ = 1.

    q_star: None where variances are the initialiser's own.
    """

    name: str
    initializer: str
    q_star: Callable[[int], float] | None
    source: str

    @property
    def draw(self) -> str:
        """How its weights are drawn, but for their size."""
        return INITIALIZERS[self.initializer].draw


def shrinking(depth):
    """1/L: what tanh takes of the signal at each layer then adds up to a constant."""
    return 1 / depth


RECIPES = Catalogue(
    "recipe",
    [
        Recipe("delta_orthogonal", "delta_orthogonal", shrinking, SOURCE),
        Recipe("delta_orthogonal_q1", "delta_orthogonal", lambda depth: 1.0, SOURCE),
        Recipe("gaussian", "free", shrinking, SOURCE),
        Recipe("glorot", "glorot_normal", None, INITIALIZERS["glorot_normal"].source),
        Recipe("he", "he_normal", None, INITIALIZERS["he_normal"].source),
    ],
)


def settings(cell):
    """The net of a cell: its initialiser, and q* where the recipe has its own."""
    recipe = RECIPES[cell["recipe"]]
    return {
        "architecture": "cnn",
        "activation": "tanh",
        "initializer": recipe.initializer,
        "batch": 4,
        "q_star": recipe.q_star and recipe.q_star(cell["depth"]),
    }


def finish(cell, result):
    """Gradients and correlations from end to end, and a kernel's singular values."""
    names = ("q_star", "chi_1", "xi_c", "log10_slope_theory", "verdict")
    values = {name: result.values.get(name) for name in names}
    stretch = stretches(RECIPES[cell["recipe"]].draw, cell["width"])
    values |= {"stretch_least": float(stretch[-1]), "stretch_most": float(stretch[0])}
    if result.status != "ok":
        return Measured(result.status, result.reason, values)
    names = ("log10_ratio", "log10_ratio_se", "log10_slope", "log10_slope_se")
    values |= {name: result.values.get(name) for name in names}
    gradient = np.mean(result.profiles["log10_gradient"], axis=0, dtype=np.float64)
    apart = result.profiles["decorrelation"]
    values |= {"apart_first": float(apart[0]), "apart": float(apart[-1])}
    values["apart_se"] = result.values["decorrelation_se"]
    arrays = {"gradient": gradient - gradient[-1], "apart": apart}
    if "log10_gradient_theory" in result.profiles:
        arrays["gradient_theory"] = result.profiles["log10_gradient_theory"]
    if 0 < (values["q_star"] or 0) < math.inf:
        theory = decorrelations(
            ACTIVATIONS["tanh"],
            result.values["sigma_w2_used"],
            result.values["sigma_b2_used"],
            values["q_star"],
            min(float(apart[0]), 1.0),
            cell["depth"],
        )
        values["apart_theory"] = float(theory[-1])
        arrays["apart_theory"] = theory
    arrays = {name: np.asarray(a, np.float32) for name, a in arrays.items()}
    return Measured("ok", "", values, {**arrays, "stretch": stretch})


def decorrelations(activation, sigma_w2, sigma_b2, q, start, depth):
    """1 − c of every state [depth + 1] by the c map at length q; start in [0, 1].

    Source: Poole et al. 2016, arXiv:1606.05340.
    """
    rate = shrinkage(activation, sigma_w2, sigma_b2, q)
    apart = [start]
    for _ in range(depth):
        apart.append(apart[-1] * float(rate(apart[-1] ** 0.5)))
    return np.asarray(apart)


def shrinkage(activation, sigma_w2, sigma_b2, q):
    """(1 − c′)/(1 − c) of the c map at length q, a Chebyshev series in √(1 − c)."""
    # It is smooth in √(1 − c), for kinked φ as well, and χ₁ at 0.
    roots = (1 - np.cos(np.pi * (np.arange(32) + 0.5) / 32)) / 2
    length = float(mean_field.length_map(activation, sigma_w2, sigma_b2, q))
    after = [sigma_w2 * quadrature.pair(activation, q, root**2) for root in roots]
    ratios = np.asarray(after) / (length * roots**2)
    return np.polynomial.Chebyshev.fit(roots, ratios, 31, domain=(0, 1))


@functools.cache
def stretches(draw, width):
    """The singular values of a freshly drawn kernel's convolution, largest first."""
    shape = (*KERNEL, width, width)
    kernel = DRAWS[draw].kernel(jax.random.key(0), shape, np.float32)
    values = operator_values(np.asarray(kernel, np.float64), IMAGE)
    return np.asarray(values, np.float32)


def operator_values(kernel, image):
    """All singular values of a circular convolution of an image, largest first.

    kernel: [*size, in, out]. At every frequency the convolution is a matrix of its own.
    Source: Sedghi, Gupta & Long 2019, arXiv:1805.10408.
    """
    frequencies = np.fft.fft2(kernel, image, axes=(0, 1))
    return np.sort(np.linalg.svd(frequencies, compute_uv=False), axis=None)[::-1]


def headline(rows):
    """Which recipes keep the gradient through the deepest net, and which loses most."""
    deep = of_deepest(measured(rows))
    kept = [row["recipe"] for row in deep if row["verdict"] == "survives"]
    worst = max(deep, key=lambda row: abs(row["log10_ratio"]))
    layers = counted(deep[0]["depth"], "layer")
    return Headline(
        f"Through {layers} the gradient survives with "
        f"{out_of(len(kept), len(deep), 'recipes')}{f' ({listed(kept)})' if kept else ''}.",
        f"Worst: {worst['recipe']}, {worst['log10_ratio']:+,.3g} decades through {layers}.",
    )


def tables(rows):
    """Decades that the gradient gains on its way to the input, and why."""
    depths = sorted({row["depth"] for row in rows})
    at = {(row["recipe"], row["depth"]): row for row in rows}
    body = []
    for name in dict.fromkeys(row["recipe"] for row in rows):
        deepest = at.get((name, depths[-1]), {})
        entries = [_entry(at.get((name, depth))) for depth in depths]
        body.append((name, *entries, _apart(deepest), _stretch(deepest)))
    headers = ("recipe", *(f"depth {depth}" for depth in depths))
    headers += ("1 − c at last (c map)", "kernel stretches")
    title = "Decades that the gradient gains from the last layer to the first"
    return [Table(title, headers, tuple(body))]


def _entry(row):
    if row is None or row["status"] != "ok":
        return Mark(row["status"] if row else "", "bad")
    survives = row["verdict"] == "survives"
    return Mark(f"{row['log10_ratio']:+.3g}", "good" if survives else "bad")


def _apart(row):
    apart, theory = row.get("apart"), row.get("apart_theory")
    if apart is None:
        return Mark("-", "dim")
    text = f"{apart:.2g} ({number(theory, 2)})"
    return Mark(text, "bad" if apart < 0.01 else "")


def _stretch(row):
    least, most = row.get("stretch_least"), row.get("stretch_most")
    if least is None:
        return Mark("-", "dim")
    return Mark(f"{least:.3f} to {most:.3f}", "good" if isometric(row) < 1e-5 else "")


def isometric(row):
    """How far a kernel is from keeping all norms."""
    return max(row["stretch_most"] - 1, 1 - row["stretch_least"])


def draw_figures(rows, profiles):
    caption = (
        "The deepest nets. Left: gradient norm by layer, over that of the last; within "
        "the band it survives. Middle: 1 − correlation of two inputs. Dashed: theory of "
        "infinite width, to which all weights of the same variance are alike. Right: in "
        "what they differ, the singular values of a convolution, largest first."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


def _draw(rows, profiles):
    figure = figures.new(10.5, 3.6)
    left, middle, right = figure.subplots(1, 3)
    deepest = max(row["depth"] for row in rows)
    shown = [r for r in rows if r["depth"] == deepest and r["status"] == "ok"]
    curves = [(row["recipe"], profiles(row)) for row in shown]
    bands = [
        figures.Line(n, a["gradient"], a.get("gradient_theory")) for n, a in curves
    ]
    figures.profile_lines(left, bands, f"{deepest} layers: log10 gradient norm")
    left.set_yscale("symlog", linthresh=1)
    left.axhspan(-3, 3, color="#1e8449", alpha=0.08, lw=0)
    lines = [figures.Line(n, a["apart"], a.get("apart_theory")) for n, a in curves]
    figures.profile_lines(middle, lines, "1 − correlation of two inputs")
    middle.set_xscale("symlog", linthresh=1)
    middle.set_yscale("log")
    middle.legend(fontsize=7, frameon=False, loc="lower left")
    for axes in (left, middle):
        axes.set_xlabel("layer")
    _draw_stretches(right, curves)
    return figure


def _draw_stretches(axes, curves):
    """Singular values by share, one curve for each draw."""
    draws = {}
    for name, arrays in curves:
        draw = INITIALIZERS[RECIPES[name].initializer].draw
        draws.setdefault(draw, arrays["stretch"])
    for style, (draw, values) in zip(("-", "--"), draws.items(), strict=False):
        share = (np.arange(len(values)) + 0.5) / len(values)
        axes.plot(share, values, style, color="black", lw=1.5, label=draw)
    axes.set_title("singular values of one convolution / σ_w", loc="left")
    axes.set_xlabel("share of the singular values that are larger")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25, lw=0.5)
    axes.legend(fontsize=7, frameon=False)


def isometry(row):
    return row["recipe"] == "delta_orthogonal"


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return nets.measure(cells, shared, memory, settings, finish, "at_length")


HERE = "digits, 32 channels, 3 drawn nets, at initialisation"
PAPER = "MNIST and CIFAR-10, hundreds of channels, trained"

STUDY = Study(
    name="ten_thousand_layers",
    kind="experiment",
    question="Does a plain tanh CNN keep its gradient through 10,000 layers?",
    source=SOURCE,
    axes={
        "recipe": Axis("how weights are drawn, and how large", tuple(RECIPES), RECIPES),
        "depth": Axis("layers", (100, 1000, 10_000), kind="integer", low=2, high=10**5),
        "width": Axis("channels", (32,), kind="integer", low=2, high=4096, single=True),
        "seeds": Axis(
            "networks per cell", (3,), kind="integer", low=1, high=999, single=True
        ),
    },
    sizes={
        "smoke": {"depth": (16, 64), "width": (8,)},
        "full": {"width": (128,), "seeds": (4,)},
    },
    plan=nets.plan(settings),
    measure="depthbench.experiments.propagation.ten_thousand_layers:measure",
    columns=tuple(
        "recipe depth width seeds status reason log10_ratio log10_ratio_se "
        "log10_slope log10_slope_se log10_slope_theory verdict chi_1 q_star xi_c "
        "apart_first apart apart_se apart_theory stretch_least stretch_most".split()
    ),
    claims=(
        Claim(
            "xiao2018.delta-orthogonal-gradient",
            "delta-orthogonal weights at q* = 1/L keep a tanh CNN's gradient, within a "
            "factor of 3",
            SOURCE,
            tag="S6",
            protocol=f"{HERE}, 100 to 10,000 layers",
            differs=PAPER,
            estimate=mean_of("log10_ratio"),
            published="0 decades",
            # χ₁ ≤ σ_w² = 1 + 2/L at each layer: e in all, 0.43 decades
            allows=about(0.0, within=0.5),
            scope=isometry,
            label=("depth",),
        ),
        Claim(
            "xiao2018.gaussian-gradient-lost",
            "Gaussian weights lose a tanh CNN's gradient through 10,000 layers, at "
            "q* = 1/L and by Glorot's and He's rule",
            SOURCE,
            tag="S6",
            protocol=f"{HERE}; decades up or down",
            differs=PAPER,
            estimate=lambda row: mean(
                abs(row["log10_ratio"]), row["log10_ratio_se"], row["seeds"]
            ),
            published="vanishes, explodes",
            allows=above(SURVIVES),
            scope=lambda row: (
                row["recipe"] in ("gaussian", "glorot", "he") and row["depth"] >= 10_000
            ),
            label=("recipe", "depth"),
            counts={"lost": math.inf, "overflow": math.inf},
        ),
        Claim(
            "xiao2018.inputs-apart-by-c-map",
            "two inputs of a delta-orthogonal net are as far apart at its end as the "
            "c map says",
            SOURCE,
            tag="S6",
            protocol=f"{HERE}; 1 − correlation",
            differs="the map of infinitely many channels",
            estimate=lambda row: mean(
                row["apart"] - row["apart_theory"], row["apart_se"], row["seeds"]
            ),
            published="the c map's: gap 0",
            # Pixels begin at other lengths than q*, which weighs them anew.
            allows=about(0.0, within=0.1),
            scope=isometry,
            label=("depth",),
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=9.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
