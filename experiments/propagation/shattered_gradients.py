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

from depthbench.experiments.propagation import gradient_pairs
from depthbench.experiments.propagation.gradient_pairs import NETS
from depthbench.experiments.propagation.shattered_figure import draw_figures
from depthbench.experiments.propagation.shattered_headline import headline
from depthbench.research.lazy import lazily
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Cost, Measured, Plan, Study
from depthbench.research.study.estimates import about, above, exact, mean, mean_of
from depthbench.research.study.tables import Mark, Table, number

with lazily():
    import jax
    import numpy as np

    from depthbench.research.signal import profiles

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
    estimates = [profiles.over_seeds(column, 1.0) for column in correlation.T]
    mean, error = (np.array(values) for values in zip(*estimates, strict=True))
    theory = gradient_pairs.wide_correlations(net, cell["depth"])
    last = seen(mean, error)
    values = {
        "correlation": mean[-1],
        "correlation_se": error[-1],
        "correlation_theory": profiles.resolved(theory[-1]),
        "layers_fitted": last,
        "law": "",
    }
    values |= _laws(correlation, theory, last)
    if net.name in NAMES:
        values["limit"] = limit(net)
    worst = 1 + int(np.argmax((np.abs(mean - theory) + 3 * np.nan_to_num(error))[1:]))
    gap = profiles.resolved(mean[worst] - theory[worst])  # at 0 it is 0
    values |= {"theory_gap": gap, "theory_gap_se": error[worst]}
    active = profiles.over_seeds(typical.co_active[:, -1], 1.0)
    values |= {"co_active": active.mean, "co_active_se": active.error}
    acf = autocorrelation(line.covariance)
    for lag in LAGS:
        of = profiles.over_seeds(acf[:, -1, lag], 1.0)
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
    # What is constant is both, 1^L and L^0: the simpler is said.
    return values | {"law": min(misfits, key=misfits.__getitem__)}


@functools.cache
def limit(net):
    """The wide net's law at layer LATE: its factor a layer, or its power of depth."""
    late, before = gradient_pairs.wide_correlations(net, LATE)[[-1, -2]]
    if net.law == "rate":
        return float(late / before)
    return float(np.log(late / before) / np.log(LATE / (LATE - 1)))


def fit(x, correlation):
    """(slope of the log of the mean over seeds, its standard error, rms residual).

    correlation: [seeds, x's size]. The error is the jackknife's; nan for one seed. All
    are resolved at a correlation's scale, which is 1: what is constant has the slope 0.
    """
    mean = correlation.mean(0)
    slope, offset = np.polyfit(x, np.log(mean), 1)
    misfit = np.sqrt(np.mean((np.log(mean) - slope * x - offset) ** 2))
    slope, misfit = profiles.resolved(slope), profiles.resolved(misfit, 10)
    seeds = len(correlation)
    if seeds == 1:
        return slope, np.nan, misfit
    without = (seeds * mean - correlation) / (seeds - 1)
    slopes = np.polyfit(x, np.log(np.maximum(without, 1e-12)).T, 1)[0]
    error = np.sqrt((seeds - 1) * np.mean((slopes - slopes.mean()) ** 2))
    return slope, profiles.resolved(error), misfit


CONSTANT = 1e-10  # a smaller share of the mean square is rounding: float32's, squared


def autocorrelation(covariance):
    """[…, lags], from `Pairs.covariance`; 1 where the gradient is the same everywhere."""
    variance = covariance[..., :1]
    flat = variance < CONSTANT
    return np.where(flat, 1.0, covariance / np.where(flat, 1.0, variance))


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
        error = row.get(f"{of}_se")
        known = "" if error is None else f" ± {error:.2g}" if error else " exactly"
        law = Mark(law_text(of, row[of]) + known, "bad" if far else "good")
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


WITHIN = {
    "rate": 0.05,
    "power": 0.1,
}  # fits over as many layers as a quarter of the width


HERE = "ReLU nets of 50 layers of 200 units, 8 drawn nets, independent Gaussian inputs"
LATE = 1_000  # layers; variances double in residual nets, and float64 ends at 2^1024
NAMES = {
    "plain": "plain nets",
    "plain_batch": "plain nets with batch norm",
    "residual": "residual nets",
    "residual_batch": "residual nets with batch norm",
}


def paper_law(net):
    """The paper's law in words: 2^−L, (3/4)^L, L^−½."""
    of = NETS[net]
    return {1 / 2: "2^−L", 3 / 4: "(3/4)^L", -1 / 2: "L^−½"}[of.number]


