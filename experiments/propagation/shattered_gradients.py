"""Do gradients at different inputs become unrelated with depth, and what keeps them?

ReLU nets at initialisation. Batch statistics are held fixed, so that each input has a
gradient of its own. Two batches of inputs: independent ones, whose gradients are compared
in pairs; and a line, for the gradient as a function of the input.

The paper's laws hold where a quarter of the units is active for both of two inputs; see
`co_active`. And L^-½ needs a variance that grows by 1 a layer of a residual net: with
ReLU it does so about 0, but batch norm divides by that about the mean, which grows by
1 - 1/π. The "wide net" is without such assumptions: see gradient_pairs.theory.

Source: Balduzzi, Frean, Leary, Lewis, Ma & McWilliams 2017, arXiv:1702.08591.
"""

import functools

from experiments.propagation import gradient_pairs, shattered_figure
from experiments.propagation.gradient_pairs import NETS
from research.lazy import lazily
from research.study.axes import Axis
from research.study.claims import Claim
from research.study.declaration import Cost, Figure, Headline, Measured, Plan, Study
from research.study.headlines import counted, listed, measured, of_deepest
from research.study.tables import Mark, Table, number

with lazily():
    import jax
    import numpy as np

    from research.signal import profiles

SOURCE = "Balduzzi et al. 2017, arXiv:1702.08591"
LAGS = (1, 5)  # points apart on the line


def cost(cells, shared):
    (cell,) = cells
    weights = 4 * (cell["depth"] + 1) * cell["width"] ** 2
    memory = 3 * weights + 64 * cell["points"] * cell["width"] + 2**26
    work = 8 * cell["seeds"] * cell["depth"] * cell["points"] * cell["width"] ** 2
    return Cost(memory, memory, work / 2e10)


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [correlations(cell) for cell in cells]


def correlations(cell):
    """The row of a net, from samples of its gradients."""
    net = NETS[cell["net"]]
    sizes = (cell["points"], cell["width"], cell["depth"])
    sample = gradient_pairs.sampler(net, *sizes)
    keys = jax.random.split(jax.random.key(0), cell["seeds"])
    drawn = [jax.device_get(sample(key)) for key in keys]
    both = jax.tree.map(lambda *seeds: np.stack(seeds, 1).astype(float), *drawn)
    typical, line = (jax.tree.map(lambda a, i=i: a[i], both) for i in range(2))
    return _finish(cell, net, typical, line)


def _finish(cell, net, typical, line):
    """The row: fitted laws of typical inputs, and autocorrelations along the line."""
    correlation = typical.correlation
    if not np.all(np.isfinite(correlation)):
        return Measured("lost", "a gradient is zero, or not finite", {})
    estimates = [profiles.over_seeds(column) for column in correlation.T]
    mean, error = (np.array(values) for values in zip(*estimates, strict=True))
    theory = gradient_pairs.wide_correlations(net, cell["depth"])
    last = seen(mean, error)
    values = {
        "correlation": mean[-1],
        "correlation_se": error[-1],
        "correlation_theory": theory[-1],
        "layers_fitted": last,
        "law": "",
    }
    values |= _laws(correlation, theory, last)
    worst = int(np.argmax(np.abs(mean - theory) - 3 * error))
    values |= {"theory_gap": mean[worst] - theory[worst], "theory_gap_se": error[worst]}
    active = profiles.over_seeds(typical.co_active[:, -1])
    values |= {"co_active": active.mean, "co_active_se": active.error}
    acf = autocorrelation(line.covariance)
    for lag in LAGS:
        of = profiles.over_seeds(acf[:, -1, lag])
        values |= {f"acf_{lag}": of.mean, f"acf_{lag}_se": of.error}
    arrays = {"correlation": mean, "error": error, "theory": theory}
    arrays |= {"autocorrelation": acf.mean(0), "series": line.series[0]}
    known = {name: v for name, v in values.items() if v == v}  # one seed has no error
    return Measured("ok", "", known, arrays)


def seen(mean, error):
    """The last layer before the correlation [depth + 1] sinks into its own noise."""
    clear = mean > 4 * np.where(np.isnan(error), 0, error)
    return int(np.argmin(clear)) - 1 if not clear.all() else len(mean) - 1


