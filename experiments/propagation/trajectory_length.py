"""Does the image of a circle grow exponentially with depth?

Its length is ∫ ‖∂h/∂θ‖ dθ: the tangent is carried forward with the state, so a curve that
folds finer than any polygon is measured as well.

Source: Raghu, Poole, Kleinberg, Ganguli & Sohl-Dickstein 2017, arXiv:1606.05336.
"""

import functools
import math

from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.initializers import Rule
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import (
    Cost,
    Figure,
    Headline,
    Measured,
    Plan,
    Study,
)
from depthbench.research.study.doubts import certain
from depthbench.research.study.estimates import about, mean, mean_of
from depthbench.research.study.headlines import counted, measured, out_of
from depthbench.research.study.tables import Mark, Table, number

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

    from depthbench.research.architectures import contract, walk
    from depthbench.research.signal import ensembles, measurement, profiles
    from depthbench.research.theory import trajectories

SOURCE = "Raghu et al. 2017, arXiv:1606.05336"
POINTS = 64  # on the circle
STEADY = 0.25  # of ½ ln χ₁: what the rate's halves may differ by
CHAOTIC = 0.1  # ½ ln χ₁ by theory, from which on a net is deep in chaos


def circle(points, width):
    """(x, ∂x/∂θ), each [points, width]: a circle of inputs whose mean square is 1."""
    angle = jnp.arange(points, dtype=jnp.float32) * (2 * math.pi / points)
    first, second = math.sqrt(width) * jnp.eye(2, width)
    cos, sin = jnp.cos(angle)[:, None], jnp.sin(angle)[:, None]
    first, second = first[None], second[None]
    return cos * first + sin * second, cos * second - sin * first


@functools.cache
def _program(name, width, depth):
    """A compiled (seed, first σ_w², σ_w², σ_b²) -> ln length of every state."""
    program = ensembles.Program("mlp", "none", (name,), width, depth, POINTS, "noise")

    def run(seed, first, sigma_w2, sigma_b2):
        member = ensembles.Member(Rule(first), Rule(sigma_w2, sigma_b2))
        phi = ACTIVATIONS[name].phi
        net = ensembles.build(program, phi, "normal", member, depth)
        x, tangent = circle(POINTS, width)
        variables = contract.init(jax.random.key(seed), net, x)
        with jax.default_matmul_precision("highest"):
            return ln_lengths(contract.links(net, variables), x, tangent)

    return jax.jit(run)


def ln_lengths(links, x, tangent):
    """Ln of the image's length at every state of a net of one stage, [depth + 1]."""
    stem, (layers,), _ = walk.parts(links)

    def step(carry, layer):
        after = jax.jvp(layer, carry[:1], carry[1:])
        return after, ln_length(after[1])

    start = jax.jvp(lambda x: walk.fold(stem, x)[0], (x,), (tangent,))
    _, later = walk.scan(layers, step, start)
    return jnp.concatenate([ln_length(start[1])[None], later])


def ln_length(tangent):
    """Ln ∫ ‖∂h/∂θ‖ dθ of tangents [points, width]."""
    return jnp.log(2 * math.pi * jnp.mean(jnp.linalg.norm(tangent, axis=1)))


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return [_measured(cell) for cell in cells]


def _measured(cell):
    settings = {**cell, "initializer": "free"}
    member = measurement.at_fixed_point(settings)
    depth, width = cell["depth"], cell["width"]
    q_0 = float(member.first.sigma_w2)
    run = _program(cell["activation"], width, depth)
    numbers = np.array([q_0, cell["sigma_w2"], cell["sigma_b2"]], np.float32)
    logs = np.stack(
        jax.device_get([run(np.uint32(s), *numbers) for s in range(cell["seeds"])])
    ).astype(np.float64)
    if not np.all(np.isfinite(logs)):
        return Measured("overflow", "a length is not finite", {})
    predicted = trajectories.trajectory(
        ACTIVATIONS[cell["activation"]], cell["sigma_w2"], cell["sigma_b2"], q_0, depth
    )
    theory = np.append(0.0, np.cumsum(np.log(predicted.chi) / 2))
    half = depth // 2
    rates = (logs[:, -1] - logs[:, 0]) / depth
    early = (logs[:, half] - logs[:, 0]) / half
    late = (logs[:, -1] - logs[:, half]) / (depth - half)
    whole, bent = profiles.over_seeds(rates), profiles.over_seeds(late - early)
    values = {
        "rate": whole.mean,
        "rate_se": whole.error,
        "rate_theory": profiles.resolved(theory[-1] / depth),
        "late_less_early": bent.mean,
        "late_less_early_se": bent.error,
        "log10_growth": float(np.mean(logs[:, -1] - logs[:, 0])) / math.log(10),
    }
    arrays = {
        "ln_length": np.mean(logs, 0),
        "ln_length_theory": theory + logs[:, 0].mean(),
    }
    return Measured("ok", "", values, arrays)


