"""Do recurrent gradients vanish where the largest singular value is below 1/γ?

Each step back in time multiplies the gradient by Wᵀ diag φ′, whose norm is at most ργ:
ρ is the largest singular value of the recurrent matrix W, and γ the largest |φ′| (1 for
tanh, ¼ for the sigmoid). So ργ < 1 is sufficient for ‖∂h_T/∂h_t‖ to vanish with T − t,
and ργ > 1 necessary for it to explode. Gated cells, of which the paper says nothing,
stand beside the plain one: an LSTM's state is (h, c).

Source: Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, section 2.1.
"""

import functools
import math

from depthbench.experiments.propagation.recurrent_nets import (
    DRAWN,
    drawn,
    lags_to,
    program,
)
from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Headline, Measured, Study
from depthbench.research.study.estimates import about, below, mean_of
from depthbench.research.study.headlines import counted, measured, of_deepest, out_of
from depthbench.research.study.tables import Mark, Table, number

with lazily():
    import numpy as np

    from depthbench.research.signal import profiles
    from depthbench.research.theory import activation

ALIVE = 3.0  # decades: a norm within a factor of 1,000 of 1 counts as kept
ROUNDINGS = 10  # of float32, in a step's product and in what a rate is compared with


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [norms_by_lag(cell) for cell in cells]


def norms_by_lag(cell):
    """Decades per step of the Jacobian's norm, and the paper's bound on it."""
    names = ("architecture", "activation", "width", "lag")
    norms = program(*(cell[name] for name in names))
    sigma_w, lags = np.float32(cell["sigma_w"]), lags_to(cell["lag"])
    log10, finite, kernels = [], [], []
    for seed in range(cell["seeds"]):
        variables, x = drawn(cell, seed)
        outputs = norms(variables, x, sigma_w, lags)
        log10.append(np.asarray(outputs[0], np.float64))
        finite.append(bool(outputs[1]))
        kernel = variables.stages[0]["params"]["Recurrent_0"]["kernel"]
        kernels.append(cell["sigma_w"] * np.asarray(kernel, np.float64))
    log10 = np.stack(log10)  # [seeds, lags, batch]
    plain = cell["architecture"] == "rnn"
    gamma = activation.steepest(ACTIVATIONS[cell["activation"]])
    values = bounds(kernels, gamma) if plain else {}
    if not all(finite):
        return Measured("overflow", "some state overflows float32", values)
    if not np.all(np.isfinite(log10)):
        reason = "some Jacobian is 0: no unit is left that passes it"
        return Measured("lost", reason, values)
    rates = np.array([rate(lags, seed) for seed in log10])
    estimate = profiles.over_seeds(rates, ROUNDINGS)
    values |= {"rate": estimate.mean, "rate_se": estimate.error}
    values["log10_norm"] = float(np.mean(log10[:, -1]))
    if plain:
        values |= off_bounds(kernels, gamma, lags, log10, rates)
    profile = np.mean(log10, axis=(0, 2))
    return Measured("ok", "", values, {"lags": lags, "log10_norm": profile})


