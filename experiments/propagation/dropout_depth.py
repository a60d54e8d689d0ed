"""Does any dropout end the edge of chaos?

Two inputs are sent through one net in passes with masks of their own. What distinguishes
their correlation from that of one input's two passes falls off with the depth scale ξ_c.

Source: Schoenholz et al. 2017, arXiv:1611.01232, on dropout.
"""

import functools
import math

from depthbench.research.catalogues.activations import ACTIVATIONS
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
from depthbench.research.study.estimates import about, exact, mean
from depthbench.research.study.headlines import listed, measured
from depthbench.research.study.tables import Mark, Table, number

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

    from depthbench.research.theory import dropout, mean_field

SOURCE = "Schoenholz et al. 2017, arXiv:1611.01232, on dropout"
SIGMA_B2 = 0.05
PAIRS = 8  # of inputs and masks, in each net
WINDOW = (0.3, 0.05)  # of the first difference, by theory: the layers that are fitted
COARSE, FINE = 0.1, 0.01  # spacings of the grids, in critical σ_w²


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return [_measured(cell) for cell in cells]


def _measured(cell):
    activation = ACTIVATIONS[cell["activation"]]
    critical = mean_field.critical_sigma_w2(activation, SIGMA_B2)
    if not critical.exists:
        return Measured("no_fixed_point", critical.reason, {})
    sigma_w2 = cell["of_critical"] * critical.sigma_w2
    at = dropout.layer(activation, sigma_w2, SIGMA_B2, cell["keep"])
    coarse, fine = longest(activation, critical.sigma_w2, cell["keep"])
    scale, gap = dropout.scale(at), dropout.fixed_gap(at)
    apart = differences(at, cell["width"], cell["depth"], cell["seeds"])
    same, other = (dropout.gaps(at, gap, cell["depth"]) for gap in (0.0, 1.0))
    theory = other - same
    first, last = window(theory)
    rates, error = rate(apart, first, last)
    values = {
        "sigma_w2": sigma_w2,
        "q_star": at.q,
        "c_star": 1 - gap,
        "xi_c": scale if math.isfinite(scale) else None,
        "first": first,
        "last": last,
        "rate": rates,
        "rate_se": error,
        "rate_theory": math.log(theory[first] / theory[last]) / (last - first),
        "rate_limit": None if cell["keep"] == 1 and gap > 1e-9 else 1 / scale,
        "xi_longest_coarse": coarse,
        "xi_longest_fine": fine,
    }
    arrays = {"difference": np.mean(apart, 0), "difference_theory": theory}
    arrays = {name: np.asarray(a, np.float32) for name, a in arrays.items()}
    return Measured("ok", "", values, arrays)


@functools.cache
def longest(activation, critical, keep):
    """The longest ξ_c on a grid of σ_w², and on a tenfold finer one about its place.

    Neither grid has the critical σ_w² on it.
    """
    grid = critical * (np.arange(0.6, 1.8, COARSE) + COARSE / 3)
    coarse, place = dropout.longest(activation, SIGMA_B2, keep, grid)
    near = place + critical * (np.arange(-COARSE, COARSE, FINE) + FINE / 3)
    return coarse, dropout.longest(activation, SIGMA_B2, keep, near)[0]


def window(theory):
    """The first and last state where theory's difference is within WINDOW of the first.

    At least four layers apart where the net has as many.
    """
    share = theory / theory[0]
    last = max(int(np.sum(share > WINDOW[1])) - 1, 1)
    first = int(np.argmax(share <= WINDOW[0])) if np.any(share <= WINDOW[0]) else 0
    return max(min(first, last - 4), 0), last


def rate(apart, first, last):
    """(rate, standard error): how fast the mean over nets falls, per layer.

    apart: [seeds, states]. The error is the jackknife's: a logarithm of a mean is no mean.
    """

    def of(mean):
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.log(mean[..., first] / mean[..., last]) / (last - first)

    seeds = len(apart)
    if seeds < 2:
        return float(of(np.mean(apart, 0))), None
    without = of((np.sum(apart, 0) - apart) / (seeds - 1))
    error = np.sqrt((seeds - 1) * np.mean((without - np.mean(without)) ** 2))
    value = of(np.mean(apart, 0))
    return tuple(float(v) if np.isfinite(v) else None for v in (value, error))


def differences(at, width, depth, seeds):
    """c of one input's two passes less c of two inputs', [seeds, depth + 1]."""
    run = _program(at.activation, width, depth)
    settings = np.array([at.sigma_w2, SIGMA_B2, at.keep, at.q], np.float32)
    parts = [run(jax.random.key(seed), settings) for seed in range(seeds)]
    return np.stack(jax.device_get(parts)).astype(np.float64)