def headline(rows):
    """In how many chaotic nets the length grows exponentially, and the largest change."""
    done = measured(rows)
    deep = [row for row in done if chaotic(row)]
    steady = [row for row in deep if abs(bend(row).value) <= STEADY]
    answer = f"No net has ½ ln χ₁ above {CHAOTIC:g}: none is chaotic"
    if deep:
        rates = sorted(math.exp(row["rate"]) for row in deep)
        answer = (
            "A circle's image grows exponentially in "
            f"{out_of(len(steady), len(deep), 'chaotic nets')} (as fast in the later "
            f"half of the layers, to {STEADY:.0%}), by factors of {rates[0]:.3g} to "
            f"{rates[-1]:.3g} a layer"
        )
    worst = max(done, key=lambda row: abs(row["log10_growth"]))
    return Headline(
        f"{answer}.",
        f"Most: {worst['activation']} at σ_w² = {worst['sigma_w2']:g}, "
        f"{worst['log10_growth']:+.1f} decades through "
        f"{counted(worst['depth'], 'layer')}.",
    )


def tables(rows):
    """By how much the logarithm of the length grows in a layer, and whether it bends."""
    body = tuple(
        (
            row["activation"],
            number(row["sigma_w2"]),
            f"{row['rate']:.4f} ± {number(row['rate_se'], 2)}",
            f"{row['rate_theory']:.4f}",
            f"{row['late_less_early']:.4f} ± {number(row['late_less_early_se'], 2)}",
            number(row["log10_growth"]),
        )
        if row["status"] == "ok"
        else (row["activation"], number(row["sigma_w2"]), Mark(row["status"], "bad"))
        + ("",) * 3
        for row in rows
    )
    headers = (
        "activation",
        "σ_w²",
        "d ln length/d layer",
        "½ ln χ₁",
        "later half less earlier",
        "decades in all",
    )
    return [Table("The length of a circle's image", headers, body)]