def rate(lags, log10):
    """Decades per step: the slope over the later half of the lags, of [lags, batch].

    The earlier ones are left out because a product of matrices that are not normal
    starts with a transient.
    """
    later = slice(len(lags) // 2, None) if len(lags) >= 4 else slice(None)
    return float(np.polyfit(lags[later], np.mean(log10, axis=1)[later], 1)[0])


def bounds(kernels, gamma):
    """ρ, γ and log10(ργ) of a plain net's seeds, which the weights alone decide."""
    bound = np.log10(largest(kernels) * gamma)
    return {
        "gamma": gamma,
        "rho": float(np.mean(largest(kernels))),
        "radius": float(np.mean(radii(kernels))),
        "bound": profiles.resolved(np.mean(bound), ROUNDINGS),
        "bound_worst": profiles.resolved(np.max(bound), ROUNDINGS),
    }


def largest(kernels):
    """Each kernel's largest singular value."""
    return np.array([np.linalg.norm(kernel, 2) for kernel in kernels])


def radii(kernels):
    """Each kernel's spectral radius."""
    return np.array([np.max(np.abs(np.linalg.eigvals(kernel))) for kernel in kernels])


def off_bounds(kernels, gamma, lags, log10, rates):
    """What the norms of a plain net's seeds miss the bound, and the radius, by."""
    bound = np.log10(largest(kernels) * gamma)
    over = np.max(log10, axis=2) / lags - bound[:, None]  # [seeds, lags]
    off = profiles.over_seeds(rates - np.log10(radii(kernels)), ROUNDINGS)
    return {
        "excess": profiles.resolved(np.max(over), ROUNDINGS),
        "off_radius": off.mean,
        "off_radius_se": off.error,
    }


def fit(cells, typed):
    """Gated cells with the tanh they are published with, unless activations are typed."""
    if "activation" in typed:
        return list(cells), []
    plain = [
        c for c in cells if c["architecture"] == "rnn" or c["activation"] == "tanh"
    ]
    left = len(cells) - len(plain)
    return plain, [f"left out {left} cells: gated cells are run with tanh"] * bool(left)


def headline(rows):
    """How many nets keep their gradient over the lag, and whether the bound rules."""
    long = of_deepest(measured(rows), "lag")
    kept = [row for row in long if abs(row["log10_norm"]) <= ALIVE]
    below = [row for row in long if row.get("bound") is not None and row["bound"] < 0]
    gone = [row for row in below if row["rate"] < 0]
    answer = (
        f"Over {counted(long[0]['lag'], 'step')} the gradient is kept within a factor of "
        f"1,000 in {out_of(len(kept), len(long), 'nets')}"
    )
    if below:
        answer += (
            f"; where ργ < 1 it shrinks in {out_of(len(gone), len(below), 'nets')}"
        )
    worst = max(long, key=lambda row: abs(row["log10_norm"]))
    net = " ".join(str(worst[name]) for name in ("architecture", "activation", "draw"))
    return Headline(
        f"{answer}.",
        f"Worst with a number: {net} at σ_w {worst['sigma_w']:g}: "
        f"{worst['log10_norm']:+.0f} decades.",
    )


def tables(rows):
    """The rate by σ_w, a line for each net, and the paper's bound for the plain ones."""
    sigmas = list(dict.fromkeys(row["sigma_w"] for row in rows))
    names = ("architecture", "activation", "draw", "lag")
    lines = {}
    for row in rows:
        label = tuple(str(row[name]) for name in names)
        lines.setdefault(label, {})[row["sigma_w"]] = row
    rates = [
        (*label, *(_rate(of.get(sigma)) for sigma in sigmas))
        for label, of in lines.items()
    ]
    bounds = [
        (*label, *(_bound(of.get(sigma, {})) for sigma in sigmas))
        for label, of in lines.items()
        if label[0] == "rnn"
    ]
    headers = (*names, *(f"σ_w {number(sigma)}" for sigma in sigmas))
    title = (
        "Decades per step of ‖∂h_T/∂h_t‖; red: beyond a factor of 1,000 at the longest"
    )
    return [
        Table(title, headers, tuple(rates)),
        Table(
            "The bound on it, log10(ργ): below 0 it must vanish", headers, tuple(bounds)
        ),
    ]


def _bound(row):
    bound = row.get("bound")
    return "-" if bound is None else f"{bound:+.3f}"


def _rate(row):
    if row is None:
        return "-"
    if row["status"] != "ok":
        return Mark(row["status"], "bad")
    text = f"{row['rate']:+.3f}"
    return Mark(text, "bad" if abs(row["log10_norm"]) > ALIVE else "good")


def draw_figures(rows, profiles):
    caption = (
        "Left: decades per step of the Jacobian's norm in plain nets, against the bound "
        "log10(ργ), which is the dashed line: nothing may lie above it, and left of 0 all "
        "vanish. Right: log10 of the norm by lag, tanh, at the σ_w nearest to 1; below "
        "-37 plain float32 has only zeros."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


MARKERS = {"lecun_normal": "o", "orthogonal": "s", "identity": "^"}
LINES = {"lecun_normal": "-", "orthogonal": "--", "identity": ":"}


def _draw(rows, profiles):
    figure = figures.new(10, 4)
    left, right = figure.subplots(1, 2)
    rows = [row for row in rows if row["status"] == "ok"]
    _against_bound(left, [row for row in rows if row["architecture"] == "rnn"])
    tanh = [row for row in rows if row["activation"] == "tanh"]
    nearest = min((abs(row["sigma_w"] - 1) for row in tanh), default=0)
    shown = [row for row in tanh if abs(row["sigma_w"] - 1) == nearest]
    names = list(dict.fromkeys(row["architecture"] for row in shown))
    for row in shown:
        curve, colour = profiles(row), f"C{names.index(row['architecture'])}"
        label = f"{row['architecture']}, {row['draw']}"
        style = LINES[row["draw"]]
        right.plot(curve["lags"], curve["log10_norm"], style, color=colour, label=label)
    right.axhline(0, color="black", lw=0.6)
    right.set_xlabel("T − t")
    right.set_ylabel("log10 ‖∂h_T/∂h_t‖")
    right.set_title(f"tanh, σ_w = {shown[0]['sigma_w']:g}" if shown else "", loc="left")
    right.grid(alpha=0.25, lw=0.5)
    right.legend(fontsize=6, frameon=False, ncols=2)
    return figure


def _against_bound(axes, plain):
    names = list(dict.fromkeys(row["activation"] for row in plain))
    for row in plain:
        axes.plot(
            row["bound"],
            row["rate"],
            MARKERS[row["draw"]],
            ms=4,
            color=f"C{names.index(row['activation'])}",
        )
    for place, name in enumerate(names):
        axes.plot([], [], "o", ms=4, color=f"C{place}", label=name)
    for name, marker in MARKERS.items():
        axes.plot([], [], marker, ms=4, color="gray", label=name)
    axes.axline((0, 0), slope=1, color="black", lw=0.8, ls=(0, (4, 3)))
    axes.axvline(0, color="black", lw=0.6)
    axes.axhline(0, color="black", lw=0.6)
    axes.set_xlabel("log10(ργ)")
    axes.set_ylabel("decades per step")
    axes.set_title("plain nets", loc="left")
    axes.grid(alpha=0.25, lw=0.5)
    axes.legend(fontsize=6.5, frameon=False)


SOURCE = "Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, section 2.1"
LABEL = ("activation", "draw", "sigma_w", "lag")
ROUNDING = 1e-4  # decades per step: a step's product in float32 is off by some 1e-6

HERE = "random sequences, 48 units, 4 drawn nets, lags up to 100"


def below_bound(row):
    """Plain nets of which every drawn one has ρ < 1/γ."""
    bound = row.get("bound_worst")
    return row["architecture"] == "rnn" and bound is not None and bound < -ROUNDING


STUDY = Study(
    name="recurrent_lag",
    kind="experiment",
    question="Do recurrent gradients vanish where ρ < 1/γ?",
    source="Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063",
    axes={
        "architecture": Axis(
            "the cell",
            ("rnn", "lstm", "lstm_chrono", "gru"),
            Catalogue(
                "architecture",
                [
                    ARCHITECTURES[name]
                    for name in ("rnn", "lstm", "lstm_chrono", "gru", "mgu")
                ],
            ),
        ),
        "activation": Axis(
            "the cell's φ", ("tanh", "sigmoid", "relu", "linear"), ACTIVATIONS
        ),
        "draw": Axis("how W is drawn", tuple(DRAWN), DRAWN),
        "sigma_w": Axis(
            "size of W: √(variance × fan-in), or the singular value of all",
            (0.4, 0.9, 1.1, 2.0, 4.0),
            kind="number",
            low=1e-3,
            high=100.0,
        ),
        "lag": Axis("steps T − t", (100,), kind="integer", low=4, high=10**5),
        "width": Axis("units", (48,), kind="integer", low=2, high=512, single=True),
        "seeds": Axis(
            "networks per cell", (4,), kind="integer", low=1, high=999, single=True
        ),
    },
    sizes={
        "smoke": {
            "architecture": ("rnn", "gru"),
            "activation": ("tanh",),
            "draw": ("lecun_normal", "identity"),
            "sigma_w": (0.4, 1.1),
            "lag": (12,),
            "width": (8,),
            "seeds": (3,),
        },
        "full": {"lag": (100, 1000), "width": (256,), "seeds": (16,)},
    },
    fit=fit,
    measure="depthbench.experiments.propagation.recurrent_lag:measure",
    columns=tuple(
        "architecture activation draw sigma_w lag width seeds status reason rate "
        "rate_se log10_norm gamma rho radius bound bound_worst excess off_radius "
        "off_radius_se".split()
    ),
    claims=(
        Claim(
            "pascanu2013.vanishes-below-bound",
            "a recurrent net's gradients vanish where the largest singular value is "
            "below 1/γ",
            SOURCE,
            tag="S18",
            protocol=f"{HERE}; decades a step; a Jacobian of exactly 0 has vanished",
            differs="a proof, for any sequence",
            estimate=mean_of("rate"),
            published="decades a step: below 0",
            allows=below(0.0),
            scope=below_bound,
            label=LABEL,
            counts={"lost": -math.inf},
        ),
        Claim(
            "pascanu2013.linear-rate-is-radius",
            "a linear recurrent net's gradient comes to change by the spectral radius at "
            "each step",
            SOURCE,
            tag="S18",
            protocol=f"{HERE}, the later half of them",
            differs="the limit of long lags",
            estimate=mean_of("off_radius"),
            published="log10 of the radius: gap 0",
            allows=about(0.0, within=0.02),  # 2 decades in 100 steps
            scope=lambda row: (
                (row["architecture"], row["activation"]) == ("rnn", "linear")
                and row["lag"] >= 100
            ),
            label=LABEL,
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=4.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
