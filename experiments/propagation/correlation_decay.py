"""How fast do two inputs become one on the edge of chaos?

The c map of infinite width is iterated to thousands of layers, where its asymptote can be
seen, and wide nets of a few dozen layers are measured beside it.

Source: Hayou, Doucet & Rousseau 2019, arXiv:1902.06853.
"""

import functools
import math

from depthbench.experiments.propagation import nets
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study import families
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Headline, Measured, Study
from depthbench.research.study.doubts import certain
from depthbench.research.study.estimates import about, exact, mean
from depthbench.research.study.headlines import counted, listed, measured, out_of
from depthbench.research.study.tables import Mark, Table, number

with lazily():
    import numpy as np

    from depthbench.research.signal import ensembles, measurement, profiles
    from depthbench.research.theory import edge, mean_field

SOURCE = "Hayou, Doucet & Rousseau 2019, arXiv:1902.06853"
RELU_LIKE = ("relu", "leaky_relu")  # λx above 0 and βx below
C2 = "tanh lecun_tanh sigmoid erf sin gelu silu mish".split()  # smooth everywhere
START = 1.0  # 1 - c, before the first layer of the iterated map
WITHIN = 0.05  # of a power
BELOW = 0.9  # σ_w² as a multiple of the critical one, for the baseline


def settings(cell):
    """Independent Gaussian inputs."""
    return {"initializer": "free", "dataset": "noise"}


def measure(cells, shared, memory):
    """One Measured for each cell; those without a critical point say why."""
    return [_measured(cell, shared, memory) for cell in cells]


def _measured(cell, shared, memory):
    activation = ACTIVATIONS[cell["activation"]]
    point = mean_field.critical_point(activation)
    if not point.exists:
        return Measured("no_fixed_point", point.reason, {})
    at = (activation, point.sigma_w2, point.sigma_b2, point.q_star)
    law = edge.decay(activation, point.sigma_w2, point.q_star)
    last = cell["iterates"]
    gaps = edge.correlations(*at, START, last)
    below = mean_field.fixed_point(activation, BELOW * point.sigma_w2, point.sigma_b2)
    apart = in_nets(cell, point.q_star, shared, memory)
    expected = edge.correlations(*at, float(np.mean(apart[:, 0])), cell["depth"])
    ratio = profiles.over_seeds(apart[:, -1] / expected[-1])
    values = {
        "sigma_w2": point.sigma_w2,
        "sigma_b2": point.sigma_b2,
        "q_star": point.q_star,
        "power": power(gaps),
        "power_theory": law.power,
        "constant": float(gaps[-1]) * last**law.power,
        "constant_theory": law.constant,
        "log10_apart": math.log10(gaps[-1]),
        # ReLU's kind is critical at every σ_w²: no length ends its 1/l².
        "log10_apart_below": None if law.power == 2 else last * math.log10(below.chi_1),
        "net_ratio": ratio.mean,
        "net_ratio_se": ratio.error,
    }
    arrays = {
        "apart_theory": sampled(gaps),
        "apart_nets": np.mean(apart, axis=0).astype(np.float32),
    }
    return Measured("ok", "", values, arrays)