def draw_figures(rows, profiles):
    caption = (
        "Length of a circle's image by layer; dashed: theory, √χ₁ a layer. It grows "
        "exponentially where nets are chaotic, and shrinks where they are ordered."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


def _draw(rows, profiles):
    names = list(dict.fromkeys(row["activation"] for row in rows))
    figure = figures.new(3.2 * len(names), 3.2)
    panels = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    for axes, name in zip(panels, names, strict=True):
        lines = []
        for row in rows:
            if row["activation"] == name and row["status"] == "ok":
                arrays = profiles(row)
                curves = (arrays["ln_length"], arrays["ln_length_theory"])
                label = f"σ_w² = {row['sigma_w2']:g}"
                lines.append(figures.Line(label, *(c / math.log(10) for c in curves)))
        figures.profile_lines(axes, lines, name)
        axes.set_xlabel("layer")
        axes.legend(fontsize=6, frameon=False)
    panels[0].set_ylabel("log10 length")
    return figure


def relative(row):
    theory = row["rate_theory"]
    error = row["rate_se"] and row["rate_se"] / theory
    return mean(row["rate"] / theory, error, row["seeds"])


def bend(row):
    theory = row["rate_theory"]
    error = row["late_less_early_se"] and row["late_less_early_se"] / theory
    return mean(row["late_less_early"] / theory, error, row["seeds"])


def chaotic(row):
    """By theory, which the row has unless it could not be measured."""
    theory = row.get("rate_theory")
    return theory is None or theory > CHAOTIC


def cost(cells, shared):
    """Weights are drawn, and a state and a tangent go through each layer."""
    seconds = 0.0
    for c in cells:
        layer = 1.5e-8 * c["width"] ** 2 + 4 * POINTS * c["width"] ** 2 / 1.2e10
        seconds += c["seeds"] * c["depth"] * layer
    largest = max(c["depth"] * c["width"] ** 2 for c in cells)
    return Cost(2**27 + 8 * largest, 2**27 + 8 * largest, seconds)


HERE = (
    "16 nets of 256 units and 16 layers, σ_b² = 0.05; the length by its tangents at 64 "
    "points of a circle whose mean square is 1"
)

STUDY = Study(
    name="trajectory_length",
    kind="experiment",
    question="Does the image of a circle grow exponentially with depth?",
    source=SOURCE,
    axes={
        "activation": Axis(
            "the nonlinearity", ("hard_tanh", "tanh", "relu"), ACTIVATIONS
        ),
        "sigma_w2": Axis(
            "weight variance", (0.8, 2.0, 4.0, 16.0), kind="number", low=1e-3, high=1e4
        ),
        "sigma_b2": Axis(
            "bias variance", (0.05,), kind="number", low=0, high=1e3, single=True
        ),
        "depth": Axis("layers", (16,), kind="integer", low=2, high=10**4, single=True),
        "width": Axis("units", (256,), kind="integer", low=2, high=10**5, single=True),
        "seeds": Axis(
            "networks per cell", (16,), kind="integer", low=1, high=9999, single=True
        ),
    },
    sizes={
        "smoke": {
            "activation": ("tanh", "relu"),
            "sigma_w2": (0.8, 4.0),
            "depth": (6,),
            "width": (48,),
            "seeds": (3,),
        },
        "full": {
            "sigma_w2": (0.5, 0.8, 1.0, 1.5, 2.0, 4.0, 8.0, 16.0, 64.0),
            "depth": (32,),
            "width": (1024,),
            "seeds": (32,),
        },
    },
    plan=Plan(
        group=lambda cell: tuple(cell[n] for n in ("activation", "depth", "width")),
        cost=cost,
        split=2,
    ),
    measure="depthbench.experiments.propagation.trajectory_length:measure",
    columns=tuple(
        "activation sigma_w2 sigma_b2 depth width seeds status reason rate rate_se "
        "rate_theory late_less_early late_less_early_se log10_growth".split()
    ),
    claims=(
        Claim(
            "raghu2017.length-grows-exponentially",
            "the length of a circle's image grows exponentially with a chaotic net's depth",
            f"{SOURCE}, section on trajectory length",
            tag="S27",
            estimate=bend,
            allows=about(0, within=STEADY),
            published="exponential growth: the rate does not change with depth",
            scope=chaotic,
            protocol=f"{HERE}; the rate over the later half of the layers less that over "
            "the earlier, as a share of ½ ln χ₁, which is above 0.1",
            differs="bounds the growth from below for hard-tanh and ReLU nets of any σ_w; "
            "measures polygons of a circle's image in hard-tanh nets",
            doubt=certain,
            label=("activation", "sigma_w2"),
        ),
        Claim(
            "raghu2017.length-rate",
            "the length of a circle's image grows by √χ₁ a layer in a chaotic net",
            f"{SOURCE}; χ₁ of Poole et al. 2016, arXiv:1606.05340",
            tag="S27",
            estimate=relative,
            allows=about(1, within=0.1),
            published="½ ln χ₁: ratio 1",
            scope=chaotic,
            protocol=f"{HERE}; d ln length/d layer over ½ ln χ₁, which is above 0.1",
            differs="has a lower bound on the rate; Poole et al. the rate, for wide nets",
            doubt=certain,
            label=("activation", "sigma_w2"),
        ),
        Claim(
            "hanin2022.relu-keeps-length",
            "a ReLU net at He's variance does not lengthen a curve, however deep it is",
            "Hanin, Jeong & Rolnick 2022, arXiv:2102.10492",
            tag="S27",
            estimate=mean_of("rate"),
            allows=about(0, within=0.02),
            published="no growth, and slight shrinking: rate 0",
            scope=lambda row: row["activation"] == "relu" and row["sigma_w2"] == 2,
            protocol=f"{HERE}; d ln length/d layer",
            differs="proves it of expected lengths at zero or random biases",
            doubt=certain,
            label=("activation", "sigma_w2"),
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=3.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