@functools.cache
def _program(activation, width, depth):
    """A compiled (key, [σ_w², σ_b², keep, q]) -> [depth + 1] of one net."""

    def run(key, settings):
        sigma_w2, sigma_b2, keep, q = settings
        key_x, key_net = jax.random.split(key)
        x, y = jnp.sqrt(q) * jax.random.normal(key_x, (2, PAIRS, width))
        h = jnp.stack([x, x, y])  # passes: the latter two have the same masks

        def step(h, key):
            key_w, key_b, *keys_m = jax.random.split(key, 4)
            weights = jax.random.normal(key_w, (width, width))
            masks = [jax.random.bernoulli(k, keep, (PAIRS, width)) for k in keys_m]
            masks = jnp.stack([masks[0], masks[1], masks[1]]).astype(h.dtype) / keep
            kept = masks * activation.phi(h)
            h = kept @ weights * jnp.sqrt(sigma_w2 / width)
            h = h + jnp.sqrt(sigma_b2) * jax.random.normal(key_b, (1, 1, width))
            return h, _difference(h)

        keys = jax.random.split(key_net, depth)
        with jax.default_matmul_precision("highest"):
            _, later = jax.lax.scan(step, h, keys)
        return jnp.concatenate([_difference(h)[None], later])

    return jax.jit(run)


def _difference(h):
    """Correlation of passes 0 and 1 less that of 0 and 2: of h [3, PAIRS, width]."""
    unit = h / jnp.linalg.norm(h, axis=-1, keepdims=True)
    return jnp.mean(jnp.sum(unit[0] * (unit[1] - unit[2]), axis=-1))


def headline(rows):
    """How deep correlations reach with dropout at best, and the net farthest from it."""
    done = measured(rows)
    reach = {}
    for row in sorted(done, key=lambda row: -row["keep"]):
        longest = max(row["xi_longest_fine"], reach.get(row["keep"], 0.0))
        reach[row["keep"]] = longest
    dropped = {keep: xi for keep, xi in reach.items() if keep < 1}
    scales = (f"{xi:.3g} layers where {keep:g} is kept" for keep, xi in dropped.items())
    answer = "No row has dropout"
    if dropped:
        answer = (
            "With dropout the longest depth scale ξ_c at any σ_w² is finite: "
            f"{listed(scales, 8)}"
        )
    timed = [row for row in done if row["keep"] < 1 and row.get("rate")]
    if not timed:
        return Headline(f"{answer}.")
    worst = max(timed, key=lambda row: abs(row["rate"] / row["rate_theory"] - 1))
    return Headline(
        f"{answer}.",
        f"Farthest from theory: {worst['activation']} at {worst['of_critical']:g} × the "
        f"critical σ_w², {worst['keep']:g} kept: nets converge "
        f"{worst['rate'] / worst['rate_theory']:.3g} times as fast.",
    )


def tables(rows):
    """Depth scales by σ_w² and share kept; then the rates that were measured."""
    keeps = sorted({row["keep"] for row in rows}, reverse=True)
    ok = [row for row in rows if row["status"] == "ok"]
    at = {(row["activation"], row["of_critical"], row["keep"]): row for row in ok}
    lines = dict.fromkeys((r["activation"], r["of_critical"]) for r in rows)
    headers = ("activation", "σ_w²/critical", *(f"keep {k:g}" for k in keeps))
    scales = tuple(
        (name, number(of), *(_shown(at.get((name, of, k)), "xi_c") for k in keeps))
        for name, of in lines
    )
    any_of = {(row["activation"], row["keep"]): row for row in ok}
    longest = tuple(
        (
            name,
            f"longest, {word} apart",
            *(_shown(any_of.get((name, k)), c) for k in keeps),
        )
        for name in dict.fromkeys(row["activation"] for row in rows)
        for word, c in ((COARSE, "xi_longest_coarse"), (FINE, "xi_longest_fine"))
    )
    rates = tuple(
        (
            row["activation"],
            number(row["of_critical"]),
            number(row["keep"]),
            f"{row['first']} to {row['last']}",
            f"{number(row['rate'])} ± {number(row['rate_se'], 2)}",
            number(row["rate_theory"]),
            number(row["rate_limit"]),
        )
        for row in ok
    )
    return [
        Table("Depth scale ξ_c in layers, by theory", headers, scales + longest),
        Table(
            "How fast two inputs' difference falls, in nets: −d ln/d layer",
            (*headers[:2], "keep", "layers", "rate", "theory there", "1/ξ_c"),
            rates,
        ),
    ]


def _shown(row, column):
    if row is None:
        return Mark("-", "dim")
    return "∞" if row[column] is None else number(row[column])