def in_nets(cell, q, shared, memory):
    """1 - c [seeds, states] of nets whose lengths stay at q, at pairs of inputs."""
    full = {**nets.DEFAULTS, **cell, **settings(cell), "q_star": q}
    program = measurement.program_of(full, tuple(shared["activations"]), cell["depth"])
    step = max(
        1, min(cell["seeds"], memory // families.cost(full, cell["depth"]).memory)
    )
    member = measurement.at_length(full)
    parts = []
    for first in range(0, cell["seeds"], step):
        seeds = range(first, min(first + step, cell["seeds"]))
        (signal,) = ensembles.signals(
            program, cell["activation"], "normal", cell["depth"], [member], seeds
        )
        parts.append(signal.decorrelation)
    return np.concatenate(parts).astype(np.float64)


def power(gaps):
    """The exponent of l with which 1 - c falls over the last factor of two in depth."""
    last = len(gaps) - 1
    half = last // 2
    return -math.log(gaps[last] / gaps[half]) / math.log(last / half)


def sampled(gaps):
    """(layer, 1 - c) [2, points], evenly in the layer's logarithm."""
    layers = np.unique(np.geomspace(1, len(gaps) - 1, 60).astype(int))
    return np.stack([layers, gaps[layers]])


def headline(rows):
    """By which power of depth 1 - c falls, in how many activations, and which is off."""
    done = measured(rows)
    near = [row for row in done if off(row) <= WITHIN]
    laws = {}
    for row in sorted(done, key=lambda row: -row["power_theory"]):
        laws.setdefault(row["power_theory"], []).append(row["activation"])
    named = (f"as {law(power)} in {listed(names)}" for power, names in laws.items())
    worst = max(done, key=off)
    return Headline(
        f"On the edge of chaos 1 − c falls as theory says, {listed(named)}, in "
        f"{out_of(len(near), len(done), 'activations')} (the power to {WITHIN:g}, after "
        f"{counted(done[0]['iterates'], 'layer')} of the map).",
        f"Farthest from theory: {worst['activation']}, {law(worst['power'])}; nets of "
        f"{counted(worst['depth'], 'layer')} keep {worst['net_ratio']:.3g} of the map's "
        "difference.",
    )


def law(power):
    return "1/l" if power == 1 else f"1/l^{power:.3g}"


def off(row):
    """By how much a power misses theory's."""
    return abs(row["power"] - row["power_theory"])


def tables(rows):
    """Each activation's power of depth and constant; then the nets and a baseline."""
    body = tuple(
        (
            row["activation"],
            number(row["power"], 4),
            number(row["power_theory"]),
            number(row["constant"], 4),
            number(row["constant_theory"], 4),
            number(row["log10_apart"]),
            number(row["log10_apart_below"]),
            f"{row['net_ratio']:.3f} ± {row['net_ratio_se']:.3f}",
        )
        if row["status"] == "ok"
        else (row["activation"], Mark(row["status"], "dim")) + ("",) * 6
        for row in rows
    )
    headers = (
        "activation",
        "power",
        "theory",
        "(1 − c) l^power",
        "theory",
        "log10(1 − c)",
        f"at {BELOW:g} σ_w²",
        "nets / map",
    )
    return [Table("How 1 − c falls with depth l on the edge of chaos", headers, body)]


def draw_figures(rows, profiles):
    caption = (
        "1 − c against layer on the edge of chaos. Lines: the map of infinite width; "
        "dots: nets. Dashed: 1/l and 9π²/2 l⁻². A φ whose slope jumps loses the "
        "difference of two inputs much sooner."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


def _draw(rows, profiles):
    import matplotlib

    colours = matplotlib.color_sequences["tab20"]
    figure = figures.new(6.6, 4.4)
    axes = figure.subplots()
    deepest = 1
    for place, row in enumerate(r for r in rows if r["status"] == "ok"):
        arrays, colour = profiles(row), colours[place % 20]
        layer, apart = arrays["apart_theory"]
        deepest = max(deepest, layer[-1])
        style = "-" if row["power_theory"] == 1 else "-."
        axes.plot(layer, apart, style, color=colour, lw=1.1, label=row["activation"])
        nets_apart = arrays["apart_nets"]
        dots = np.unique(np.geomspace(1, len(nets_apart) - 1, 8).astype(int))
        axes.plot(dots, nets_apart[dots], "o", ms=2.5, color=colour)
    ends = np.array([10.0, float(deepest)])
    axes.plot(ends, 1 / ends, "--", color="black", lw=0.9)
    axes.plot(ends, 4.5 * np.pi**2 / ends**2, "--", color="black", lw=0.9)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(top=2)
    axes.set_xlabel("layer l")
    axes.set_ylabel("1 − c")
    figure.legend(loc="outside right center", frameon=False, fontsize=7)
    return figure


def relative(row):
    return row["constant"] / row["constant_theory"]


MAP = (
    "the infinite-width c map, iterated from c = 0 at the length where χ₁ = 1; the power "
    "is that of the last factor of two in depth"
)
DIFFERS = "proves the limit; it states no depth at which it is reached"

STUDY = Study(
    name="correlation_decay",
    kind="experiment",
    question="How fast do two inputs become one on the edge of chaos?",
    source=SOURCE,
    axes={
        "activation": Axis(
            "the nonlinearity",
            tuple(name for name in ACTIVATIONS.published if name != "linear"),
            ACTIVATIONS,
        ),
        "iterates": Axis(
            "layers of the map",
            (20_000,),
            kind="integer",
            low=4,
            high=10**6,
            single=True,
        ),
        "depth": Axis(
            "layers of nets", (32,), kind="integer", low=2, high=10**5, single=True
        ),
        "width": Axis("units", (256,), kind="integer", low=2, high=10**5, single=True),
        "seeds": Axis(
            "networks per cell", (64,), kind="integer", low=1, high=9999, single=True
        ),
    },
    sizes={
        "smoke": {
            "activation": ("tanh", "relu", "softplus"),
            "iterates": (2_000,),
            "depth": (12,),
            "width": (48,),
            "seeds": (3,),
        },
        "full": {
            "iterates": (200_000,),
            "depth": (200,),
            "width": (4096,),
            "seeds": (16,),
        },
    },
    plan=nets.plan(settings),
    measure="depthbench.experiments.propagation.correlation_decay:measure",
    columns=tuple(
        "activation iterates depth width seeds status reason power power_theory constant "
        "constant_theory log10_apart log10_apart_below net_ratio net_ratio_se "
        "sigma_w2 sigma_b2 q_star".split()
    ),
    claims=(
        Claim(
            "hayou2019.relu-falls-as-inverse-square",
            "on the edge of chaos 1 − c falls as 1/l² in nets of ReLU's kind",
            f"{SOURCE}, on the edge of chaos",
            tag="S35",
            estimate=lambda row: exact(row["power"]),
            allows=about(2, within=WITHIN),
            published="power 2",
            scope=lambda row: row["activation"] in RELU_LIKE,
            protocol=MAP,
            differs=DIFFERS,
            doubt=certain,
            label=("activation",),
        ),
        Claim(
            "hayou2019.smooth-falls-as-inverse",
            "on the edge of chaos 1 − c falls as 1/l for a smooth φ",
            f"{SOURCE}, on the edge of chaos",
            tag="S35",
            estimate=lambda row: exact(row["power"]),
            allows=about(1, within=WITHIN),
            published="power 1",
            scope=lambda row: row["activation"] in C2,
            protocol=MAP,
            differs=DIFFERS,
            doubt=certain,
            label=("activation",),
        ),
        Claim(
            "hayou2019.relu-constant",
            "on the edge of chaos 1 − c of a ReLU net approaches 9π²/2 over l²",
            SOURCE,
            tag="S35",
            estimate=lambda row: exact(relative(row)),
            allows=about(1, within=0.02),
            published="9π²/2 = 44.4, derived here: ratio 1",
            scope=lambda row: row["activation"] == "relu",
            protocol=f"{MAP}; 1 − c times l², over 9π²/2",
            differs=DIFFERS,
            doubt=certain,
            label=("activation",),
        ),
        Claim(
            "hayou2019.nets-follow-the-map",
            "wide nets on the edge of chaos lose the difference of two inputs as the map "
            "of infinite width says",
            SOURCE,
            tag="S35",
            estimate=lambda row: mean(
                row.get("net_ratio"), row.get("net_ratio_se"), row["seeds"]
            ),
            allows=about(1, within=0.25),
            published="ratio 1",
            scope=lambda row: row["activation"] in (*RELU_LIKE, *C2),
            protocol="64 nets of 256 units and 32 layers; 1 − c after the last, the mean "
            "over pairs of 8 Gaussian inputs, over the map's from the same start",
            differs="shows the map alone",
            doubt=certain,
            label=("activation",),
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=6.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