def law_claim(net):
    """The fitted law is that of wide nets as deep as these."""
    law = NETS[net].law
    return Claim(
        f"cho2009.{net.replace('_', '-')}-correlation",
        f"in {NAMES[net]} the correlation of gradients at two inputs falls as a wide "
        "net's of that depth does",
        "Cho & Saul 2009, NIPS, equation 6, for the law of Balduzzi et al. 2017",
        tag="S9",
        protocol=f"{HERE}; fitted to the layers at which it can be seen, beside the same "
        "fit to the wide net",
        differs=f"{SOURCE} has {paper_law(net)}, without a depth",
        estimate=lambda row: mean(
            row[law] - row[f"{law}_theory"] if law in row else None,
            row.get(f"{law}_se"),
            row["seeds"],
        ),
        published=f"the wide net's {'factor a layer' if law == 'rate' else 'power'}: gap 0",
        allows=about(0.0, within=WITHIN[law]),
        scope=lambda row: row["net"] == net,
        label=("net", "depth"),
    )


def asymptote_claim(net):
    """The wide net's own law comes to be the paper's."""
    law, number = NETS[net].law, NETS[net].number
    return Claim(
        f"balduzzi2017.{net.replace('_', '-')}-asymptote",
        f"in {NAMES[net]} the correlation of gradients at two inputs comes to fall as "
        f"{paper_law(net)}",
        f"{SOURCE}, theorems 1 to 3",
        tag="S9",
        protocol=f"the theory of infinitely wide nets at layer {LATE:,}; no net is drawn",
        differs="takes a quarter of the units as active for both inputs; at 50 layers "
        "even wide nets are far from the limit",
        estimate=lambda row: exact(row["limit"]),
        published=f"{number:.4g}",
        allows=about(number, within=WITHIN[law]),
        scope=lambda row: row["net"] == net,
        label=("net",),
    )


def claim(key, says, net, column, published, allows, **more):
    return Claim(
        f"balduzzi2017.{key}",
        says,
        f"{SOURCE}, figures 1 to 3",
        tag="S9",
        differs="nets of up to 50 layers of 200 units on a line of inputs",
        estimate=mean_of(column),
        published=published,
        allows=allows,
        scope=lambda row: row["net"] == net and row["depth"] >= 24,
        label=("net", "depth"),
        **{"protocol": HERE, **more},
    )


CLAIMS = (
    *map(law_claim, NAMES),
    *map(asymptote_claim, NAMES),
    claim(
        "half-active-for-both",
        "in deep plain nets half of the units is active for both of two inputs",
        "plain",
        "co_active",
        "½",
        about(0.5, within=0.05),  # wide plain nets have come to 0.47 after 50 layers
    ),
    claim(
        "quarter-active-for-both",
        "in deep plain nets with batch norm a quarter of the units is active for both of "
        "two inputs",
        "plain_batch",
        "co_active",
        "¼",
        about(0.25, within=0.05),
    ),
    claim(
        "plain-white-noise",
        "deep plain nets' gradients are white noise: no autocorrelation between inputs "
        f"{LAGS[1]} apart",
        "plain_batch",
        "acf_5",
        "0",
        about(0.0, within=0.05),
        protocol=f"{HERE.partition(', indep')[0]}, 256 inputs on a line, batch norm",
    ),
    claim(
        "residual-not-white-noise",
        "deep residual nets' gradients are not white noise: neighbours' autocorrelation "
        "stays above ½",
        "residual_batch",
        "acf_1",
        "above 0.5",
        above(0.5),
        protocol=f"{HERE.partition(', indep')[0]}, 256 inputs on a line, batch norm",
    ),
    Claim(
        "cho2009.correlation-of-wide-nets",
        "at every depth the correlation of gradients at two inputs is a wide net's",
        "Cho & Saul 2009, NIPS, equation 6; see gradient_pairs.theory",
        tag="S9",
        protocol=f"{HERE}; at the layer that is furthest from it",
        differs="kernels of infinitely wide nets",
        estimate=lambda row: mean(
            row["theory_gap"], row.get("theory_gap_se"), row["seeds"]
        ),
        published="the theory's: gap 0",
        allows=about(0.0, within=0.03),  # corrections are of order depth/width
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
    measure="depthbench.experiments.propagation.shattered_gradients:measure",
    columns=tuple(
        "net depth width points seeds status reason correlation correlation_se "
        "correlation_theory law rate rate_se rate_theory power power_se power_theory "
        "limit layers_fitted theory_gap theory_gap_se co_active co_active_se acf_1 "
        "acf_1_se acf_5 acf_5_se".split()
    ),
    claims=CLAIMS,
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=3.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