def _laws(correlation, theory, last):
    """Both fits of layers 1 … last: rate^L and L^power; and which of them is nearer."""
    if last < 3:
        return {}
    layer = np.arange(1.0, last + 1)
    values, misfits = {}, {}
    # A power law is asymptotic: the first eighth is left out.
    for law, x, first in (("rate", layer, 0), ("power", np.log(layer), last // 8)):
        span = slice(1 + first, last + 1)
        slope, error, misfits[law] = fit(x[first:], correlation[:, span])
        predicted, *_ = fit(x[first:], theory[None, span])
        if law == "rate":
            slope, predicted = np.exp(slope), np.exp(predicted)
            error = error * slope
        values |= {law: slope, f"{law}_se": error, f"{law}_theory": predicted}
    return values | {"law": min(misfits, key=misfits.__getitem__)}


def fit(x, correlation):
    """(slope of the log of the mean over seeds, its standard error, rms residual).

    correlation: [seeds, x's size]. The error is the jackknife's; nan for one seed.
    """
    mean = correlation.mean(0)
    slope, offset = np.polyfit(x, np.log(mean), 1)
    misfit = np.sqrt(np.mean((np.log(mean) - slope * x - offset) ** 2))
    seeds = len(correlation)
    if seeds == 1:
        return float(slope), np.nan, float(misfit)
    without = (seeds * mean - correlation) / (seeds - 1)
    slopes = np.polyfit(x, np.log(np.maximum(without, 1e-12)).T, 1)[0]
    error = np.sqrt((seeds - 1) * np.mean((slopes - slopes.mean()) ** 2))
    return float(slope), float(error), float(misfit)


CONSTANT = 1e-10  # a smaller share of the mean square is rounding: float32's, squared


def autocorrelation(covariance):
    """[…, lags], from `Pairs.covariance`; 1 where the gradient is the same everywhere."""
    variance = covariance[..., :1]
    flat = variance < CONSTANT
    return np.where(flat, 1.0, covariance / np.where(flat, 1.0, variance))


def headline(rows):
    """What is left of the likeness of gradients in each kind of net, the least last."""
    deep = of_deepest(measured(rows))
    ranked = sorted(deep, key=lambda row: -row["correlation"])
    left = [f"{alike(row)} in {NETS[row['net']].name}" for row in ranked]
    layers = counted(deep[0]["depth"], "layer")
    worst = ranked[-1]
    return Headline(
        f"After {layers} gradients at two independent inputs correlate by "
        f"{listed(left, 8)}; 1 would be alike, 0 unrelated.",
        f"Worst: {NETS[worst['net']].name}, {alike(worst)} after {layers}.",
    )


def alike(row):
    return f"{round(row['correlation'], 2) + 0.0:.2f}"  # + 0.0: there is no -0.00


def tables(rows):
    """Each net's correlation and law, beside the paper's and a wide net's."""
    body = tuple(_line(row) for row in rows)
    headers = (
        "net",
        "L",
        "correlation",
        "fitted law",
        "wide net",
        "paper",
        "co-active",
        *(f"lag {lag}" for lag in LAGS),
    )
    title = (
        "Correlation of gradients at two independent inputs after L layers, and its law; "
        "right: autocorrelation of the gradient along a line of inputs"
    )
    return [Table(title, headers, body)]


def _line(row):
    net = NETS[row["net"]]
    paper = law_text(net.law, net.number)
    if row["status"] != "ok":
        return (net.name, str(row["depth"]), Mark(row["status"], "bad"), *[""] * 6)
    law, wide = Mark("too short", "dim"), ""
    if row.get("law"):
        of = row["law"]
        far = of != net.law or abs(row[of] - net.number) > WITHIN[of]
        error = f" ± {row[f'{of}_se']:.2g}" if row.get(f"{of}_se") else ""
        law = Mark(law_text(of, row[of]) + error, "bad" if far else "good")
        wide = law_text(of, row[f"{of}_theory"])
    correlation = f"{row['correlation']:.4f}"
    return (
        net.name,
        str(row["depth"]),
        correlation,
        law,
        wide,
        paper,
        f"{row['co_active']:.2f}",
        *(number(row.get(f"acf_{lag}"), 2) for lag in LAGS),
    )


def law_text(law, value):
    """The law in signs: 0.5^L, or L^-0.5."""
    return f"{value:.3g}^L" if law == "rate" else f"L^{value:.3g}"


def draw_figures(rows, profiles):
    caption = (
        "Top: the gradient of one unit along a line of inputs, beside a random walk and "
        "independent numbers. Left: autocorrelation of such gradients in the deepest "
        "nets. Right: correlation of gradients at independent inputs; dashed: wide nets; "
        "dotted: the paper's laws."
    )
    return [
        Figure(
            "figure", caption, functools.partial(shattered_figure.draw, rows, profiles)
        )
    ]


WITHIN = {"rate": 0.03, "power": 0.05}  # 200 units scatter by a percent or two


def law_claim(key, says, law, names):
    """The fitted law is the paper's in these nets."""
    laws = dict.fromkeys(NETS[name].number for name in names)
    return Claim(
        key,
        says,
        SOURCE,
        tag="S9",
        gap=lambda row: row[law] - NETS[row["net"]].number,
        error=lambda row: row[f"{law}_se"],
        published=" or ".join(f"{number:.4g}" for number in laws),
        ours=lambda row: row[law],
        within=WITHIN[law],
        scope=lambda row: row["net"] in names and law in row,
        label=("net", "depth"),
    )


CLAIMS = (
    law_claim(
        "balduzzi2017.plain-correlation",
        "in plain nets the correlation of gradients at two inputs falls as 2^−L",
        "rate",
        ("plain", "plain_batch"),
    ),
    law_claim(
        "balduzzi2017.residual-correlation",
        "in residual nets the correlation of gradients at two inputs falls as (3/4)^L",
        "rate",
        ("residual",),
    ),
    law_claim(
        "balduzzi2017.residual-norm-correlation",
        "in residual nets with batch norm the correlation of gradients at two inputs "
        "falls as L^−½",
        "power",
        ("residual_batch",),
    ),
    Claim(
        "balduzzi2017.units-active-for-both",
        "in plain nets half of the units is active for both of two inputs, with batch "
        "norm a quarter",
        f"{SOURCE}, figure 3",
        tag="S9",
        gap=lambda row: row["co_active"] - (0.5 if row["net"] == "plain" else 0.25),
        error=lambda row: row["co_active_se"],
        published="½ and ¼: gap 0",
        within=0.05,  # wide plain nets have come to 0.47 after 50 layers
        scope=lambda row: row["net"] in ("plain", "plain_batch"),
        label=("net", "depth"),
    ),
    Claim(
        "balduzzi2017.looks-linear-correlation",
        "looks-linear initialisation keeps gradients alike at any depth",
        SOURCE,
        tag="S9",
        gap=lambda row: row["correlation"] - 1,
        error=lambda row: row["correlation_se"],
        published="1",
        ours=lambda row: row["correlation"],
        within=1e-3,  # rounding alone
        scope=lambda row: row["net"] == "looks_linear",
        label=("net", "depth"),
    ),
    Claim(
        "balduzzi2017.plain-white-noise",
        f"deep plain nets' gradients are white noise: no autocorrelation {LAGS[1]} apart",
        f"{SOURCE}, figures 1 and 2",
        tag="S9",
        gap=lambda row: row["acf_5"],
        error=lambda row: row["acf_5_se"],
        published="0",
        within=0.05,
        scope=lambda row: row["net"] == "plain_batch" and row["depth"] >= 24,
        label=("net", "depth"),
    ),
    Claim(
        "balduzzi2017.residual-not-white-noise",
        "residual nets' gradients are not white noise: neighbours' autocorrelation "
        "stays above ½ up to 50 layers",
        f"{SOURCE}, figures 1 and 2",
        tag="S9",
        gap=lambda row: min(0.0, row["acf_1"] - 0.5),
        error=lambda row: row["acf_1_se"],
        published="above 0.5",
        ours=lambda row: row["acf_1"],
        within=0.0,
        scope=lambda row: row["net"] == "residual_batch" and row["depth"] <= 50,
        label=("net", "depth"),
    ),
    Claim(
        "cho2009.correlation-of-wide-nets",
        "at every depth the correlation of gradients at two inputs is a wide net's",
        "Cho & Saul 2009, NIPS, equation 6; see gradient_pairs.theory",
        tag="S9",
        gap=lambda row: row["theory_gap"],
        error=lambda row: row["theory_gap_se"],
        published="the theory's: gap 0",
        within=0.02,  # corrections are of order depth/width, times the correlation
        scope=lambda row: True,
        label=("net", "depth"),
    ),
)


STUDY = Study(
    name="shattered_gradients",
    kind="experiment",
    question="Do gradients at different inputs become unrelated with depth?",
    source=SOURCE,
    axes={
        "net": Axis("how the net is built", tuple(NETS), NETS),
        "depth": Axis("layers", (50,), kind="integer", low=1, high=10**4),
        "width": Axis("units", (200,), kind="integer", low=2, high=10**4, single=True),
        "points": Axis(
            "inputs, on the line and apart",
            (256,),
            kind="integer",
            low=gradient_pairs.LAGS,
            high=4096,
            single=True,
        ),
        "seeds": Axis(
            "networks per cell", (8,), kind="integer", low=1, high=999, single=True
        ),
    },
    sizes={
        "smoke": {
            "net": ("plain_batch", "residual_batch"),
            "depth": (6,),
            "width": (32,),
            "points": (32,),
            "seeds": (3,),
        },
        "full": {"width": (1000,), "points": (1024,), "seeds": (20,)},
    },
    plan=Plan(program=lambda cell: tuple(cell.items()), cost=cost),
    measure="experiments.propagation.shattered_gradients:measure",
    columns=tuple(
        "net depth width points seeds status reason correlation correlation_se "
        "correlation_theory law rate rate_se rate_theory power power_se power_theory "
        "layers_fitted theory_gap co_active acf_1 acf_1_se acf_5 acf_5_se".split()
    ),
    claims=CLAIMS,
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=4.0,
)

if __name__ == "__main__":
    from research.cli.main import script

    script(STUDY.name)