def draw_figures(rows, profiles):
    caption = (
        "Left: ξ_c against σ_w²: dropout cuts off the divergence (the gap). Right: on the "
        "critical σ_w², what distinguishes two inputs' correlation from that of one "
        "input's two passes; dots: nets, lines: theory. Without dropout it is a power of "
        "depth."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


def _draw(rows, profiles):
    figure = figures.new(9, 3.8)
    left, right = figure.subplots(1, 2)
    ok = [row for row in rows if row["status"] == "ok"]
    first = ok[0]["activation"] if ok else ""
    ok = [row for row in ok if row["activation"] == first]
    for place, keep in enumerate(sorted({row["keep"] for row in ok}, reverse=True)):
        of = [row for row in ok if row["keep"] == keep]
        scales = [math.nan if r["xi_c"] is None else r["xi_c"] for r in of]
        line = {"color": f"C{place}", "label": f"keep {keep:g}"}
        left.plot([r["of_critical"] for r in of], scales, "o-", ms=3, **line)
        for row in of:
            if row["of_critical"] == 1:
                arrays = profiles(row)
                right.plot(arrays["difference"], "o", ms=2.5, color=f"C{place}")
                right.plot(arrays["difference_theory"], lw=1, **line)
    left.axvline(1, color="black", lw=0.6, ls=":")
    left.set_yscale("log")
    left.set_xlabel("σ_w² / critical")
    left.set_ylabel("ξ_c, layers")
    right.set_yscale("log")
    right.set_ylim(1e-3, 1.5)
    right.set_xlabel("layer")
    right.set_ylabel("difference of correlations")
    left.set_title(first, loc="left")
    left.legend(frameon=False)
    return figure


def refined(row):
    """By what factor a finer grid lengthens the longest ξ_c."""
    return exact(row["xi_longest_fine"] / row["xi_longest_coarse"])


def relative(row):
    if row["rate"] is None:
        return mean(None, None, row["seeds"])
    error = row["rate_se"] and row["rate_se"] / row["rate_theory"]
    return mean(row["rate"] / row["rate_theory"], error, row["seeds"])


def cost(cells, shared):
    """A net's weights and products; the theory's curves take a second or two."""
    seconds = 0.0
    for cell in cells:
        layer = 1.2e-8 * cell["width"] ** 2 + 2e-5
        seconds += 1.0 + cell["seeds"] * cell["depth"] * layer
    return Cost(2**28, 2**28, seconds)


STUDY = Study(
    name="dropout_depth",
    kind="experiment",
    question="Does any dropout end the edge of chaos?",
    source=SOURCE,
    axes={
        "activation": Axis("the nonlinearity", ("tanh",), ACTIVATIONS),
        "of_critical": Axis(
            "σ_w² as a multiple of the critical one without dropout",
            (0.7, 0.9, 1.0, 1.1, 1.3, 1.8),
            kind="number",
            low=1e-3,
            high=1e3,
        ),
        "keep": Axis(
            "share of units that dropout keeps",
            (1.0, 0.99, 0.95, 0.8),
            kind="number",
            low=1e-3,
            high=1.0,
        ),
        "depth": Axis("layers", (40,), kind="integer", low=5, high=10**4, single=True),
        "width": Axis("units", (192,), kind="integer", low=2, high=10**5, single=True),
        "seeds": Axis(
            "networks per cell", (128,), kind="integer", low=1, high=9999, single=True
        ),
    },
    sizes={
        "smoke": {
            "of_critical": (1.0,),
            "keep": (1.0, 0.9),
            "depth": (10,),
            "width": (48,),
            "seeds": (4,),
        },
        "full": {
            "activation": ("tanh", "erf", "silu"),
            "of_critical": (0.5, 0.7, 0.9, 0.95, 1.0, 1.05, 1.1, 1.3, 1.8, 2.5),
            "keep": (1.0, 0.999, 0.99, 0.98, 0.95, 0.9, 0.8, 0.5),
            "depth": (100,),
            "width": (1024,),
            "seeds": (64,),
        },
    },
    plan=Plan(
        group=lambda cell: tuple(
            cell[n] for n in ("activation", "width", "depth", "keep")
        ),
        cost=cost,
        split=2,
    ),
    measure="depthbench.experiments.propagation.dropout_depth:measure",
    columns=tuple(
        "activation of_critical keep depth width seeds status reason rate rate_se "
        "rate_theory rate_limit first last xi_c c_star q_star sigma_w2 "
        "xi_longest_coarse xi_longest_fine".split()
    ),
    claims=(
        Claim(
            "schoenholz2017.dropout-no-critical",
            "with dropout there is no σ_w² at which a net's depth scale is infinite",
            SOURCE,
            tag="S21",
            estimate=refined,
            allows=about(1, within=0.1),
            published="finite everywhere: a finer grid finds no longer one",
            scope=lambda row: row["keep"] < 1 and row["of_critical"] == 1,
            protocol="theory's ξ_c of tanh at σ_b² = 0.05, the longest on a grid of σ_w² "
            "and on one ten times as fine about its place: their ratio",
            differs="draws ξ_c of tanh nets with dropout",
            doubt=certain,
            label=("activation", "keep"),
        ),
        Claim(
            "schoenholz2017.dropout-depth-scale",
            "with dropout correlations converge as fast as the c map with dropout says",
            SOURCE,
            tag="S21",
            estimate=relative,
            allows=about(1, within=0.25),
            published="the map's rate: ratio 1",
            scope=lambda row: row["keep"] < 1,
            protocol="128 nets of 192 units; the rate of the layers in which theory's "
            "difference falls from 30 % to 5 %, over theory's in the same layers",
            differs="fits exponentials to wide nets' correlations",
            doubt=certain,
            label=("activation", "of_critical", "keep"),
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
